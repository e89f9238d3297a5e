"""What a pod gets, as its manifest says it."""

import re
from typing import Any

import pytest

from vllm_constructs import EngineArgs, MigSlice, Problem, TimeSlicedGpu, VirtualGpu, WholeGpu
from vllm_constructs.accelerators.nvidia import PRODUCT
from vllm_constructs.reading.gpus import PodGpus, gpus_in_use, part_of, pod_gpus
from vllm_constructs.reading.nodes import SelectedNodes, selected_nodes
from vllm_constructs.reading.spelling import as_fields
from vllm_constructs.workloads.plan_annotations import PlanAnnotations


def on(resource: str, product: str | None, count: str = "1") -> PodGpus:
    """Return what a pod gets with a resource and a node label."""
    labels = {} if product is None else {PRODUCT: product}
    return pod_gpus({resource: count, "cpu": "8"}, nodes(labels), {})


def nodes(labels: dict[str, str]) -> SelectedNodes:
    """Return the nodes that a node selector allows."""
    return selected_nodes({"nodeSelector": labels})


def sentence(problem: Problem | None) -> str:
    """Return a problem as manifests spell it."""
    assert problem is not None
    return problem.sentence(as_fields)


A100 = "NVIDIA-A100-80GB-PCIe"
SLICE = "nvidia.com/mig-1g.10gb"


@pytest.mark.parametrize(
    ("resource", "product", "expected", "text"),
    [
        ("nvidia.com/gpu", "NVIDIA-L4", WholeGpu("NVIDIA-L4"), "1 x NVIDIA-L4"),
        (SLICE, None, MigSlice("1g.10gb"), "MIG 1g.10gb"),
        (SLICE, A100, MigSlice("1g.10gb", product=A100), "MIG 1g.10gb"),
        (
            "nvidia.com/gpu",
            f"{A100}-MIG-1g.10gb",
            MigSlice("1g.10gb", product=A100, strategy="single"),
            "MIG 1g.10gb",
        ),
    ],
)
def test_kinds(resource: str, product: str | None, expected: Any, text: str) -> None:
    """Resource and node label together say which GPU or slice it is."""
    assert PodGpus(gpu=expected, count=1, text=text) == on(resource, product)


@pytest.mark.parametrize(
    ("resource", "product", "problem"),
    [
        (
            "nvidia.com/gpu",
            None,
            "no label of the node names the GPU; give its product with --gpu.",
        ),
        ("nvidia.com/gpu", "NVIDIA-L4-SHARED", "how many pods share the GPU is not in"),
        ("nvidia.com/gpu.shared", "NVIDIA-L4", "how many pods share the GPU is not in"),
        ("nvidia.com/gpu", "NVIDIA-B9000", f"nodeSelector['{PRODUCT}'] is 'NVIDIA-B9000'"),
        ("nvidia.com/mig-9g.9gb", None, "the MIG resource in limits is '9g.9gb'"),
        ("amd.com/gpu", "NVIDIA-L4", "the pod requests amd.com/gpu, whose memory is not known."),
    ],
)
def test_unknown(resource: str, product: str | None, problem: str) -> None:
    """What the manifest does not say about the GPU is a problem."""
    found = on(resource, product)
    assert found.gpu is None
    assert sentence(found.problem).startswith(problem)


@pytest.mark.parametrize(
    ("resource", "product", "what"),
    [
        (SLICE, A100, "2 MIG slices"),
        ("nvidia.com/gpu", f"{A100}-MIG-1g.10gb", "2 MIG slices"),
        ("nvidia.com/gpu", "NVIDIA-L4-SHARED", "2 shares of GPUs"),
        ("nvidia.com/gpu.shared", "NVIDIA-L4", "2 shares of GPUs"),
    ],
)
def test_several_parts(resource: str, product: str, what: str) -> None:
    """Several parts of GPUs cannot be planned, since an engine uses one."""
    found = on(resource, product, "2")
    assert (None, 2) == (found.gpu, found.count)
    assert found.problem is not None
    assert "not counted" == found.problem.kind
    assert f"the pod requests {what}, but an engine can use only one; request one" in (
        sentence(found.problem)
    )


