"""GPUs of a pod, from its resource limits and its node selector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vllm_constructs.accelerators.nvidia import (
    PRODUCT,
    Gpu,
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    WholeGpu,
    catalog,
)
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.parallelism import Parallelism
from vllm_constructs.errors import Problem, VllmConstructsError, refuse
from vllm_constructs.workloads.plan_annotations import PlanAnnotations

_RESOURCE = "nvidia.com/"
_MIG = "nvidia.com/mig-"


@dataclass(frozen=True, kw_only=True)
class PodGpus:
    """The GPUs of a pod.

    Args:
        gpu: The GPU; None if the manifest does not specify it.
        count: GPUs (or slices) of the pod.
        text: GPU and count in words.
        problem: Why `gpu` is None, or what is assumed. Default: None.
    """

    gpu: Gpu | None
    count: int
    text: str
    problem: Problem | None = None


def pod_gpus(
    limits: Mapping[str, Any],
    labels: Mapping[str, Any],
    options: Mapping[str, Any],
    annotations: PlanAnnotations | None = None,
) -> PodGpus:
    """The GPUs of a pod.

    Args:
        limits: The container's resource limits.
        labels: The pod's node selector.
        options: The engine's flags by their names without dashes.
        annotations: The annotations of the workload. Default: none.
    """
    annotations = PlanAnnotations() if annotations is None else annotations
    resources = {
        str(name): int(str(value))
        for name, value in limits.items()
        if str(name).startswith(_RESOURCE) and str(value).isdecimal() and int(str(value))
    }
    if not resources:
        problem = _unknown("the pod requests no GPU")
        return PodGpus(gpu=None, count=0, text="no GPU", problem=problem)
    resource, count = min(resources.items())
    product = str(labels[PRODUCT]) if PRODUCT in labels else None
    text = f"{count} x {product or resource}"
    try:
        mig = _slice(resource, product, count)
        if mig is not None:
            return PodGpus(gpu=mig, count=count, text=f"MIG {mig.profile}")
        if "nvidia.com/vgpu.present" not in labels and product is not None:
            if resource.endswith(".shared") or product.endswith("-SHARED"):
                return _shared(product.removesuffix("-SHARED"), count, options, annotations)
            gpu = WholeGpu(product, count=count, memory_mib=annotations.gpu_memory_mib)
            return PodGpus(gpu=gpu, count=count, text=text)
        return PodGpus(gpu=_virtual(product, labels, annotations), count=count, text=text)
    except VllmConstructsError as error:
        return PodGpus(gpu=None, count=count, text=text, problem=error.problem)


def _unknown(text: str) -> Problem:
    return Problem(text=text, kind="not counted")


def _virtual(
    product: str | None, labels: Mapping[str, Any], annotations: PlanAnnotations
) -> VirtualGpu:
    if "nvidia.com/vgpu.present" not in labels:
        refuse(_unknown(f"nodeSelector has no label {PRODUCT}, so the GPU is not known"))
    if annotations.gpu_memory_mib is None:
        refuse(_unknown("the memory of a virtual GPU is not in its manifest"))
    return VirtualGpu(product, memory_mib=annotations.gpu_memory_mib)


def gpus_in_use(gpu: Gpu, engine: EngineArgs) -> tuple[Gpu | None, Problem | None]:
    """The GPUs of the pod that the engine uses, and why it uses others than the pod has.

    Args:
        gpu: The GPUs of the pod.
        engine: Flags of the engine.
    """
    sizes = Parallelism.of(engine, gpu.count)
    problem = sizes.problem(gpu)
    if problem is None:
        return gpu, None
    if sizes.gpus < gpu.count and isinstance(gpu, WholeGpu):
        text = f"vLLM uses {sizes.gpus} of the pod's {gpu.count} GPUs"
        return replace(gpu, count=sizes.gpus), Problem(text=text)
    if not isinstance(gpu, WholeGpu):
        return None, problem
    # Without a tensor parallel size vLLM uses one GPU, whatever the pod has.
    count = f"give {{WholeGpu.count={sizes.gpus}}}, or " if sizes.gpus <= gpu.most else "give "
    return None, replace(problem, advice=f"{count}smaller sizes")


def _check_one(count: int, what: str) -> None:
    """Reject several slices or shares, since an engine can use only one."""
    if count != 1:
        refuse(
            Problem(
                text=f"the pod requests {count} {what}, but an engine can use only one",
                advice="request one, and more replicas for more throughput",
                kind="not counted",
            )
        )


def _slice(resource: str, product: str | None, count: int) -> MigSlice | None:
    """The MIG slice of a resource, or of a product's suffix with the single strategy."""
    if resource.startswith(_MIG):
        _check_one(count, "MIG slices")
        return MigSlice(_profile(resource), product=product)
    if product and "-MIG-" in product:
        name, _, suffix = product.partition("-MIG-")
        _check_one(count, "MIG slices")
        return MigSlice(_profile(_MIG + suffix), product=name, strategy="single")
    return None


def _profile(resource: str) -> str:
    """The MIG profile of a resource."""
    for gpu in catalog().values():
        for profile, item in gpu["mig"].items():
            if item["resource"] == resource:
                return profile
    return resource.removeprefix(_MIG)


def _shared(
    product: str, count: int, options: Mapping[str, Any], annotations: PlanAnnotations
) -> PodGpus:
    """A share of a GPU, from an annotation, or approximately from `--gpu-memory-utilization`."""
    text = f"a share of {product}"
    _check_one(count, "shares of GPUs")
    memory = annotations.gpu_memory_mib
    if annotations.gpu_sharing is not None:
        sharing, pods = annotations.gpu_sharing
        kind: Any = sharing
        gpu = TimeSlicedGpu(product, replicas=pods, sharing=kind, memory_mib=memory)
        return PodGpus(gpu=gpu, count=count, text=text)
    part = options.get("gpu-memory-utilization")
    if not isinstance(part, float) or part > 0.5:  # no share is larger
        problem = _unknown("how many pods share the GPU is not in the manifest")
        return PodGpus(gpu=None, count=count, text=text, problem=problem)
    note = _unknown(
        "how many pods share the GPU is not in the manifest; the plan assumes time-slicing and the "
        "share in {gpu_memory_utilization}"
    )
    whole = WholeGpu(product, memory_mib=memory)
    return PodGpus(gpu=whole, count=count, text=text, problem=note)
