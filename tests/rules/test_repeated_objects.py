"""Rule of objects that are there twice: in a file, in a chart, and what only looks so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cdk8s import ApiObject, ApiObjectMetadata, App, Chart, JsonPatch
from constructs import Construct

from vllm_constructs import ModelDeployment, VllmConstructsError, WholeGpu

from .findings import found, ids


def config(value: int, *, name: str = "name: same", version: str = "v1") -> str:
    """A ConfigMap."""
    return f"apiVersion: {version}\nkind: ConfigMap\nmetadata: {{{name}}}\ndata: {{a: '{value}'}}\n"


def test_bad() -> None:
    """Two that differ: at the second one."""
    (one,) = found(f"{config(1)}---\n{config(2)}", "H11")

    assert ("error", ("metadata", "name"), 1) == (one.level, one.path, one.manifest.number)
    assert (
        "metadata.name is 'same', the name of another ConfigMap in the file, and one replaces the "
        "other; rename one, or make them one."
    ) == one.problem.sentence()


def test_same() -> None:
    """The same again: a warning, since Kustomize rejects it all the same."""
    (one,) = found(f"{config(1)}---\n{config(1)}", "H11")

    assert "warning" == one.level
    assert one.problem.sentence().endswith("in the file, which is the same; leave one out.")


@pytest.mark.parametrize(
    "other",
    [
        config(2, name="name: other"),
        config(2, name="name: same, namespace: llm"),
        config(2, version="example.com/v1"),
        config(2, name="generateName: same"),
        config(2, name="name: same, annotations: {helm.sh/hook: pre-install}"),
        f"$patch: delete\n{config(2)}",
        "data: {a: '2'}\n",
    ],
)
def test_good(other: str) -> None:
    """Another name, namespace or group, a hook, a patch, and what has no name."""
    assert [] == ids(f"{config(1)}---\n{other}", "H11")


def test_patches() -> None:
    """Two patches of one Deployment."""
    patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: qwen}\nspec: {replicas: "
    assert [] == ids(f"{patch}1}}\n---\n{patch}2}}\n", "H11")


def test_files() -> None:
    """Objects whose file is not known may be for several clusters."""
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    assert [] == ids([body, body | {"data": {}}], "H11")


def _config(chart: Chart, id: str) -> None:
    made = ApiObject(
        chart, id, api_version="v1", kind="ConfigMap", metadata=ApiObjectMetadata(name="same")
    )
    made.add_json_patch(JsonPatch.add("/data", {"a": id}))


def test_synth(tmp_path: Path) -> None:
    """Of an app, objects of one chart are judged: another chart may be for another cluster."""
    app = App(outdir=str(tmp_path))
    chart, other = (Chart(app, name, namespace="llm") for name in ("one", "two"))
    ModelDeployment(chart, "qwen", model="Qwen/Qwen3-8B", gpu=WholeGpu("NVIDIA-L40S"))
    _config(chart, "a")
    _config(other, "b")
    app.synth()

    prod = Construct(app, "prod")
    _config(Chart(prod, "east", namespace="llm"), "d")
    _config(Chart(prod, "west", namespace="llm"), "e")
    app.synth()

    _config(other, "c")
    with pytest.raises(VllmConstructsError, match="error H11 two/c: ConfigMap llm/same"):
        app.synth()
