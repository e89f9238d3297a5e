"""Granted: which GPU a pod gets, as its manifest says it."""

from typing import Any

import pytest

from vllm_constructs import EngineArgs, MigSlice, WholeGpu
from vllm_constructs.accelerators.nvidia import PRODUCT
from vllm_constructs.reading.gpus import Granted, granted, used


def on(resource: str, product: str | None, **options: Any) -> Granted:
    """Return what a pod gets with a resource and a node label."""
    labels = {} if product is None else {PRODUCT: product}
    return granted({resource: "1", "cpu": "8"}, labels, options)


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
def test_kinds(resource: str, product: str | None, expected: object, text: str) -> None:
    """Resource and node label together say which GPU or slice it is."""
    assert Granted(expected, 1, text) == on(resource, product)  # type: ignore[arg-type]  # a GPU


@pytest.mark.parametrize(
    ("resource", "product", "problem"),
    [
        ("nvidia.com/gpu", None, f"no node label {PRODUCT} says which GPU it is."),
        ("nvidia.com/gpu", "NVIDIA-L4-SHARED", "how many pods share the GPU is not in"),
        ("nvidia.com/gpu.shared", "NVIDIA-L4", "how many pods share the GPU is not in"),
        ("nvidia.com/gpu", "NVIDIA-B9000", "WholeGpu.product is 'NVIDIA-B9000'"),
        ("nvidia.com/mig-9g.9gb", None, "MigSlice.profile is '9g.9gb'"),
        ("amd.com/gpu", "NVIDIA-L4", "the pod asks for no GPU."),
    ],
)
def test_unknown(resource: str, product: str | None, problem: str) -> None:
    """What the manifest does not say about the GPU is said in words."""
    found = on(resource, product)
    assert found.gpu is None
    assert found.said.startswith(problem)


def test_virtual() -> None:
    """A virtual GPU's memory is in no manifest."""
    found = granted({"nvidia.com/gpu": "1"}, {"nvidia.com/vgpu.present": "true"}, {})
    assert (None, "the memory of a virtual GPU is not in its manifest.") == (found.gpu, found.said)


@pytest.mark.parametrize(("part", "expected"), [(0.22, WholeGpu("NVIDIA-L4")), (0.9, None)])
def test_share(part: float, expected: WholeGpu | None) -> None:
    """A share is planned by the part that vLLM asks for, where that can be one."""
    found = on("nvidia.com/gpu", "NVIDIA-L4-SHARED", **{"gpu-memory-utilization": part})
    assert (expected, "a share of NVIDIA-L4") == (found.gpu, found.text)


def test_used() -> None:
    """The engine's sizes decide how many of the pod's GPUs it uses."""
    gpu = WholeGpu("NVIDIA-L4", count=4)
    assert (gpu, "") == used(gpu, EngineArgs(tensor_parallel_size=2, pipeline_parallel_size=2))
    one, said = used(gpu, EngineArgs())
    assert (WholeGpu("NVIDIA-L4"), "vLLM is told to use 1 of the pod's 4 GPUs.") == (one, said)
    none, said = used(gpu, EngineArgs(data_parallel_size=8))
    assert none is None
    assert "use 8 GPUs (tensor 1 x pipeline 1 x data 8), but the pod has 4" in said