def test_virtual() -> None:
    """A virtual GPU's memory is in no field, but an annotation may say it."""
    limits, labels = {"nvidia.com/gpu": "1"}, {"nvidia.com/vgpu.present": "true"}
    found = pod_gpus(limits, nodes(labels), {})
    assert found.gpu is None
    assert "the memory of a virtual GPU is not in its manifest." == sentence(found.problem)
    known = pod_gpus(limits, nodes(labels), {}, PlanAnnotations(gpu_memory_mib=40_960))
    assert (VirtualGpu(memory_mib=40_960), None) == (known.gpu, known.problem)


@pytest.mark.parametrize(("part", "expected"), [(0.22, WholeGpu("NVIDIA-L4")), (0.9, None)])
def test_share(part: float, expected: WholeGpu | None) -> None:
    """A share is planned by the part that vLLM asks for, where that can be one."""
    labels, options = {PRODUCT: "NVIDIA-L4-SHARED"}, {"gpu-memory-utilization": part}
    found = pod_gpus({"nvidia.com/gpu": "1"}, nodes(labels), options)
    assert (expected, "a share of NVIDIA-L4") == (found.gpu, found.text)
    assert "how many pods share the GPU is not in the manifest" in sentence(found.problem)


def test_annotations() -> None:
    """What fields do not say, annotations may."""
    labels = {PRODUCT: "NVIDIA-L4-SHARED"}
    shared = PlanAnnotations(gpu_sharing=("mps", 3))
    found = pod_gpus({"nvidia.com/gpu": "1"}, nodes(labels), {}, shared)
    assert TimeSlicedGpu("NVIDIA-L4", replicas=3, sharing="mps") == found.gpu
    assert found.problem is None


def test_in_use() -> None:
    """The engine's sizes decide how many of the pod's GPUs it uses."""
    gpu = WholeGpu("NVIDIA-L4", count=4)
    engine = EngineArgs(tensor_parallel_size=2, pipeline_parallel_size=2)
    assert (gpu, None) == gpus_in_use(gpu, engine)
    one, note = gpus_in_use(gpu, EngineArgs(tensor_parallel_size=1))
    assert WholeGpu("NVIDIA-L4") == one
    assert "vLLM uses 1 of the pod's 4 GPUs." == sentence(note)
    none, problem = gpus_in_use(gpu, EngineArgs(data_parallel_size=8))
    assert none is None
    assert "needs 8 GPUs (tensor 1 x pipeline 1 x data 8), but the pod has 4" in sentence(problem)


def test_parts_in_use() -> None:
    """Several ranks cannot run on a slice or a share."""
    engine = EngineArgs(tensor_parallel_size=2)
    for part in (MigSlice("1g.10gb"), TimeSlicedGpu("NVIDIA-L4"), VirtualGpu()):
        none, problem = gpus_in_use(part, engine)
        assert none is None
        text = sentence(problem)
        assert "needs 2 GPUs (tensor 2 x pipeline 1 x data 1)" in text
        assert not re.search("MigSlice|WholeGpu|TimeSlicedGpu|VirtualGpu|EngineArgs", text), text


@pytest.mark.parametrize(
    ("resource", "labels", "part"),
    [
        ("nvidia.com/gpu", {}, ""),
        ("nvidia.com/gpu", {PRODUCT: "NVIDIA-L40S"}, ""),
        ("nvidia.com/gpu", {PRODUCT: "NVIDIA-L40S-SHARED"}, "shared GPU"),
        ("nvidia.com/gpu.shared", {}, "shared GPU"),
        ("nvidia.com/mig-1g.10gb", {}, "MIG slice"),
        ("nvidia.com/gpu", {PRODUCT: "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"}, "MIG slice"),
        ("amd.com/gpu", {PRODUCT: "NVIDIA-L40S-SHARED"}, ""),
        ("cpu", {}, ""),
    ],
)
def test_part(resource: str, labels: dict[str, str], part: str) -> None:
    """What part of a GPU a resource is."""
    nodes = selected_nodes({"nodeSelector": labels})
    assert part == part_of({resource: 2}, nodes, PlanAnnotations())
