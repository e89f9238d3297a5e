"""The nodes of a pod, as its manifest selects them."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import (
    GpuPodSpec,
    MigSlice,
    Nodes,
    TimeSlicedGpu,
    VllmConstructsError,
    WholeGpu,
)
from vllm_constructs.accelerators.nodes import platforms
from vllm_constructs.accelerators.nvidia import catalog
from vllm_constructs.reading.gpus import pod_gpus
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.nodes import node_terms, selected_nodes
from vllm_constructs.reading.pods import pods_of
from vllm_constructs.workloads.plan_annotations import make_plan_annotations, read_plan_annotations

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


@pytest.mark.parametrize("platform", ["feature-discovery", "any", *platforms()])
@pytest.mark.parametrize(
    "gpu",
    [
        WholeGpu("NVIDIA-A100-SXM4-80GB", count=8),
        MigSlice("3g.40gb", product="NVIDIA-A100-SXM4-80GB", strategy="single"),
        MigSlice("3g.40gb", product="NVIDIA-A100-SXM4-80GB"),
        TimeSlicedGpu("NVIDIA-A100-SXM4-80GB", replicas=2, sharing="mps"),
        TimeSlicedGpu("NVIDIA-A100-SXM4-80GB", replicas=2),
    ],
)
def test_gpus(platform: Any, gpu: Any) -> None:
    """A GPU, slice or share is read back as it is, on each platform that has it."""
    try:
        pod = GpuPodSpec(model="a/b", gpu=gpu, nodes=Nodes(platform))
    except VllmConstructsError:
        assert platform not in ("feature-discovery", "any")
        return
    annotations = make_plan_annotations(gpu=gpu, nodes=pod.all_node_labels, vllm=None, shape=None)
    spec = strategies.spec_of(pod)
    limits = spec["containers"][0]["resources"]["limits"]
    found = pod_gpus(limits, selected_nodes(spec), {}, read_plan_annotations(annotations))

    assert gpu == found.gpu


def test_excluded() -> None:
    """A product that another expression excludes is not one that may be."""
    pod = with_terms({GKE: ["nvidia-l4", "nvidia-tesla-t4"]})
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    term["matchExpressions"].insert(
        0, {"key": GKE, "operator": "NotIn", "values": ["nvidia-tesla-t4"]}
    )
    assert ("NVIDIA-L4",) == selected_nodes(pod).products


def test_terms() -> None:
    """One list for each term, with the fields that lead to each label."""
    affinity = with_terms({"a": ["1", "2"]}, {"b": ["3"]}, own="x")
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": affinity}
    expressions = affinity["affinity"]["nodeAffinity"]
    terms = expressions["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    terms[1]["matchExpressions"] += [
        {"key": "c", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
        {"key": "e", "operator": "NotIn", "values": ["1"]},
        None,
    ]
    (pod,) = pods_of(Manifest(body))
    found = [[(one.key, one.values) for one in term] for term in node_terms(pod)]

    assert [
        [("own", ("x",)), ("a", ("1", "2"))],
        [("own", ("x",)), ("b", ("3",)), ("c", ())],
    ] == found
    for term in node_terms(pod):
        assert all(pod.manifest.at(*one.path) for one in term)


def test_no_terms() -> None:
    """Without affinity there is the selector alone."""
    body = {"apiVersion": "v1", "kind": "Pod", "spec": {"nodeSelector": {"a": 1}}}
    (pod,) = pods_of(Manifest(body))
    assert [[("a", ("1",))]] == [[(one.key, one.values) for one in x] for x in node_terms(pod)]
