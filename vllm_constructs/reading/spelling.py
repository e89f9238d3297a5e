"""The spelling of a problem's options in manifests."""

from __future__ import annotations

from vllm_constructs.accelerators import amd, google, intel
from vllm_constructs.accelerators.cpu import SPACE
from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.workloads import plan_annotations

_PRODUCT = "nodeSelector['nvidia.com/gpu.product']"
_CLAIM = "the resource claim"
_FIELDS = {
    "AmdGpu": "GPUs of AMD",
    "AmdGpu.count": f"limits[{amd.RESOURCE!r}]",
    "AmdGpu.product": f"nodeSelector[{amd.PRODUCT!r}]",
    "Cpu": "CPUs",
    "Cpu.cores": "limits['cpu']",
    "Cpu.kv_cache_gib": f"env[{SPACE!r}]",
    "Cpu.memory_gib": "limits['memory']",
    "Cpu.numa_nodes": "--tensor-parallel-size",
    "DeviceClaim": "device claim",
    "DeviceClaim.count": f"count of {_CLAIM}",
    "DeviceClaim.product": f"the product of {_CLAIM}",
    "DeviceClaim.profile": f"the MIG profile of {_CLAIM}",
    "DeviceClaim.resource_claim": _CLAIM,
    "DeviceClaim.shared_by": f"the annotation {plan_annotations.GPU_SHARING}",
    "Gaudi": "Gaudi accelerators",
    "Gaudi.count": f"limits[{intel.GAUDI_RESOURCE!r}]",
    "Gaudi.product": f"the annotation {plan_annotations.GPU_PRODUCT}",
    "IntelGpu": "GPUs of Intel",
    "IntelGpu.count": f"limits[{intel.RESOURCES[0]!r}]",
    "IntelGpu.product": f"nodeSelector[{intel.PRODUCT!r}]",
    "Tpu": "TPU",
    "Tpu.product": f"nodeSelector[{google.ACCELERATOR!r}]",
    "Tpu.topology": f"nodeSelector[{google.TOPOLOGY!r}]",
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
    "HorizontalPodAutoscaler.max_replicas": "maxReplicas of the HorizontalPodAutoscaler",
    "HorizontalPodAutoscaler.min_replicas": "minReplicas of the HorizontalPodAutoscaler",
    "ScaledObject.max_replicas": "maxReplicaCount of the ScaledObject",
    "ScaledObject.min_replicas": "minReplicaCount of the ScaledObject",
    "WholeGpu": "whole GPUs",
    "WholeGpu.count": "limits['nvidia.com/gpu']",
    "WholeGpu.product": _PRODUCT,
    "image": "image",
    "max_unavailable": "maxUnavailable",
    "min_available": "minAvailable",
    "api_key": "--api-key",
    "env": "env",
    "lora_adapters": "--lora-modules",
    "runtime_lora_loading": "env['VLLM_ALLOW_RUNTIME_LORA_UPDATING']",
    "vllm": f"the annotation {plan_annotations.VLLM}",
} | {
    f"{kind}.memory_mib": f"the annotation {plan_annotations.GPU_MEMORY}"
    for kind in ("AmdGpu", "IntelGpu", "TimeSlicedGpu", "VirtualGpu", "WholeGpu")
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
