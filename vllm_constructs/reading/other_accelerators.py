"""Accelerators of other vendors, CPUs and device claims of a pod, from its manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vllm_constructs.accelerators import amd, google, intel
from vllm_constructs.accelerators.amd import AmdGpu
from vllm_constructs.accelerators.cpu import ARCHITECTURE, SPACE, Cpu
from vllm_constructs.accelerators.device_claim import CLASSES, DeviceClaim
from vllm_constructs.accelerators.google import Tpu
from vllm_constructs.accelerators.intel import Gaudi, IntelGpu
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nvidia import catalog
from vllm_constructs.kube import quantity
from vllm_constructs.workloads.plan_annotations import PlanAnnotations

from .fields import integer, items, mapping

_PRODUCT = re.compile(r"productName[^'\"]*?(?:'[^']*'[^'\"]*?){0,2}?==\s*['\"]([^'\"]+)['\"]")
_PROFILE = re.compile(r"\.profile\s*==\s*['\"]([^'\"]+)['\"]")
_GIB = 2**30


def of_resources(
    counts: Mapping[str, int],
    labels: Mapping[str, str],
    annotations: PlanAnnotations,
    assumed: str | None = None,
) -> Gpu | None:
    """The accelerators of AMD, Intel or Google that a container requests; None if there are none.

    Args:
        counts: Whole amounts of the container's limits.
        labels: Labels of the node.
        annotations: Annotations of the workload.
        assumed: The product if the manifest does not name it; ignored if it is another vendor's.
            Default: none.

    Raises:
        VllmConstructsError: The memory of the product is not known.
    """
    memory, product = annotations.gpu_memory_mib, annotations.gpu_product
    if counts.get(amd.RESOURCE):
        named = product or labels.get(amd.PRODUCT) or labels.get(f"beta.{amd.PRODUCT}")
        named = named or (assumed if assumed and amd.product_of(assumed) else None)
        return AmdGpu(named, count=counts[amd.RESOURCE], memory_mib=memory)
    for resource in intel.RESOURCES:
        if counts.get(resource):
            driver: Any = resource.rpartition("/")[2]
            named = product or labels.get(intel.PRODUCT)
            named = named or (assumed if assumed in intel.MEMORY else None)
            return IntelGpu(named, count=counts[resource], driver=driver, memory_mib=memory)
    if counts.get(intel.GAUDI_RESOURCE):
        label = labels.get("habana.ai/product.name", "").replace("-", "").lower()
        known = next((one for one in intel.GAUDI_MEMORY if one.lower() in label), product)
        known = known or (assumed if assumed in intel.GAUDI_MEMORY else None)
        generation: Any = known
        return Gaudi(generation, count=counts[intel.GAUDI_RESOURCE])
    if counts.get(google.RESOURCE) and google.ACCELERATOR in labels:
        return Tpu(labels[google.ACCELERATOR], topology=labels.get(google.TOPOLOGY, ""))
    return None


def of_cpus(
    limits: Mapping[str, Any], env: Mapping[str, str], ranks: int, labels: Mapping[str, str]
) -> Cpu | None:
    """The CPUs and the memory of a container; None if it has no memory limit.

    Args:
        limits: The container's limits.
        env: Its variables.
        ranks: The engine's tensor parallel size, one for each NUMA node.
        labels: Labels of the node.
    """
    cores, memory = (quantity.parse(str(limits.get(name))) for name in ("cpu", "memory"))
    if not memory:
        return None
    is_arm = labels.get(ARCHITECTURE) == "arm64"
    space = env.get(SPACE, "")
    return Cpu(
        cores=max(1, int(cores or 1)),
        memory_gib=int(memory) // _GIB,
        kv_cache_gib=int(space) if space.isdecimal() and int(space) else None,
        numa_nodes=ranks,
        architecture="arm64" if is_arm else "amd64",
    )


def of_claims(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    specs: Mapping[tuple[str, str], Mapping[str, Any]],
    annotations: PlanAnnotations,
    *,
    assumed: str | None,
    ranks: int,
) -> DeviceClaim | None:
    """The GPUs that a container claims; None if the claims are not in the manifests.

    Args:
        pod: The `spec` of the pod.
        container: The container.
        specs: The specs of claims and templates in one namespace, by kind and name.
        annotations: Annotations of the workload.
        assumed: The product where a claim does not name it.
        ranks: The GPUs over which the engine is split.

    Raises:
        VllmConstructsError: The product is not known.
    """
    used = {
        str(mapping(one).get("name"))
        for one in items(mapping(container, "resources").get("claims"))
    }
    for claim in map(mapping, items(pod.get("resourceClaims"))):
        if str(claim.get("name")) not in used:
            continue
        template, shared = claim.get("resourceClaimTemplateName"), claim.get("resourceClaimName")
        kind = "ResourceClaimTemplate" if template else "ResourceClaim"
        _, pods = annotations.gpu_sharing or ("", 1)
        spec = specs.get((kind, str(template or shared)), {})
        for request in map(mapping, items(mapping(spec, "devices").get("requests"))):
            # In v1beta1 the request itself has the fields.
            exactly = mapping(request, "exactly") or request
            selectors = map(mapping, items(exactly.get("selectors")))
            text = " ".join(str(mapping(one, "cel").get("expression")) for one in selectors)
            profile = _PROFILE.search(text)
            is_counted = exactly.get("allocationMode", "ExactCount") == "ExactCount"
            if exactly.get("deviceClassName") not in CLASSES.values() or not is_counted:
                continue
            return DeviceClaim(
                _named(text) or assumed,
                count=integer(exactly.get("count"), 1),
                profile=profile[1] if profile else None,
                shared_by=pods,
                resource_claim=None if template else str(shared),
            )
        if shared and annotations.gpu_product is not None:
            return DeviceClaim(
                annotations.gpu_product,
                count=ranks,
                profile=annotations.gpu_mig,
                shared_by=pods,
                resource_claim=str(shared),
            )
    return None


def _named(expression: str) -> str | None:
    """The product whose whole name an expression has; None if the catalog lacks it."""
    found = _PRODUCT.search(expression)
    name = found[1].replace(" ", "-") if found else None
    return name if name in catalog() else None
