"""Annotations of a workload for `vllm-constructs plan`: options for which there is no field.

With them, manifests have the same plan as the app that rendered them. The workload has them, not
its pod template, so that a change of them starts no rollout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vllm_constructs.accelerators import amd, google, intel
from vllm_constructs.accelerators.amd import AmdGpu
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nodes import Labels, products_selected
from vllm_constructs.accelerators.nvidia import PRODUCT, MigSlice, NvidiaGpu, TimeSlicedGpu
from vllm_constructs.dataclass import dataclass
from vllm_constructs.kube.names import PREFIX

MODEL = f"{PREFIX}/model"
"""The model of a pod, which its template has as an annotation."""
VLLM = f"{PREFIX}/vllm"
MODEL_SHAPE = f"{PREFIX}/model-shape"
GPU_MIG = f"{PREFIX}/gpu-mig"
GPU_MEMORY = f"{PREFIX}/gpu-memory-mib"
GPU_PRODUCT = f"{PREFIX}/gpu-product"
GPU_SHARING = f"{PREFIX}/gpu-sharing"
REPLICAS = f"{PREFIX}/replicas"


@dataclass(frozen=True, kw_only=True)
class PlanAnnotations:
    """The annotations of a workload that its plan needs; None for those that it lacks.

    Args:
        vllm: The release in the image.
        model_shape: The model of the catalog whose shape the model has.
        gpu_memory_mib: Memory of one GPU in MiB.
        gpu_mig: The MIG profile, if neither resource nor labels name it.
        gpu_product: The GPU's product, if the labels of its nodes do not name it.
        gpu_sharing: How pods share a GPU, and how many of them.
        replicas: The range of replicas that an autoscaler outside of the app sets.
    """

    vllm: str | None = None
    model_shape: str | None = None
    gpu_memory_mib: int | None = None
    gpu_mig: str | None = None
    gpu_product: str | None = None
    gpu_sharing: tuple[str, int] | None = None
    replicas: tuple[int, int] | None = None


def make_plan_annotations(
    *,
    gpu: Gpu,
    nodes: Labels,
    vllm: str | None,
    shape: str | None,
    replicas: tuple[int, int] | None = None,
) -> dict[str, str]:
    """The annotations of a model's workload.

    Args:
        gpu: What a pod gets.
        nodes: Labels of its nodes with their allowed values.
        vllm: The release that is given for the image; None if its tag has it.
        shape: Name of the shape in the catalog; None if no shape is given, or another one.
        replicas: The range that an autoscaler outside of the app sets. Default: there is none.
    """
    annotations = _of_claim(gpu) if isinstance(gpu, DeviceClaim) else {}
    memory = getattr(gpu, "memory_mib", None)
    if memory is not None:
        annotations[GPU_MEMORY] = str(memory)
    if gpu.product is not None and not _is_named(gpu, nodes):
        annotations[GPU_PRODUCT] = gpu.product
    if isinstance(gpu, MigSlice) and gpu.strategy == "single":
        annotations[GPU_MIG] = gpu.profile
    if isinstance(gpu, TimeSlicedGpu):
        annotations[GPU_SHARING] = f"{gpu.sharing}/{gpu.replicas}"
    if replicas is not None:
        annotations[REPLICAS] = f"{replicas[0]}-{replicas[1]}"
    if shape is not None:
        annotations[MODEL_SHAPE] = shape
    if vllm is not None:
        annotations[VLLM] = vllm
    return annotations


def _of_claim(gpu: DeviceClaim) -> dict[str, str]:
    """The annotations of a device claim; one that exists is not in the manifests."""
    found = {GPU_SHARING: f"claim/{gpu.shared_by}"} if gpu.shared_by > 1 else {}
    if gpu.resource_claim is not None and gpu.profile is not None:
        found[GPU_MIG] = gpu.profile
    return found


def _is_named(gpu: Gpu, nodes: Labels) -> bool:
    """Whether the labels of its nodes, or its claim, name the product of a GPU."""
    if isinstance(gpu, DeviceClaim):
        return gpu.resource_claim is None
    if isinstance(gpu, NvidiaGpu):
        return PRODUCT in nodes or products_selected(nodes) == [gpu.product]
    if isinstance(gpu, AmdGpu):
        return [amd.product_of(one) or one for one in nodes.get(amd.PRODUCT, ())] == [gpu.product]
    return intel.PRODUCT in nodes or google.ACCELERATOR in nodes


def read_plan_annotations(annotations: Mapping[str, Any]) -> PlanAnnotations:
    """The plan annotations of a workload, without those that are invalid.

    Args:
        annotations: All annotations of the workload.
    """
    strings = {key: value for key, value in annotations.items() if isinstance(value, str)}
    memory = strings.get(GPU_MEMORY, "")
    low, _, high = strings.get(REPLICAS, "").partition("-")
    sharing, _, pods = strings.get(GPU_SHARING, "").partition("/")
    return PlanAnnotations(
        vllm=strings.get(VLLM),
        model_shape=strings.get(MODEL_SHAPE),
        gpu_memory_mib=int(memory) if _is_number(memory) else None,
        gpu_mig=strings.get(GPU_MIG),
        gpu_product=strings.get(GPU_PRODUCT),
        replicas=(int(low), int(high)) if _is_number(low) and _is_number(high) else None,
        gpu_sharing=(sharing, int(pods)) if _is_number(pods) else None,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9
