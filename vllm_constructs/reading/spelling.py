"""The spelling of a problem's options in manifests."""

from __future__ import annotations

from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.workloads import plan_annotations

_PRODUCT = "nodeSelector['nvidia.com/gpu.product']"
_FIELDS = {
    "EngineArgs": "the container's command line",
    "MigSlice": "MIG slice",
    "MigSlice.product": _PRODUCT,
    "MigSlice.profile": "the MIG resource in limits",
    "MigSlice.strategy": "mig.strategy",
    "TimeSlicedGpu": "share of a GPU",
    "TimeSlicedGpu.product": _PRODUCT,
    "TimeSlicedGpu.renamed": "renameByDefault",
    "TimeSlicedGpu.sharing": f"the annotation {plan_annotations.GPU_SHARING}",
    "TimeSlicedGpu.replicas": f"the annotation {plan_annotations.GPU_SHARING}",
    "VirtualGpu": "virtual GPU",
    "VirtualGpu.product": _PRODUCT,
    "WholeGpu": "whole GPUs",
    "WholeGpu.count": "limits['nvidia.com/gpu']",
    "WholeGpu.product": _PRODUCT,
    "image": "image",
    "vllm": f"the annotation {plan_annotations.VLLM}",
} | {
    f"{kind}.memory_mib": f"the annotation {plan_annotations.GPU_MEMORY}"
    for kind in ("TimeSlicedGpu", "VirtualGpu", "WholeGpu")
}


def as_fields(option: str, value: str | None = None) -> str:
    """An option as the field of a manifest, or the flag in a container's args.

    Args:
        option: Its Python name.
        value: Its value as Python code. Default: None, which names the option only.
    """
    if option in _FIELDS:
        return _FIELDS[option] if value is None else f"{_FIELDS[option]}: {value}"
    return as_flags(option, value)
