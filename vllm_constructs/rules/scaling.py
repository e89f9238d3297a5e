"""Rules of scalers: S05, S07, S09 and S10."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.scalers import Scaler, scalers
from vllm_constructs.reading.subjects import PLACEHOLDER

from .rule import Found, put, remove, rule

_TRANSFER = "scaledobject.keda.sh/transfer-hpa-ownership"
_NO_SCALER = "httpscaledobject.keda.sh/skip-scaledobject-creation"
# Other scalers that set the replicas of a workload, with their API groups.
_OTHER_SCALERS = {
    "HTTPScaledObject": "http.keda.sh",
    "PodAutoscaler": "autoscaling.aibrix.ai",
}
_ACCELERATOR = re.compile(r"gpu|mig-|tpu|gaudi|npu|neuron")
_ADDRESSES = ("serverAddress", "prometheusAddress", "url")


@rule("S05", "error", "replicas that two owners set")
def owners(graph: Graph) -> Iterator[Found]:
    """Each apply resets what the autoscaler has set, and two autoscalers undo each other."""
    scaled: dict[tuple[str, str, str], list[Manifest]] = defaultdict(list)
    for manifest in _active(graph):
        target = mapping(manifest.spec.get("scaleTargetRef"))
        kind, name = str(target.get("kind") or "Deployment"), str(target.get("name") or "")
        known = scaled[manifest.namespace, kind, name]
        # The same object in several files is one.
        if name and all((one.kind, one.name) != (manifest.kind, manifest.name) for one in known):
            known.append(manifest)
    for (_, kind, name), given in scaled.items():
        for other in given[1:]:
            if _takes_over(given[0], other) or _takes_over(other, given[0]):
                continue
            text = f"is {kind} {name}, which {given[0].title} scales too"
            advice = "keep one of them; a ScaledObject may have all their triggers"
            yield Found(
                manifest=other,
                path=("spec", "scaleTargetRef"),
                problem=Problem(where="scaleTargetRef", text=escaped(text), advice=advice),
            )
        if given:
            yield from _replicas(graph, given[0])


def _active(graph: Graph) -> Iterator[Manifest]:
    for scaler in scalers(graph):
        if scaler.manifest.kind != "InferenceService" and not scaler.is_paused:
            yield scaler.manifest
    for manifest in graph.of(*_OTHER_SCALERS):
        is_idle = str(manifest.annotations.get(_NO_SCALER)).lower() == "true"
        if manifest.group == _OTHER_SCALERS[manifest.kind] and not is_idle:
            yield manifest


def _takes_over(scaler: Manifest, other: Manifest) -> bool:
    """Whether a ScaledObject makes another HPA its own."""
    config = mapping(scaler.spec, "advanced", "horizontalPodAutoscalerConfig")
    is_asked = str(scaler.annotations.get(_TRANSFER)).lower() == "true"
    return is_asked and config.get("name") == other.name


def _replicas(graph: Graph, scaler: Manifest) -> Iterator[Found]:
    """The replicas in the manifest of a target."""
    target = graph.target_of(scaler)
    count = None if target is None else target.spec.get("replicas")
    is_number = isinstance(count, int) and not isinstance(count, bool)
    if target is None or not is_number or _is_live(target):
        return
    low, high = (scaler.spec.get(one) for one in ("minReplicas", "maxReplicas"))
    if scaler.kind == "ScaledObject":
        low, high = (scaler.spec.get(one) for one in ("minReplicaCount", "maxReplicaCount"))
    if low == high == count:
        return
    path: Path = ("spec", "replicas")
    text = f"is set, and {scaler.title} scales it: each apply resets the pods to {count}"
    advice = "leave it out; its first removal by kubectl apply sets 1 for a moment"
    problem = Problem(where="replicas", text=escaped(text), advice=advice)
    yield Found(manifest=target, path=path, problem=problem, fix=remove(path))


def _is_live(manifest: Manifest) -> bool:
    """Whether an object comes from a cluster, which fills all fields in."""
    metadata = mapping(manifest.body.get("metadata"))
    return bool(
        metadata.get("uid") or metadata.get("resourceVersion") or manifest.body.get("status")
    )


@rule("S07", "warning", "a GPU engine that is scaled on CPU alone")
def cpu_alone(graph: Graph) -> Iterator[Found]:
    """One busy core prepares the work of a GPU, whether ten requests wait or a thousand."""
    from vllm_constructs.scaling.triggers import cpu_problem

    for scaler in scalers(graph):
        manifest = scaler.manifest
        signals = [one for one in scaler.triggers if one.kind != "cron"]
        is_default = manifest.kind == "HorizontalPodAutoscaler" and not signals
        if not any(map(_has_accelerator, scaler.engines)):
            continue
        if is_default or (signals and all(one.reads_resources for one in signals)):
            path = ("spec", "triggers") if scaler.is_keda else ("spec", "metrics")
            names = sorted({one.name if not scaler.is_keda else one.kind for one in signals})
            named = " and ".join("CPU" if one == "cpu" else one for one in names) or "CPU"
            problem = cpu_problem(
                path[-1], named, "add the waiting requests, vllm:num_requests_waiting"
            )
            yield Found(manifest=manifest, path=path, problem=problem)


def _has_accelerator(engine: Engine) -> bool:
    names = [*engine.limits, *mapping(engine.container, "resources", "requests")]
    return (
        any("/" in str(name) and bool(_ACCELERATOR.search(str(name))) for name in names)
        or bool(items(mapping(engine.container, "resources").get("claims")))
    ) and engine.release.named_accelerator != "CPU"


@rule("S09", "error", "no statistics for what reads them")
def no_statistics(graph: Graph) -> Iterator[Found]:
    """With --disable-log-stats the engine has no metrics that begin with vllm:."""
    silent = [one for one in graph.engines if one.flag("disable-log-stats") is True]
    if not silent:
        return
    from .readers import Readers

    readers = Readers(graph)
    for engine in silent:
        found, level = readers.of(engine)
        if not found:
            continue
        named = ", ".join(found[:3]) + (" and others" if len(found) > 3 else "")
        path = engine.flag_place("disable-log-stats")
        problem = Problem(
            where="--disable-log-stats",
            text=escaped(f"takes all metrics of vLLM away, which {named} read"),
            advice="leave it out",
        )
        word = engine.manifest.at(*path)
        is_alone = isinstance(word, str) and word.replace("_", "-") == "--disable-log-stats"
        fix = remove(path) if is_alone else None
        yield Found(manifest=engine.manifest, path=path, problem=problem, level=level, fix=fix)


@rule("S10", "warning", "an address that KEDA looks up in its own namespace")
def address(graph: Graph) -> Iterator[Found]:
    """KEDA's operator asks Prometheus, from the namespace that it runs in."""
    from vllm_constructs.scaling.keda import address_problem

    for scaler in scalers(graph):
        for one in scaler.triggers:
            for key in _ADDRESSES:
                given = one.metadata.get(key)
                if not isinstance(given, str) or PLACEHOLDER.search(given):
                    continue
                namespace = _namespace_of(graph, scaler, given)
                problem = None if _is_kedas(namespace) else address_problem(key, given, namespace)
                if problem is not None:
                    path = (*one.metadata_path, key)
                    fix = None
                    if namespace:
                        host = _host(given)
                        right = given.replace(host, f"{host}.{namespace}.svc", 1)
                        fix = put(path, right)
                    yield Found(manifest=scaler.manifest, path=path, problem=problem, fix=fix)


def _host(address: str) -> str:
    return re.split(r"[:/?]", address.partition("://")[2], maxsplit=1)[0]


def _namespace_of(graph: Graph, scaler: Scaler, address: str) -> str:
    """The namespace of a Service of the manifests; empty if it is not known."""
    if _is_kedas(scaler.manifest.namespace):
        return scaler.manifest.namespace
    service = graph.find("Service", "", _host(address))
    return "" if service is None else service.namespace


def _is_kedas(namespace: str) -> bool:
    return namespace == "keda" or namespace.startswith("keda-")
