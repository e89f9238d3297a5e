"""The memory plan of a model in manifests."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs import ModelShape
from vllm_constructs.reading.plans import planned
from vllm_constructs.reading.workloads import deployed_models

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def deployment(*args: str, product: str = "NVIDIA-L40S") -> dict[str, Any]:
    """A Deployment of vLLM on one GPU."""
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.33.0",
        "args": list(args),
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    inside = {"nodeSelector": {"nvidia.com/gpu.product": product}, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen"},
        "spec": {"template": {"spec": inside}},
    }


@pytest.mark.parametrize(
    ("manifest", "verdict", "has_plan"),
    [
        (deployment(LLAMA, "--max-model-len=4096"), "fits", True),
        (deployment("meta-llama/Llama-3.1-70B-Instruct"), "too large", True),
        (deployment(LLAMA, "--max-model-len=999999"), "refused", False),
        (deployment(LLAMA, "--no-such-flag"), "refused", False),
        (deployment("a/b"), "unknown", False),
        (deployment("$(MODEL)"), "unknown", False),
        (deployment(LLAMA, "--cpu-offload-params=x"), "unknown", False),
    ],
)
def test_verdicts(*, manifest: dict[str, Any], verdict: str, has_plan: bool) -> None:
    """Each model has a verdict, and a problem unless it fits."""
    (model,) = deployed_models([manifest])
    found = planned(model)

    assert (model, verdict, has_plan) == (found.model, found.verdict, found.plan is not None)
    assert (verdict != "fits") == (found.problem is not None)


def test_shapes() -> None:
    """A shape that is given counts for a model that the catalog lacks."""
    (model,) = deployed_models([deployment("a/b", "--max-model-len=4096")])
    assert "fits" == planned(model, {"a/b": ModelShape.named(LLAMA)}).verdict
