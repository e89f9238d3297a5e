"""Rule of the devices that containers request: G01."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from vllm_constructs import require
from vllm_constructs.accelerators import amd, google, intel
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.kube import quantity
from vllm_constructs.kube.names import PREFIX
from vllm_constructs.reading.edits import Removed
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.pods import Pod

from .rule import Edit, Fix, Found, put, rule

_NVIDIA = "nvidia.com/gpu"
_OF_PLATFORM = {
    "CUDA": _NVIDIA,
    "ROCm": amd.RESOURCE,
    "XPU": intel.RESOURCES[0],
    "TPU": google.RESOURCE,
    "Gaudi": intel.GAUDI_RESOURCE,
}
_KNOWN = (*_OF_PLATFORM.values(), *intel.RESOURCES)
_NATIVE = re.compile(r"cpu|memory|ephemeral-storage|storage|hugepages-.+")
# Amounts of a template that is not rendered yet.
_UNRESOLVED = re.compile(r"\$[({A-Za-z_]|\{\{")
_GPU_WORD = re.compile(r"(?i)(nvidia|cuda|amd)?[-_.]?gpus?")
# Devices that are no accelerators.
_OTHERS = re.compile(
    r"(rdma|vpc\.amazonaws\.com|networking\.gke\.io(\.\w+)*|smarter-devices|devices\.kubevirt\.io)/"
)
# Annotations and labels by which schedulers and virtual nodes give pods their GPUs.
_ASSIGNED = re.compile(r"(?i)gpu|accelerator|eci-use-specs|cdi\.k8s\.io")
_MISSPELT = 0.9


@rule("G01", "error", "GPUs that are requested in a way that does not work")
def request(graph: Graph) -> Iterator[Found]:
    """The API server refuses the pod, no node has the resource, or vLLM finds no GPU."""
    for pod in graph.pods:
        for path, container in pod.all_containers:
            yield from _refused(pod, path, container)
    for engine in graph.engines:
        if engine.pod.is_whole and not _may_have_device(engine):
            yield _missing(engine)


def _refused(pod: Pod, path: Path, container: Mapping[str, Any]) -> Iterator[Found]:
    """Requests that the API server refuses, and resources that no node has."""
    limits = mapping(container, "resources", "limits")
    requests = mapping(container, "resources", "requests")
    for name in dict.fromkeys(map(str, (*limits, *requests))):
        if _NATIVE.fullmatch(name) or "kubernetes.io/" in name:
            continue
        field = "limits" if name in limits else "requests"
        where = (*path, "resources", field, name)
        right = _meant(name)
        if right is not None or "/" not in name:
            yield _no_resource(pod, where, name, right)
            continue
        wrong = [
            _no_integer(pod, (*path, "resources", one, name), name, given[name])
            for one, given in (("limits", limits), ("requests", requests))
            if name in given and not _is_count(given[name])
        ]
        yield from wrong
        if not wrong and name in requests and (name in limits or not pod.is_patch):
            yield from _unequal(pod, (*path, "resources"), name, limits, requests)


def _no_resource(pod: Pod, where: Path, name: str, right: str | None) -> Found:
    """A name that is no resource: without a domain, or misspelt."""
    shown = escaped(require.shown(name))
    text = f"has {shown}, which no device plugin provides"
    if "/" not in name:
        text = f"has {shown}, which Kubernetes refuses: the name of a device has a domain"
    advice = f"write {right}" if right else "write it with its domain, such as nvidia.com/gpu"
    problem = Problem(where=f"resources.{where[-2]}", text=text, advice=advice)
    fix = None if right is None else _renamed(pod, where[:-2], name, right)
    return Found(manifest=pod.manifest, path=where, problem=problem, fix=fix)


def _renamed(pod: Pod, resources: Path, name: str, right: str) -> Fix:
    """A fix that gives a resource its right name, unless that is there already."""
    edits = []
    for field in ("limits", "requests"):
        given = mapping(pod.manifest.at(*resources, field))
        if name in given and right not in given:
            edits.append(Edit(path=(*resources, field, right), value=given[name]))
        if name in given:
            edits.append(Edit(path=(*resources, field, name), value=Removed))
    return Fix(edits=tuple(edits), is_safe=False)


def _no_integer(pod: Pod, where: Path, name: str, value: object) -> Found:
    text = f"is {escaped(require.shown(value))}, and devices are counted in whole numbers"
    problem = Problem(
        where=f"resources.{where[-2]}[{name!r}]",
        text=text,
        advice="give an integer; to share a GPU, configure time-slicing, MPS or MIG on its node",
    )
    return Found(manifest=pod.manifest, path=where, problem=problem)


def _unequal(
    pod: Pod, resources: Path, name: str, limits: Mapping[str, Any], requests: Mapping[str, Any]
) -> Iterator[Found]:
    """A request without a limit, or one that differs from it."""
    value, path = requests[name], (*resources, "requests", name)
    if name not in limits:
        if pod.is_whole and _amount(value):
            text = f"has {escaped(name)}, and Kubernetes refuses devices without a limit"
            problem = Problem(
                where="resources.requests", text=text, advice="give the same number in limits"
            )
            fix = put((*resources, "limits", name), value, is_safe=True)
            yield Found(manifest=pod.manifest, path=path, problem=problem, fix=fix)
    elif _amount(value) != _amount(limits[name]) and not _is_unresolved(value, limits[name]):
        shown, limit = (escaped(require.shown(one)) for one in (value, limits[name]))
        problem = Problem(
            where=f"resources.requests[{name!r}]",
            text=f"is {shown}, and the limit is {limit}: Kubernetes refuses a pod in which they "
            "differ",
            advice="leave the request out, or give both the number that the engine needs",
        )
        yield Found(manifest=pod.manifest, path=path, problem=problem, fix=put(path, limits[name]))


def _is_unresolved(*values: object) -> bool:
    return any(_UNRESOLVED.search(str(value)) for value in values)


def _amount(value: object) -> Any:
    """The number of devices; 0 for a value that is left empty, None if it is not known."""
    return 0 if value is None else quantity.parse(str(value))


def _is_count(value: object) -> bool:
    if _is_unresolved(value):
        return True
    amount = _amount(value)
    return not isinstance(value, bool) and amount is not None and amount == int(amount)


@lru_cache(maxsize=1024)
def _meant(name: str) -> str | None:
    """The resource that a misspelt name means; None if it may be right."""
    if name in _KNOWN:
        return None
    domain, slash, last = name.lower().partition("/")
    if not slash:
        is_gpu = _GPU_WORD.fullmatch(domain) or domain in ("nvidia.com.gpu", "nvidia.com-gpu")
        return None if not is_gpu or domain.startswith("amd") else _NVIDIA
    for known in _KNOWN:
        own, _, kind = known.partition("/")
        is_own = domain == own or (own == "nvidia.com" and domain in ("nvidia", "nvidia.io"))
        if is_own and last in (kind, f"{kind}s"):
            return known
        if last == kind and domain != own and _likeness(domain, own) >= _MISSPELT:
            return known
    return None


def _likeness(first: str, second: str) -> float:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, first, second).ratio()


def _may_have_device(engine: Engine) -> bool:
    """Whether an engine may have what it runs on, as far as its manifest says."""
    platform = engine.release.named_accelerator
    if platform not in _OF_PLATFORM or any(name.startswith("VLLM_CPU_") for name in engine.env):
        return True
    if engine.env.get("VLLM_TARGET_DEVICE") or "cpu" in engine.image.lower():
        return True
    pod, container = engine.pod, engine.container
    resources = mapping(container, "resources")
    if items(resources.get("claims")) or items(pod.spec.get("resourceClaims")):
        return True
    for given in (mapping(resources, "limits"), mapping(resources, "requests")):
        for name, value in given.items():
            is_native = _NATIVE.fullmatch(str(name)) or "kubernetes.io/" in str(name)
            # A wrong name has a finding of its own.
            if not is_native and not _OTHERS.match(str(name)) and _amount(value) != 0:
                return True
    return _is_given_otherwise(engine)


def _is_given_otherwise(engine: Engine) -> bool:
    """Whether a runtime, a scheduler or the host gives a container its GPUs."""
    spec = engine.pod.spec
    if spec.get("runtimeClassName") or "NVIDIA_VISIBLE_DEVICES" in engine.env_paths:
        return True
    if engine.container.get("envFrom") and "NVIDIA_VISIBLE_DEVICES" in engine.env:
        return True
    if spec.get("schedulerName") not in (None, "default-scheduler"):
        return True
    if mapping(engine.container, "securityContext").get("privileged") is True:
        return True
    if any(
        str(mapping(volume, "hostPath").get("path")).startswith("/dev")
        for _, volume in engine.pod.volumes.values()
    ):
        return True
    keys = (*engine.pod.annotations, *mapping(engine.pod.metadata.get("labels")))
    return any(_ASSIGNED.search(str(key)) for key in keys if not str(key).startswith(PREFIX))


def _missing(engine: Engine) -> Found:
    platform = str(engine.release.named_accelerator)
    resource = _OF_PLATFORM[platform]
    image = escaped(require.shown(engine.image))
    text = f"requests no device, and the image {image} needs one: it is built for {platform}"
    problem = Problem(
        where=f"container {escaped(require.shown(engine.name))}",
        text=text,
        advice=f"give {resource} in resources.limits, or use an image for CPUs",
    )
    path: Path = (*engine.path, "resources", "limits")
    return Found(manifest=engine.manifest, path=path, problem=problem)
