"""GPUs of a pod, from its resource limits and its node selector."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vllm_constructs.accelerators.amd import AmdGpu
from vllm_constructs.accelerators.cpu import Cpu
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.accelerators.intel import Gaudi, IntelGpu
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nodes import CLIENTS, PARTITION, SHARING
from vllm_constructs.accelerators.nvidia import (
    PRODUCT,
    MigSlice,
    TimeSlicedGpu,
    VirtualGpu,
    WholeGpu,
    catalog,
)
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.parallelism import Parallelism
from vllm_constructs.errors import Problem, VllmConstructsError, escaped, refuse
from vllm_constructs.kube import quantity
from vllm_constructs.workloads.plan_annotations import PlanAnnotations

from .nodes import SelectedNodes
from .other_accelerators import of_resources

_RESOURCE = "nvidia.com/"
_MIG = "nvidia.com/mig-"
_VIRTUAL = "nvidia.com/vgpu.present"
# GPUs of other vendors.
_OTHER = re.compile(r"(amd|intel|habana|google|huawei|aws)[\w.]*/")


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
    nodes: SelectedNodes,
    options: Mapping[str, Any],
    annotations: PlanAnnotations | None = None,
    assumed: str | None = None,
    *,
    has_claims: bool = False,
    found_elsewhere: Gpu | None = None,
) -> PodGpus:
    """The GPUs of a pod.

    Args:
        limits: The container's resource limits.
        nodes: The nodes on which it may run.
        options: The engine's flags by their names without dashes.
        annotations: The annotations of the workload. Default: none.
        assumed: The product of a pod whose manifest does not name it. Default: none.
        has_claims: Whether the container has resource claims. Default: False.
        found_elsewhere: What it claims, or runs on without devices. Default: neither.
    """
    annotations = PlanAnnotations() if annotations is None else annotations
    amounts = {str(name): quantity.parse(str(value)) for name, value in limits.items()}
    counts = {
        name: int(amount)
        for name, amount in amounts.items()
        if "/" in name and amount and amount == int(amount)
    }
    resources = {name: count for name, count in counts.items() if name.startswith(_RESOURCE)}
    if not resources:
        other = found_elsewhere or _of_resources(counts, nodes.labels, annotations, assumed)
        if isinstance(other, PodGpus):
            return other
        return _none(amounts, has_claims=has_claims) if other is None else _others(other)
    return _of_nvidia(resources, nodes, options, annotations, assumed)


def _of_nvidia(
    resources: Mapping[str, int],
    nodes: SelectedNodes,
    options: Mapping[str, Any],
    annotations: PlanAnnotations,
    assumed: str | None,
) -> PodGpus:
    """NVIDIA's GPUs: whole, sliced, shared or virtual ones."""
    resource, count = min(resources.items())
    product = _product(nodes, annotations) or assumed
    text = f"{count} x {product or resource}"
    try:
        mig = _slice(resource, product, _profile_of(nodes, annotations), count)
        if mig is not None:
            return PodGpus(gpu=mig, count=count, text=f"MIG {mig.profile}")
        if _is_shared(resource, product, nodes.labels, annotations):
            if SHARING in nodes.labels and annotations.gpu_sharing is None:
                return _shared_on_gke(str(product), nodes.labels, count)
            name = str(product).removesuffix("-SHARED")
            return _shared(name, count, options, annotations)
        gpu = _whole(product, nodes, count, annotations)
        return PodGpus(gpu=gpu, count=count, text=text)
    except VllmConstructsError as error:
        return PodGpus(gpu=None, count=count, text=text, problem=error.problem)


def part_of(limits: Mapping[str, Any], nodes: SelectedNodes, annotations: PlanAnnotations) -> str:
    """What part of a GPU each of a pod's GPUs is: `"MIG slice"`, `"shared GPU"` or empty.

    Args:
        limits: The container's resource limits.
        nodes: The nodes on which it may run.
        annotations: The annotations of the workload.
    """
    resource = min((str(name) for name in limits if str(name).startswith(_RESOURCE)), default="")
    product = _product(nodes, annotations)
    is_cut = resource.startswith(_MIG) or "-MIG-" in (product or "")
    if resource and (is_cut or _profile_of(nodes, annotations) is not None):
        return "MIG slice"
    is_shared = _is_shared(resource, product, nodes.labels, annotations)
    return "shared GPU" if resource and (is_shared or resource.endswith(".shared")) else ""


def _none(amounts: Iterable[str], *, has_claims: bool) -> PodGpus:
    """A pod whose devices are not known."""
    others = sorted(name for name in amounts if _OTHER.search(name))
    text = "the pod requests no GPU"
    if others:
        text = escaped(f"the pod requests {' and '.join(others)}, whose memory is not known")
    if has_claims:
        text = "the pod gets its GPUs from resource claims that are not in the manifests"
    return PodGpus(gpu=None, count=0, text="no GPU", problem=_unknown(text))


