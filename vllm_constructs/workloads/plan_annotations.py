"""Annotations: what was said of a model and has no field of its own in its manifest.

They stand on the Deployment, not on its pods, so that they roll nothing. `vllm-constructs plan`
reads them, and plans from manifests what the app planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vllm_constructs.accelerators.nvidia import TimeSlicedGpu

if TYPE_CHECKING:
    from .pod import GpuPodSpec

VLLM = "vllm-constructs/vllm"
MODEL_SHAPE = "vllm-constructs/model-shape"
GPU_MEMORY = "vllm-constructs/gpu-memory-mib"
GPU_SHARING = "vllm-constructs/gpu-sharing"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the annotations of a Deployment say; None where they do not.

    Args:
        vllm: The release in the image.
        model_shape: The model of the catalogue that has the model's shape.
        gpu_memory_mib: Memory of one GPU in MiB.
        gpu_sharing: How pods share a GPU, and how many of them.
    """

    vllm: str | None = None
    model_shape: str | None = None
    gpu_memory_mib: int | None = None
    gpu_sharing: tuple[str, int] | None = None


def annotations_of(pod: GpuPodSpec, shape: str | None) -> dict[str, str]:
    """The annotations of a model's Deployment.

    Args:
        pod: The pod.
        shape: Name of the shape that was given, where it is one of the catalogue.
    """
    found: dict[str, str] = {}
    memory = getattr(pod.gpu, "memory_mib", None)
    if memory is not None:
        found[GPU_MEMORY] = str(memory)
    if isinstance(pod.gpu, TimeSlicedGpu):
        found[GPU_SHARING] = f"{pod.gpu.sharing}/{pod.gpu.replicas}"
    if shape is not None:
        found[MODEL_SHAPE] = shape
    if pod.vllm is not None:
        found[VLLM] = pod.vllm
    return found


def said_in(found: Mapping[str, Any]) -> Said:
    """What a Deployment's annotations say, as far as it can be read.

    Args:
        found: The annotations, as the manifest has them.
    """
    texts = {key: value for key, value in found.items() if isinstance(value, str)}
    memory = texts.get(GPU_MEMORY, "")
    sharing, _, pods = texts.get(GPU_SHARING, "").partition("/")
    return Said(
        vllm=texts.get(VLLM),
        model_shape=texts.get(MODEL_SHAPE),
        gpu_memory_mib=int(memory) if _is_number(memory) else None,
        gpu_sharing=(sharing, int(pods)) if _is_number(pods) else None,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9
