"""Rule of tolerations: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .pods import deployment, group, pod_spec

PRODUCT = {"nvidia.com/gpu.product": "NVIDIA-L40S"}
RIGHT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def engine(resource: str = "nvidia.com/gpu", **fields: Any) -> dict[str, Any]:
    """The spec of a pod with an engine on GPUs."""
    return pod_spec(container={"resources": {"limits": {resource: 1}}}, **fields)


def affinity(*terms: dict[str, list[str] | None]) -> dict[str, Any]:
    """Required node affinity; None for any value."""
    named = [
        [
            {"key": key, "operator": "Exists" if one is None else "In"}
            | ({} if one is None else {"values": one})
            for key, one in term.items()
        ]
        for term in terms
    ]
    required = {"nodeSelectorTerms": [{"matchExpressions": one} for one in named]}
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    }


@pytest.mark.parametrize(
    "spec",
    [
        engine(nodeSelector=PRODUCT),
        engine(nodeSelector={"nvidia.com/gpu.present": "true"}),
        engine("nvidia.com/mig-1g.10gb", nodeSelector=PRODUCT),
        engine("amd.com/gpu", nodeSelector={"amd.com/gpu.product-name": "MI300X"}),
        engine(**affinity({"nvidia.com/gpu.product": ["NVIDIA-L40S", "NVIDIA-L4"]})),
        engine(**affinity({"nvidia.com/gpu.memory": None}, {"nvidia.com/gpu.count": None})),
        engine(
            nodeSelector=PRODUCT,
            tolerations=[{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
        ),
    ],
)
def test_missing(spec: dict[str, Any]) -> None:
    """A pod that selects nodes with GPUs, and tolerates no taint of theirs."""
    for manifest in (deployment(spec), group(None, spec)):
        (one,) = found([manifest], "G03")
        assert ("warning", "tolerations") == (one.level, one.path[-1])
        assert "Pending" in one.problem.sentence()
        assert one.fix is not None
        assert one.fix.is_safe
        assert one.fix.edits[0].value[-1]["key"] in ("nvidia.com/gpu", "amd.com/gpu")


@pytest.mark.parametrize(
    "spec",
    [
        engine(),
        engine(nodeSelector=PRODUCT, tolerations=[RIGHT]),
        engine(nodeSelector=PRODUCT, tolerations=[{"operator": "Exists"}]),
        engine(nodeSelector=PRODUCT, tolerations=[{"key": "dedicated", "value": "llm"}]),
        engine(nodeSelector=PRODUCT, nodeName="gpu-1"),
        engine(nodeSelector={"kubernetes.io/os": "linux", "pool": "gpu"}),
        engine(nodeSelector={"cloud.google.com/gke-accelerator": "nvidia-l4"}),
        engine(nodeSelector={"cloud.google.com/gke-accelerator": "nvidia-l4"} | PRODUCT),
        engine(nodeSelector={"karpenter.sh/nodepool": "gpu"} | PRODUCT),
        engine(nodeSelector={"eks.amazonaws.com/nodegroup": "gpu"} | PRODUCT),
        engine(nodeSelector={"agentpool": "gpu"} | PRODUCT),
        # One of the terms selects no GPU.
        engine(**affinity({"nvidia.com/gpu.product": ["NVIDIA-L4"]}, {"pool": ["gpu"]})),
        engine("habana.ai/gaudi", nodeSelector=PRODUCT),
        pod_spec(nodeSelector=PRODUCT),
    ],
)
def test_good(spec: dict[str, Any]) -> None:
    """Any toleration, no selection, and platforms that add the toleration."""
    assert [] == sentences([deployment(spec)], "G03")


def test_parts() -> None:
    """What an operator or another file may add is not missing."""
    patch = deployment(engine(nodeSelector=PRODUCT))
    del patch["spec"]["selector"]
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "qwen"},
        "spec": {"predictor": engine(nodeSelector=PRODUCT)},
    }
    assert [] == ids([patch, service], "G03")


@pytest.mark.parametrize(
    ("toleration", "field", "word"),
    [
        ({**RIGHT, "value": "present"}, "value", "operator Exists"),
        ({**RIGHT, "operator": "exists"}, "operator", "'exists'"),
        ({**RIGHT, "operator": 1}, "operator", "does not know"),
        ({**RIGHT, "effect": "noSchedule"}, "effect", "'noSchedule'"),
        ({**RIGHT, "effect": "Never"}, "effect", "'Never'"),
        ({"effect": "NoSchedule"}, "key", "missing"),
        ({"key": "", "operator": "Equal", "value": "x"}, "key", "missing"),
    ],
)
def test_refused(toleration: dict[str, Any], field: str, word: str) -> None:
    """A toleration that the API server refuses."""
    (one,) = found([deployment(engine(tolerations=[toleration]))], "G03")
    assert ("error", field) == (one.level, one.path[-1])
    assert word in one.problem.sentence()


@pytest.mark.parametrize(
    "toleration",
    [
        RIGHT,
        {**RIGHT, "value": ""},
        {"key": "nvidia.com/gpu", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "value": "present"},
        {"key": "gpus", "operator": "Gt", "value": "4"},
        {"operator": "Exists"},
        {"key": "x", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
    ],
)
def test_taken(toleration: dict[str, Any]) -> None:
    """A toleration that the API server takes."""
    assert [] == sentences([deployment(engine(tolerations=[toleration]))], "G03")
