"""The nodes of a pod, as its manifest selects them."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import GpuPodSpec, Nodes, VllmConstructsError, WholeGpu
from vllm_constructs.accelerators.nodes import platforms
from vllm_constructs.accelerators.nvidia import catalog
from vllm_constructs.reading.nodes import selected_nodes

PRODUCT = "nvidia.com/gpu.product"
GKE = "cloud.google.com/gke-accelerator"


def with_terms(*terms: dict[str, list[str]], **selector: str) -> dict[str, Any]:
    """A pod with a node selector and required terms of its node affinity."""
    required = {
        "nodeSelectorTerms": [
            {
                "matchExpressions": [
                    {"key": key, "operator": "In", "values": values} for key, values in term.items()
                ]
            }
            for term in terms
        ]
    }
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {"nodeSelector": selector, "affinity": affinity}


@pytest.mark.parametrize(
    ("pod", "products"),
    [
        ({}, ()),
        ({"nodeSelector": {PRODUCT: "NVIDIA-L4"}}, ("NVIDIA-L4",)),
        ({"nodeSelector": {GKE: "nvidia-l4"}}, ("NVIDIA-L4",)),
        ({"nodeSelector": {GKE: "nvidia-tesla-a100"}}, ("NVIDIA-A100-SXM4-40GB",)),
        ({"nodeSelector": {"node.kubernetes.io/instance-type": "g6.xlarge"}}, ("NVIDIA-L4",)),
        ({"nodeSelector": {"node.kubernetes.io/instance-type": "m7i.xlarge"}}, ()),
        (
            {"nodeSelector": {"karpenter.k8s.aws/instance-gpu-name": "a100"}},
            ("NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-SXM4-80GB"),
        ),
        (
            {
                "nodeSelector": {
                    "karpenter.k8s.aws/instance-gpu-name": "a100",
                    "karpenter.k8s.aws/instance-gpu-memory": "81920",
                }
            },
            ("NVIDIA-A100-SXM4-80GB",),
        ),
        ({"nodeSelector": {"gpu.nvidia.com/class": "RTX_A6000"}}, ("NVIDIA-RTX-A6000",)),
        ({"nodeSelector": {"aliyun.accelerator/nvidia_name": "NVIDIA-A10"}}, ("NVIDIA-A10",)),
        (with_terms({PRODUCT: ["NVIDIA-L4"]}), ("NVIDIA-L4",)),
        (with_terms({PRODUCT: ["NVIDIA-L4", "NVIDIA-L40S"]}), ("NVIDIA-L4", "NVIDIA-L40S")),
        (with_terms({PRODUCT: ["NVIDIA-L4"]}, {GKE: ["nvidia-l4"]}), ("NVIDIA-L4",)),
        # A node of the second term may have any GPU.
        (with_terms({PRODUCT: ["NVIDIA-L4"]}, {"pool": ["a"]}), ()),
        (
            with_terms({PRODUCT: ["NVIDIA-L4", "NVIDIA-A10"]}, **{PRODUCT: "NVIDIA-A10"}),
            ("NVIDIA-A10",),
        ),
        ({"nodeSelector": 3, "affinity": {"nodeAffinity": []}}, ()),
    ],
)
def test_products(pod: dict[str, Any], products: tuple[str, ...]) -> None:
    """Labels of all platforms name products; what allows several names them all."""
    assert products == selected_nodes(pod).products


@pytest.mark.parametrize("platform", ["feature-discovery", *platforms()])
def test_round_trip(platform: Any) -> None:
    """What is rendered for a platform is read as the same product, for each that it has."""
    known = 0
    for product in catalog():
        gpu = WholeGpu(product)
        try:
            pod = GpuPodSpec(model="a/b", gpu=gpu, nodes=Nodes(platform))
        except VllmConstructsError:
            continue
        known += 1
        assert product in selected_nodes(strategies.spec_of(pod)).products
    assert known >= 3
