"""Granted: which GPU a pod gets, as its resources and its node's labels say it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vllm_constructs.accelerators.nvidia import (
    PRODUCT,
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    WholeGpu,
    catalogue,
)
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import VllmConstructsError, refuse
from vllm_constructs.memory.options import Gpu
from vllm_constructs.workloads.plan_annotations import Said

_RESOURCE = "nvidia.com/"
_MIG = "nvidia.com/mig-"


@dataclass(frozen=True)
class Granted:
    """What a pod gets, how many of it, the same in words, and what else there is to say."""

    gpu: Gpu | None
    count: int
    text: str
    said: str = ""


def granted(
    limits: Mapping[str, Any],
    labels: Mapping[str, Any],
    options: Mapping[str, Any],
    said: Said | None = None,
) -> Granted:
    """What a pod gets.

    Args:
        limits: The container's limits.
        labels: The pod's node selector.
        options: The engine's flags by their names without dashes.
        said: What the Deployment's annotations say. Default: nothing.
    """
    said = Said() if said is None else said
    wanted = {
        str(name): int(str(value))
        for name, value in limits.items()
        if str(name).startswith(_RESOURCE) and str(value).isdecimal() and int(str(value))
    }
    if not wanted:
        return Granted(None, 0, "no GPU", "the pod asks for no GPU.")
    resource, count = min(wanted.items())
    product = str(labels[PRODUCT]) if PRODUCT in labels else None
    text = f"{count} x {product or resource}"
    try:
        found = _slice(resource, product, count)
        if found is not None:
            return Granted(found, count, f"MIG {found.profile}")
        if "nvidia.com/vgpu.present" not in labels and product is not None:
            if resource.endswith(".shared") or product.endswith("-SHARED"):
                return _shared(product.removesuffix("-SHARED"), count, options, said)
            gpu = WholeGpu(product, count=count, memory_mib=said.gpu_memory_mib)
            return Granted(gpu, count, text)
        return Granted(_virtual(product, labels, said), count, text)
    except VllmConstructsError as error:
        return Granted(None, count, text, str(error))


def _virtual(product: str | None, labels: Mapping[str, Any], said: Said) -> VirtualGpu:
    if "nvidia.com/vgpu.present" not in labels:
        refuse(f"no node label {PRODUCT} says which GPU it is.")
    if said.gpu_memory_mib is None:
        refuse("the memory of a virtual GPU is not in its manifest.")
    return VirtualGpu(product, memory_mib=said.gpu_memory_mib)


def used(gpu: Gpu, engine: EngineArgs) -> tuple[Gpu | None, str]:
    """The GPUs that the engine uses of those that the pod has, and what there is to say."""
    sizes = (
        engine.tensor_parallel_size or 1,
        engine.pipeline_parallel_size or 1,
        engine.data_parallel_size or 1,
    )
    size = math.prod(sizes)
    if size > gpu.count:
        return None, (
            f"vLLM is told to use {size} GPUs (tensor {sizes[0]} x pipeline {sizes[1]} x data "
            f"{sizes[2]}), but the pod has {gpu.count}."
        )
    if size < gpu.count and isinstance(gpu, WholeGpu):
        said = f"vLLM is told to use {size} of the pod's {gpu.count} GPUs."
        return replace(gpu, count=size), said
    return gpu, ""


def _slice(resource: str, product: str | None, count: int) -> MigSlice | None:
    """The MIG slice that a resource, or with the single strategy a product's suffix, names."""
    if resource.startswith(_MIG):
        return MigSlice(_profile(resource), product=product, count=count)
    if product and "-MIG-" in product:
        name, _, suffix = product.partition("-MIG-")
        return MigSlice(_profile(_MIG + suffix), product=name, count=count, strategy="single")
    return None


def _profile(resource: str) -> str:
    """The MIG profile that a resource stands for."""
    for gpu in catalogue().values():
        for profile, item in gpu["mig"].items():
            if item["resource"] == resource:
                return profile
    return resource.removeprefix(_MIG)


def _shared(product: str, count: int, options: Mapping[str, Any], said: Said) -> Granted:
    """A part of a GPU: how many share it only an annotation says, but vLLM's part may be known."""
    text = f"a share of {product}"
    memory = said.gpu_memory_mib
    if said.gpu_sharing is not None:
        sharing, pods = said.gpu_sharing
        kind: Any = sharing
        gpu = TimeSlicedGpu(product, replicas=pods, sharing=kind, memory_mib=memory)
        return Granted(gpu, count, text)
    part = options.get("gpu-memory-utilization")
    if not isinstance(part, float) or part > 0.5:  # no share of a GPU is more
        return Granted(None, count, text, "how many pods share the GPU is not in the manifest.")
    note = (
        "how many pods share the GPU is not in the manifest; planned is the part that "
        "--gpu-memory-utilization asks for, with time-slicing."
    )
    return Granted(WholeGpu(product, memory_mib=memory), count, text, note)
