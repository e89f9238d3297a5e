"""The rule of selectors: R06."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod
from vllm_constructs.reading.selectors import selects, single_labels

from .rule import Edit, Fix, Found, rule
from .services import Services
from .targets import Target, Targets, is_near, namespaces, selects_any

_OWN = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_SPREAD = "topologySpreadConstraints"
_AFFINITIES = ("podAffinity", "podAntiAffinity")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
# With more engines, none is the only one.
_MOST = 1000
# Where the selectors of kinds that select pods are.
_SELECTING: dict[str, Path] = {
    "Service": ("spec", "selector"),
    "PodDisruptionBudget": ("spec", "selector"),
    "NetworkPolicy": ("spec", "podSelector"),
    "PodMonitor": ("spec", "selector"),
    "PodMonitoring": ("spec", "selector"),
    "InferencePool": ("spec", "selector"),
}


@rule("R06", "error", "a selector of nothing, or of another model's pods")
def selection(graph: Graph) -> Iterator[Found]:
    """Requests have no endpoint, or reach a server that does not know the model."""
    pods = Targets.pods(graph)
    for manifest in graph.of(*_OWN):
        for pod in graph.pods_of(manifest):
            yield from _own(manifest, pod)
    for pod in graph.pods:
        if pod.is_whole:
            yield from _spreads(graph, pod)
            yield from _affinities(graph, pod)
    for kind in _SELECTING:
        yield from _Kind(graph, kind, pods).nothing()
    yield from _monitors(graph)
    services = Services(graph)
    for service in graph.of("Service"):
        if service.group == "":
            yield from services.found(service)
    for pool in graph.of("InferencePool"):
        yield from services.mixed_pool(pool, *_selector(pool))


def _own(manifest: Manifest, pod: Pod) -> Iterator[Found]:
    """A workload whose selector has to select its own template."""
    if "selector" not in manifest.spec or manifest.group not in ("apps", "extensions"):
        return
    selector = manifest.spec["selector"]
    path: Path = ("spec", "selector")
    if not selects_any(selector):
        text = f"is empty, and the API server rejects that for a {manifest.kind}"
        problem = Problem(where="selector", text=text, advice="give labels of the template")
        yield Found(manifest=manifest, path=path, problem=problem)
        return
    if selects(selector, pod.labels):
        return
    wanted = single_labels(selector)
    key = next((key for key, value in wanted.items() if pod.labels.get(key) != value), None)
    what = "does not select the template's own labels"
    if key is not None:
        own = _has(key, pod.labels)
        what = f"wants {key}: {require.shown(wanted[key])}, and the template {own}"
        if key in mapping(mapping(selector).get("matchLabels")):
            path = (*path, "matchLabels", key)
    text = escaped(f"{what}, so that the API server rejects the {manifest.kind}")
    problem = Problem(where="selector", text=text, advice="give both the same labels")
    yield Found(manifest=manifest, path=path, problem=problem)


def _has(key: str, labels: Mapping[str, Any]) -> str:
    return f"has {require.shown(labels[key])}" if key in labels else "has no such label"


def _spreads(graph: Graph, pod: Pod) -> Iterator[Found]:
    """Constraints that spread a pod over nodes by others than its own kind."""
    manifest = pod.manifest
    for path, one in manifest.each(*pod.path, _SPREAD):
        selector = one.get("labelSelector")
        if selector is None:
            text = "is left out, so that the constraint counts no pod and spreads nothing"
        elif selects(selector, pod.labels):
            continue
        else:
            wanted = single_labels(selector)
            others = graph.selected_pods(pod.namespace, selector)
            # It may be spread apart from other pods, by labels that it does not have.
            if not wanted or not all(key in pod.labels for key in wanted):
                continue
            what = f"those of {others[0].manifest.title}" if others else "no pod"
            text = f"selects {what}, and not the pod's own kind, so that it is not spread"
        advice = "give it the labels of the template"
        problem = Problem(where="labelSelector", text=escaped(text), advice=advice)
        yield Found(manifest=manifest, path=(*path, "labelSelector"), problem=problem)


def _affinities(graph: Graph, pod: Pod) -> Iterator[Found]:
    """Terms that select no pod by labels that are nearly those of the pod itself."""
    manifest = pod.manifest
    for kind in _AFFINITIES:
        at: Path = (*pod.path, "affinity", kind)
        terms = [path for path, _ in manifest.each(*at, _REQUIRED)]
        terms += [(*path, "podAffinityTerm") for path, _ in manifest.each(*at, _PREFERRED)]
        for path in terms:
            term = mapping(manifest.at(*path))
            wanted = single_labels(term.get("labelSelector"))
            if not wanted or "namespaces" in term or "namespaceSelector" in term:
                continue
            if selects(term["labelSelector"], pod.labels) or not is_near(wanted, pod.labels):
                continue
            if graph.selected_pods(pod.namespace, term["labelSelector"]):
                continue
            key = next(key for key, value in wanted.items() if pod.labels.get(key) != value)
            text = (
                f"wants {key}: {require.shown(wanted[key])}, which no pod of the manifests has; "
                f"the template {_has(key, pod.labels)}"
            )
            advice = "give it the labels of the pods that are meant"
            problem = Problem(where="labelSelector", text=escaped(text), advice=advice)
            yield Found(manifest=manifest, path=(*path, "labelSelector"), problem=problem)


def _selector(manifest: Manifest) -> tuple[Path, dict[str, Any]]:
    """The selector of an object as a LabelSelector, and the fields that lead to its labels."""
    path = _SELECTING[manifest.kind]
    given = mapping(manifest.at(*path))
    # Pools of the old API have a map, as Services do.
    is_map = manifest.kind == "Service" or (
        manifest.kind == "InferencePool" and "matchLabels" not in given
    )
    return (path, {"matchLabels": given}) if is_map else ((*path, "matchLabels"), given)


class _Kind:
    """The selectors of all objects of one kind."""

    def __init__(self, graph: Graph, kind: str, targets: Targets) -> None:
        self._targets = targets
        self._graph = graph
        self._kind = kind
        self._nothing: list[tuple[Manifest, Path, dict[str, Any], list[str]]] = []
        self._taken: set[int] = set()
        for one in graph.of(kind):
            if kind == "Service" and (one.group or one.spec.get("type") == "ExternalName"):
                continue
            path, selector = _selector(one)
            spaces = namespaces(one) if kind.startswith("PodMonitor") else [one.namespace]
            found = targets.selected(selector, spaces)
            self._taken |= {id(target.pod) for target in found}
            if not found and selects_any(selector):
                self._nothing.append((one, path, selector, spaces))

    def nothing(self) -> Iterator[Found]:
        """Those that select nothing, though something was plainly meant."""
        if not self._nothing:
            return
        for one, path, selector, spaces in self._nothing:
            wanted = single_labels(selector)
            target = self._targets.meant(one, wanted, spaces, self._is_free)
            target = target or self._only(one, wanted, spaces)
            if target is not None:
                yield _of_nothing(one, path, wanted, target, "pod")

    def _is_free(self, target: Target) -> bool:
        return id(target.pod) not in self._taken

    def _only(self, by: Manifest, wanted: Mapping[str, Any], spaces: list[str]) -> Target | None:
        """The only engine that no object of the kind selects, if this one fits it."""
        if self._kind == "NetworkPolicy":
            return None
        engines = self._graph.engines
        if len(engines) > _MOST:
            return None
        free = [
            engine
            for engine in engines
            if id(engine.pod) not in self._taken
            and any(engine.manifest.may_be_in(space) for space in spaces)
        ]
        if len({engine.manifest.number for engine in free}) != 1:
            return None
        engine, labels = free[0], free[0].pod.labels
        is_whole = engine.pod.is_whole and self._targets.is_judged(wanted)
        if not is_whole or not all(key in labels for key in wanted) or not self._fits(by, engine):
            return None
        return Target(manifest=engine.manifest, labels=labels, pod=engine.pod)

    def _fits(self, by: Manifest, engine: Engine) -> bool:
        """Whether an object has a port of the engine, if it is for ports."""
        own = {engine.port, *engine.pod.ports, *engine.pod.ports.values()}
        if self._kind == "Service":
            entries = [one for _, one in by.each("spec", "ports")]
            return any(one.get("targetPort", one.get("port")) in own for one in entries)
        if self._kind.startswith("PodMonitor"):
            field = "podMetricsEndpoints" if self._kind == "PodMonitor" else "endpoints"
            return any(one.get("port") in own for _, one in by.each("spec", field))
        return True


def _of_nothing(
    by: Manifest, path: Path, wanted: Mapping[str, Any], target: Target, what: str
) -> Found:
    """That a selector selects nothing, and what it was probably meant to."""
    key = next(key for key, value in wanted.items() if target.labels.get(key) != value)
    title = target.manifest.title
    has, owner = _has(key, target.labels), title
    if what == "pod":
        has, owner = has.replace("has", "have", 1), f"the pods of {title}"
    text = f"selects no {what}: it wants {key}: {require.shown(wanted[key])}, and {owner} {has}"
    where = (*path, key) if by.at(*path, key) is not None else path[:-1]
    fix = None
    if by.at(*path) == wanted and all(one in target.labels for one in wanted):
        edits = tuple(
            Edit(path=(*path, one), value=target.labels[one])
            for one, value in wanted.items()
            if target.labels[one] != value
        )
        fix = Fix(edits=edits, is_safe=False)
    advice = "give the same labels to both"
    problem = Problem(where=str(path[1]), text=escaped(text), advice=advice)
    return Found(manifest=by, path=where, problem=problem, fix=fix)


def _monitors(graph: Graph) -> Iterator[Found]:
    """ServiceMonitors that select no Service."""
    monitors = graph.of("ServiceMonitor")
    if not monitors:
        return
    services = Targets.services(graph)
    taken: set[int] = set()
    nothing = []
    for monitor in monitors:
        selector = monitor.spec.get("selector")
        found = services.selected(selector, namespaces(monitor))
        taken |= {one.manifest.number for one in found}
        if not found and selects_any(selector):
            nothing.append(monitor)
    for monitor in nothing:
        spaces, selector = namespaces(monitor), monitor.spec.get("selector")
        wanted = single_labels(selector)
        target = services.meant(
            monitor, wanted, spaces, lambda one: one.manifest.number not in taken
        )
        pods = [pod for space in spaces for pod in graph.selected_pods(space, selector)]
        behind = [one for pod in pods for one in graph.services_of(pod)]
        path: Path = ("spec", "selector", "matchLabels")
        if target is not None:
            yield _of_nothing(monitor, path, wanted, target, "Service")
        elif behind:
            title = behind[0].title
            text = (
                f"selects no Service: these are labels of the pods behind {title}, and a "
                "ServiceMonitor selects Services by their own"
            )
            advice = f"give the labels to {title}, or use a PodMonitor"
            problem = Problem(where="selector", text=escaped(text), advice=escaped(advice))
            yield Found(manifest=monitor, path=path[:-1], problem=problem)
