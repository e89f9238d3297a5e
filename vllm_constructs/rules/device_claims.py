"""Rules of device claims: C01 and C02."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.reading.claims import GROUP, SPECS, device_requests
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.nodes import node_terms
from vllm_constructs.reading.pods import Pod

from .cloud_nodes import is_provisioned
from .rule import Fix, Found, put, remove, rule

# The first minor release of Kubernetes with each version, and the first one without it.
_VERSIONS: dict[str, tuple[int, int | None]] = {
    "v1alpha2": (27, 31),
    "v1alpha3": (31, None),
    "v1beta1": (32, None),
    "v1beta2": (33, None),
    "v1": (34, None),
}
_STABLE = 34
# The extended resources of each device class of GPUs, by their prefix.
_RESOURCES = {
    "gpu.nvidia.com": "nvidia.com/",
    "mig.nvidia.com": "nvidia.com/",
    "gpu.amd.com": "amd.com/gpu",
    "gpu.intel.com": "gpu.intel.com/",
    "gaudi.intel.com": "habana.ai/gaudi",
    "tpu.google.com": "google.com/tpu",
}
_FLAT = ("deviceClassName", "allocationMode", "count", "selectors", "adminAccess", "tolerations")


@rule("C01", "error", "device claims that do not work")
def claims(graph: Graph) -> Iterator[Found]:
    """A claim beside the resource of a device plugin, or one that the cluster does not know."""
    for manifest in graph.of(*SPECS):
        if manifest.group == GROUP:
            yield from _version(manifest, graph.settings.kubernetes)
            yield from _shape(manifest)
    for pod in graph.pods:
        if pod.is_whole:
            yield from _unlisted(pod)
        yield from _unknown(pod, graph.settings.kubernetes)
    for engine in graph.engines:
        yield from _beside(engine)


def _version(manifest: Manifest, target: Kubernetes | None) -> Iterator[Found]:
    """A version of the API that the cluster does not have."""
    version = manifest.api_version.rpartition("/")[2]
    if target is None or version not in _VERSIONS:
        return
    first, end = _VERSIONS[version]
    if first <= target.minor and (end is None or target.minor < end):
        return
    since = f"came with Kubernetes 1.{first}"
    if target.minor >= first:
        since = f"is not in Kubernetes 1.{end} and newer"
    is_stable = target.minor >= _STABLE
    problem = Problem(
        where="apiVersion",
        text=f"is {GROUP}/{version}, which {since}, and the cluster has {target.release}",
        advice=f"write {GROUP}/v1" if is_stable else "use nvidia.com/gpu and a device plugin there",
    )
    # The fields differ between versions, so another version alone is no fix.
    yield Found(manifest=manifest, path=("apiVersion",), problem=problem)


def _shape(manifest: Manifest) -> Iterator[Found]:
    """Fields that a version has elsewhere."""
    version = manifest.api_version.rpartition("/")[2]
    for path, one in manifest.each(*SPECS[manifest.kind], "devices", "requests"):
        flat = {name: one[name] for name in _FLAT if name in one}
        if version in ("v1", "v1beta2") and flat:
            name = next(iter(flat))
            problem = Problem(
                where=name,
                text=f"is a field of the request, and {GROUP}/{version} has it under exactly",
                advice="put what is requested under exactly",
            )
            fix = None
            if "exactly" not in one and "firstAvailable" not in one:
                kept = {key: value for key, value in one.items() if key not in flat}
                fix = put(path, {**kept, "exactly": flat}, is_safe=True)
            yield Found(manifest=manifest, path=(*path, name), problem=problem, fix=fix)
        elif version == "v1beta1" and "exactly" in one:
            problem = Problem(
                where="exactly",
                text=f"is not in {GROUP}/v1beta1, which has its fields in the request itself",
                advice=f"write {GROUP}/v1, since Kubernetes 1.34",
            )
            yield Found(manifest=manifest, path=(*path, "exactly"), problem=problem)


def _unlisted(pod: Pod) -> Iterator[Found]:
    """Claims of a container that the pod does not list."""
    listed = {str(mapping(one).get("name")) for one in items(pod.spec.get("resourceClaims"))}
    for path, _ in pod.all_containers:
        for where, one in pod.manifest.each(*path, "resources", "claims"):
            name = str(one.get("name"))
            if name not in listed:
                problem = Problem(
                    where="resources.claims",
                    text=f"names {escaped(require.shown(name))}, which resourceClaims of the pod "
                    "does not have, so Kubernetes refuses it",
                    advice="add it to resourceClaims with its resourceClaimTemplateName",
                )
                yield Found(manifest=pod.manifest, path=(*where, "name"), problem=problem)


def _unknown(pod: Pod, target: Kubernetes | None) -> Iterator[Found]:
    """Claims of a pod on a cluster that drops them unless a feature gate is on."""
    if target is None or target.minor >= _STABLE or not items(pod.spec.get("resourceClaims")):
        return
    problem = Problem(
        where="resourceClaims",
        text=f"is given, and Kubernetes {target.release} drops it unless the feature gate "
        "DynamicResourceAllocation is on: the engine then finds no device",
        advice="use nvidia.com/gpu and a device plugin, or Kubernetes 1.34",
    )
    path: Path = (*pod.path, "resourceClaims")
    yield Found(manifest=pod.manifest, path=path, problem=problem, level="warning")


def _beside(engine: Engine) -> Iterator[Found]:
    """A claim of GPUs beside the resource of a device plugin."""
    given = [str(name) for name in engine.limits if "/" in str(name)]
    if not given or not items(mapping(engine.container, "resources").get("claims")):
        return
    for request in device_requests(engine.graph, engine.pod, engine.container):
        prefix = _RESOURCES.get(request.device_class)
        resource = next((one for one in given if prefix and one.startswith(prefix)), None)
        if resource is None:
            continue
        problem = Problem(
            where=f"resources.limits[{resource!r}]",
            text=f"is given beside a claim of {request.device_class}: a node has either the device "
            "plugin or the driver of claims, so the pod stays Pending, or gets the GPUs of both",
            advice="leave one of them out",
        )
        resources = (*engine.path, "resources")
        is_requested = resource in mapping(engine.container, "resources", "requests")
        fix = remove((*resources, "limits", resource))
        if is_requested:
            more = remove((*resources, "requests", resource))
            fix = Fix(edits=(*fix.edits, *more.edits), is_safe=False)
        path: Path = (*resources, "limits", resource)
        yield Found(manifest=engine.manifest, path=path, problem=problem, fix=fix)
        return


@rule("C02", "warning", "device claims on nodes of a provisioner that ignores them")
def provisioner(graph: Graph) -> Iterator[Found]:
    """Karpenter makes no node for a pod with device claims, so it stays Pending."""
    for pod in graph.pods:
        if not items(pod.spec.get("resourceClaims")):
            continue
        named = [next(filter(is_provisioned, term), None) for term in node_terms(pod)]
        # Another term may allow nodes that are always there.
        if not all(named) or named[0] is None:
            continue
        problem = Problem(
            where="resourceClaims",
            text=f"is given, and {escaped(named[0].key)} selects nodes of Karpenter or EKS Auto "
            "Mode, which make no node for a pod with device claims by default",
            advice="request nvidia.com/gpu there, or select nodes that are always there",
        )
        path: Path = (*pod.path, "resourceClaims")
        yield Found(manifest=pod.manifest, path=path, problem=problem)
