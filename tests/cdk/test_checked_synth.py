"""The check at synth: what stops it, what it warns about, and what is accepted."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from cdk8s import ApiObject, App, Chart, JsonPatch

from vllm_constructs import (
    EngineArgs,
    GpuPodSpec,
    ModelDeployment,
    VllmConstructsError,
    VllmConstructsWarning,
    WholeGpu,
)

CONTAINER = "/spec/template/spec/containers/0"
NO_STARTUP = JsonPatch.remove(f"{CONTAINER}/startupProbe")
BUSY = JsonPatch.replace(f"{CONTAINER}/livenessProbe/timeoutSeconds", 1)


class Made:
    """An app with one model, which writes into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = App(outdir=str(folder))
        self.chart = Chart(self.app, "llm", namespace="llm")
        self.model = ModelDeployment(
            self.chart,
            "qwen",
            model="Qwen/Qwen2.5-7B-Instruct",
            gpu=WholeGpu("NVIDIA-L40S"),
        )

    def patch(self, *patches: JsonPatch) -> None:
        """Patch the Deployment."""
        ApiObject.of(self.model).add_json_patch(*patches)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An app."""
    return Made(tmp_path)


def test_clean(made: Made) -> None:
    """An app without mistakes is written without a word."""
    made.app.synth()
    assert ["llm.k8s.yaml"] == [file.name for file in made.folder.iterdir()]


def test_patch(made: Made) -> None:
    """Mistakes of the user's patches stop the synth, all at once, and nothing is written."""
    made.app.synth()
    file = made.folder / "llm.k8s.yaml"
    before = file.read_text()
    made.patch(NO_STARTUP, BUSY)
    made.patch(JsonPatch.replace(f"{CONTAINER}/readinessProbe/httpGet/path", "/live"))

    with pytest.raises(VllmConstructsError) as caught:
        made.app.synth()

    head, first, second, third = str(caught.value).splitlines()
    assert "the manifests have 2 errors and 1 warning:" == head
    place = "llm/qwen/Default: Deployment llm/qwen, spec.template.spec.containers[0]"
    assert first.startswith(
        f"  error P01 {place}.livenessProbe: livenessProbe gives up after 90 seconds"
    )
    assert second.startswith(
        f"  error P03 {place}.readinessProbe.httpGet.path: readinessProbe.httpGet"
    )
    assert third.startswith(f"  warning P02 {place}.livenessProbe.timeoutSeconds: ")
    assert before == file.read_text()


def test_own_object(made: Made) -> None:
    """Objects of the user are checked too."""
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.33.0",
        "args": ["m"],
        "livenessProbe": {"exec": {"command": ["true"]}, "timeoutSeconds": 5},
    }
    pod = ApiObject(made.chart, "own", api_version="v1", kind="Pod")
    pod.add_json_patch(JsonPatch.add("/spec", {"containers": [container]}))
    with pytest.raises(
        VllmConstructsError, match=r"error P07 llm/own: Pod llm/llm-own-\w+, spec\."
    ):
        made.app.synth_yaml()


def test_overlay(tmp_path: Path) -> None:
    """What an overlay adds is checked as a patch is."""
    app = App(outdir=str(tmp_path))
    ModelDeployment(
        Chart(app, "llm", namespace="llm"),
        "qwen",
        model="Qwen/Qwen2.5-7B-Instruct",
        gpu=WholeGpu("NVIDIA-L40S"),
        overlay={"spec": {"template": {"spec": {"hostIPC": True}}}},
    )
    with pytest.raises(VllmConstructsError, match="error H04 llm/qwen/Default"):
        app.synth()


def test_nothing_to_judge(made: Made) -> None:
    """Of objects as their constructs made them, only how they go together is checked."""
    code = """
import sys
from cdk8s import App, Chart
from vllm_constructs import ModelDeployment, WholeGpu
app = App(outdir=sys.argv[1])
chart = Chart(app, "llm", namespace="llm")
ModelDeployment(chart, "q", model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S"))
app.synth()
names = [name.rpartition(".")[2] for name in sys.modules if ".rules." in name]
print("selectors" in names, "probes" in names, "waking" in names)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(made.folder)], check=True, capture_output=True, text=True
    )
    assert "True False False" == done.stdout.strip()


def test_warning(made: Made) -> None:
    """A warning is issued at the line of the synth, and the manifests are written."""
    made.patch(BUSY)
    with pytest.warns(VllmConstructsWarning, match="warning P02 llm/qwen/Default") as caught:
        made.app.synth()
    assert [__file__] == [one.filename for one in caught]
    assert ["llm.k8s.yaml"] == [file.name for file in made.folder.iterdir()]


def test_warned_once(made: Made) -> None:
    """What a value has warned about, the synth does not say again."""
    with pytest.warns(VllmConstructsWarning, match="trust_remote_code"):
        engine = EngineArgs(trust_remote_code=True)
    ModelDeployment(
        made.chart, "own", model="a/own-code", gpu=WholeGpu("NVIDIA-L40S"), engine=engine
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.app.synth()


def test_annotation(made: Made) -> None:
    """An annotation accepts a finding too; it needs a reason."""
    made.patch(NO_STARTUP)
    key = "vllm-constructs.dev/accept-P01"
    ApiObject.of(made.model).metadata.add_annotation(key, "")
    with pytest.raises(VllmConstructsError, match="accepts it without a reason"):
        made.app.synth()
    ApiObject.of(made.model).metadata.add_annotation(key, "it loads in 20 seconds")
    made.app.synth()


def test_without_app() -> None:
    """A chart of a test has no synth, and is rendered as ever."""
    chart = Chart(App(), "llm")
    ModelDeployment(chart, "q", model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S"))
    assert chart.to_json()


def test_values_alone() -> None:
    """A value that no construct uses is not checked at synth."""
    assert GpuPodSpec(model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S"))


def test_mended(made: Made) -> None:
    """What is mended after a synth that was stopped is written as it is then."""
    made.patch(NO_STARTUP)
    with pytest.raises(VllmConstructsError, match="P01"):
        made.app.synth()
    key = "vllm-constructs.dev/accept-P01"
    ApiObject.of(made.model).metadata.add_annotation(key, "it loads in 20 seconds")
    assert key in str(made.chart.to_json())
    made.app.synth()
    assert key in (made.folder / "llm.k8s.yaml").read_text()