def _of_resources(
    counts: Mapping[str, int],
    labels: Mapping[str, str],
    annotations: PlanAnnotations,
    assumed: str | None,
) -> Gpu | PodGpus | None:
    try:
        return of_resources(counts, labels, annotations, assumed)
    except VllmConstructsError as error:
        return PodGpus(gpu=None, count=0, text="no GPU", problem=error.problem)


def _others(gpu: Gpu) -> PodGpus:
    """Accelerators that are not requested as NVIDIA's resources."""
    if isinstance(gpu, Cpu):
        return PodGpus(gpu=gpu, count=0, text=f"{gpu.cores} CPU cores")
    if isinstance(gpu, DeviceClaim) and gpu.profile is not None:
        return PodGpus(gpu=gpu, count=1, text=f"MIG {gpu.profile}")
    if isinstance(gpu, DeviceClaim) and gpu.shared_by > 1:
        return PodGpus(gpu=gpu, count=1, text=f"a share of {gpu.product}")
    name = gpu.product or gpu.resource or "GPU"
    text, problem = f"{gpu.count} x {name}", None
    if gpu.device_mib is None:
        problem = _unknown(f"the pod requests {escaped(name)}, whose memory is not known")
    known = None if problem else gpu
    return PodGpus(gpu=known, count=gpu.count, text=text, problem=problem)


def _profile_of(nodes: SelectedNodes, annotations: PlanAnnotations) -> str | None:
    """The MIG profile that labels of GKE or an annotation name."""
    return nodes.labels.get(PARTITION) or annotations.gpu_mig


def _is_shared(
    resource: str, product: str | None, labels: Mapping[str, str], annotations: PlanAnnotations
) -> bool:
    if product is None or _VIRTUAL in labels:
        return False
    if annotations.gpu_sharing is not None:
        return True
    return SHARING in labels or resource.endswith(".shared") or product.endswith("-SHARED")


def _whole(
    product: str | None, nodes: SelectedNodes, count: int, annotations: PlanAnnotations
) -> WholeGpu | VirtualGpu:
    """Whole GPUs of the product, or a virtual one."""
    if _VIRTUAL in nodes.labels:
        return _virtual(product, annotations)
    if product is not None:
        return WholeGpu(product, count=count, memory_mib=annotations.gpu_memory_mib)
    if annotations.gpu_memory_mib is not None:
        return WholeGpu(count=count, memory_mib=annotations.gpu_memory_mib)
    text = "no label of the node names the GPU"
    if nodes.products:
        text = f"the labels of the node allow {' or '.join(nodes.products)}"
    advice = "give its product with --gpu"
    return refuse(Problem(text=text, advice=advice, kind="not counted"))


def _unknown(text: str) -> Problem:
    return Problem(text=text, kind="not counted")


def _virtual(product: str | None, annotations: PlanAnnotations) -> VirtualGpu:
    if annotations.gpu_memory_mib is None:
        refuse(_unknown("the memory of a virtual GPU is not in its manifest"))
    return VirtualGpu(product, memory_mib=annotations.gpu_memory_mib)


_DIVISIBLE = (WholeGpu, DeviceClaim, AmdGpu, IntelGpu, Gaudi)


def gpus_in_use(gpu: Gpu, engine: EngineArgs) -> tuple[Gpu | None, Problem | None]:
    """The GPUs of the pod that the engine uses, and why it uses others than the pod has.

    Args:
        gpu: The GPUs of the pod.
        engine: Flags of the engine.
    """
    sizes = Parallelism.of(engine, gpu.devices)
    problem = sizes.problem(gpu)
    if problem is None:
        return gpu, None
    if sizes.gpus < gpu.count and isinstance(gpu, _DIVISIBLE):
        text = f"vLLM uses {sizes.gpus} of the pod's {gpu.count} {gpu.unit}"
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


def _product(nodes: SelectedNodes, annotations: PlanAnnotations) -> str | None:
    """The product that a manifest names, as feature discovery labels its nodes."""
    if PRODUCT in nodes.labels:
        return nodes.labels[PRODUCT]
    return nodes.products[0] if len(nodes.products) == 1 else annotations.gpu_product


def _slice(resource: str, product: str | None, profile: str | None, count: int) -> MigSlice | None:
    """The MIG slice of a resource, of a product's suffix with the single strategy, or of GKE."""
    if profile is not None and product is not None:
        _check_one(count, "MIG slices")
        return MigSlice(profile, product=product.partition("-MIG-")[0], strategy="single")
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


def _shared_on_gke(product: str, labels: Mapping[str, str], count: int) -> PodGpus:
    """A share of a GPU, from the labels of its node pool on GKE."""
    _check_one(count, "shares of GPUs")
    pods = labels.get(CLIENTS, "")
    text = f"a share of {product}"
    if not pods.isdecimal():
        problem = _unknown("how many pods share the GPU is not in the manifest")
        return PodGpus(gpu=None, count=count, text=text, problem=problem)
    sharing: Any = "mps" if labels[SHARING] == "mps" else "time-slicing"
    gpu = TimeSlicedGpu(product, replicas=int(pods), sharing=sharing)
    return PodGpus(gpu=gpu, count=count, text=text)


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
