"""A download Job with the real client of the Hugging Face Hub, and the pod that waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cdk8s import App, Chart

from vllm_constructs import (
    HuggingFaceMirror,
    ModelCache,
    ModelDeployment,
    ModelDownload,
    WholeGpu,
)

from . import environment, hub
from .conftest import Start
from .container import Container

NAME = "Qwen/Qwen2.5-7B-Instruct"
COMMIT = "a09a35458c702b33eeacc393d103063234e8bc28"
WEIGHTS = "model.safetensors"


def _render(url: str) -> list[dict[str, Any]]:
    chart = Chart(App(), "test", namespace="llm")
    cache = ModelCache(chart, "cache", size="100Gi", access="ReadWriteMany")
    download = ModelDownload(
        chart,
        "download",
        model=NAME,
        revision=COMMIT,
        cache=cache,
        mirror=HuggingFaceMirror(url),
        exclude=["*.md"],
    )
    ModelDeployment(
        chart, "qwen", model=NAME, gpu=WholeGpu("NVIDIA-L40S"), cache=cache, weights=download
    )
    found: list[dict[str, Any]] = chart.to_json()
    return found


def test_download(start: Start, tmp_path: Path) -> None:
    """A pod waits until a Job is done, however often that fails, and vLLM starts from its files."""
    with hub.serve(NAME, COMMIT, environment.models() / "chat") as served:
        objects = _render(served.url)
        (job,) = (item for item in objects if item["kind"] == "Job")
        (deployment,) = (item for item in objects if item["kind"] == "Deployment")
        waiting = start(Container.read(deployment, objects, tmp_path, "wait-for-weights"))

        served.missing.add(WEIGHTS)
        failed = start(Container.read(job, objects, tmp_path))
        assert failed.wait(60) not in {None, 0}, failed.text()
        assert waiting.wait(6) is None

        served.missing.clear()
        again = start(Container.read(job, objects, tmp_path))
        assert 0 == again.wait(60), again.text()
        assert 0 == waiting.wait(10), waiting.text()
        asked = list(served.asked)

    running = start(Container.read(deployment, objects, tmp_path))
    running.wait_ready()
    body = {"model": NAME, "prompt": "A pod is", "max_tokens": 5}
    assert 200 == running.request("/v1/completions", body)[0]
    assert any(path.endswith(f"/{COMMIT}/{WEIGHTS}") for path in asked)
