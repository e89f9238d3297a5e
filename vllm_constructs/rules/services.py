"""Services that select the pods of others, or none at all; for R06."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.backends import backends_of
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import integer, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.lazy import lazy
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod
from vllm_constructs.reading.selectors import selects_labels

from .rule import Found, Level, put
from .targets import Targets, namespaces

_PATH: Path = ("spec", "selector")
# A Service through which only metrics are read.
_SCRAPED = re.compile(r"metric|monitor|prom|scrape|exporter", re.IGNORECASE)
# Kinds whose pods stay, and wait for requests.
_SERVING = ("Deployment", "StatefulSet", "ReplicaSet", "LeaderWorkerSet")


class Services:
    """The Services of the manifests, and whose pods they select."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._engines: dict[int, list[Engine]] = defaultdict(list)
        self._by_name: dict[str, list[Engine]] = defaultdict(list)
        for engine in graph.engines:
            if not engine.is_headless and _runs(graph, engine.pod):
                self._engines[id(engine.pod)].append(engine)
                self._by_name[engine.manifest.name].append(engine)
        self._used = {
            (found.namespace, found.name)
            for one in graph.of("Ingress", "HTTPRoute", "Route")
            for found in backends_of(one)
        }
        self._endpoints = {
            one.name if one.kind == "Endpoints" else one.labels.get("kubernetes.io/service-name")
            for one in graph.of("Endpoints", "EndpointSlice")
        }

    def found(self, service: Manifest) -> Iterator[Found]:
        """What is wrong with the selector of a Service that does select.

        Args:
            service: The Service.
        """
        if service.spec.get("type") == "ExternalName":
            return
        if not mapping(service.spec.get("selector")):
            yield from self._without_selector(service)
            return
        pods = self._graph.pods_behind(service)
        engines = [engine for pod in pods for engine in self._engines.get(id(pod), ())]
        if not engines:
            return
        yield from self._of_another(service, engines)
        # Clients of a headless Service choose among its pods.
        if service.spec.get("clusterIP") == "None" or self._is_scraped(service):
            return
        several, is_used = _several(engines), self._is_used(service)
        if several:
            # Without requests, a monitor is what it is for.
            if is_used or service.number not in self._monitored:
                yield _mixed(service, _PATH, several, is_error=is_used)
        else:
            yield from self._beside(service, pods, engines)

    def mixed_pool(self, pool: Manifest, path: Path, selector: dict[str, Any]) -> Iterator[Found]:
        """A pool of engines of several models.

        Args:
            pool: The InferencePool.
            path: The fields that lead to its labels.
            selector: Its selector.
        """
        if not mapping(selector.get("matchLabels")):
            return
        pods = self._graph.selected_pods(pool.namespace, selector)
        several = _several([one for pod in pods for one in self._engines.get(id(pod), ())])
        if several:
            yield _mixed(pool, path, several, is_error=True)

    @lazy
    def _monitored(self) -> set[int]:
        """The Services that ServiceMonitors select, by their numbers."""
        monitors = self._graph.of("ServiceMonitor")
        targets = Targets.services(self._graph) if monitors else Targets(())
        return {
            found.manifest.number
            for one in monitors
            for found in targets.selected(one.spec.get("selector"), namespaces(one))
        }

    def _is_scraped(self, service: Manifest) -> bool:
        names = [str(one.get("name") or "") for _, one in service.each("spec", "ports")]
        return bool(_SCRAPED.search(service.name)) or (
            bool(names) and all(_SCRAPED.search(name) for name in names)
        )

    def _is_used(self, service: Manifest) -> bool:
        """Whether requests come through it, as far as the manifests tell."""
        if service.spec.get("type") in ("LoadBalancer", "NodePort"):
            return True
        spaces = {service.namespace, ""}
        return any((space, service.name) in self._used for space in spaces)

    def _without_selector(self, service: Manifest) -> Iterator[Found]:
        """One whose endpoints nobody makes, though its engine is there."""
        if service.name in self._endpoints or "externalName" in service.spec:
            return
        for engine in self._meant(service):
            text = (
                "is left out, so that the Service has no endpoint: the pods of "
                f"{engine.manifest.title} are behind no Service"
            )
            wanted = mapping(engine.manifest.at("spec", "selector", "matchLabels"))
            fix = put(_PATH, dict(wanted)) if wanted else None
            problem = Problem(
                where="selector", text=escaped(text), advice="give the labels of its pods"
            )
            yield Found(manifest=service, path=_PATH, problem=problem, fix=fix)
            return

    def _meant(self, service: Manifest) -> list[Engine]:
        """The engines with the Service's name or labels that are behind no Service."""
        own = {key: one for key, one in service.labels.items() if not key.startswith("helm.sh/")}
        found = list(self._by_name.get(service.name, ()))
        if own:
            pods = self._graph.selected_pods(service.namespace, {"matchLabels": own})
            found += [engine for pod in pods for engine in self._engines.get(id(pod), ())]
        return [
            one
            for one in found
            if one.manifest.may_be_in(service.namespace)
            and one.pod.is_whole
            and not self._graph.services_of(one.pod)
        ]

    def _of_another(self, service: Manifest, engines: list[Engine]) -> Iterator[Found]:
        """One whose own name or labels are those of another model, which has no Service."""
        selector = mapping(service.spec.get("selector"))
        own = {key: service.labels[key] for key in selector if key in service.labels}
        for engine in self._meant(service):
            # Its labels have to tell another one.
            is_labelled = len(own) == len(selector) and selects_labels(own, engine.pod.labels)
            if not is_labelled and engine.manifest.name != service.name:
                continue
            if all(_differ(engine, one) for one in engines):
                key = next(
                    (key for key, value in selector.items() if engine.pod.labels.get(key) != value),
                    next(iter(selector)),
                )
                text = (
                    f"selects the pods of {engines[0].manifest.title} by {key}: "
                    f"{require.shown(selector[key])}, and those of {engine.manifest.title} have no "
                    "Service"
                )
                advice = "give the labels of its own pods"
                problem = Problem(where="selector", text=escaped(text), advice=advice)
                yield Found(manifest=service, path=(*_PATH, key), problem=problem)
                return

    def _beside(self, service: Manifest, pods: list[Pod], engines: list[Engine]) -> Iterator[Found]:
        """Pods of another workload that do not have the port of the engine."""
        own = [_declared(one.pod) for one in engines]
        for _, entry in service.each("spec", "ports"):
            target = integer(entry.get("targetPort", entry.get("port")), 0)
            if not target or not any(target in one for one in own):
                continue
            for pod in pods:
                ports = _declared(pod)
                is_other = pod.manifest.kind in _SERVING and id(pod) not in self._engines
                if is_other and pod.is_whole and ports and target not in ports:
                    text = (
                        f"also selects the pods of {pod.manifest.title}, which do not have port "
                        f"{target} of {engines[0].manifest.title}: part of the requests fails"
                    )
                    advice = "select by a label that only the pods of the engine have"
                    problem = Problem(where="selector", text=escaped(text), advice=advice)
                    yield Found(manifest=service, path=_PATH, problem=problem)
                    return


def _runs(graph: Graph, pod: Pod) -> bool:
    """Whether it has pods at any time, and is no job that ends."""
    counts = graph.pod_counts(pod)
    return counts is None or counts[1] > 0


def _declared(pod: Pod) -> set[int]:
    return {
        integer(port.get("containerPort"), 0)
        for path, _ in pod.containers
        for _, port in pod.manifest.each(*path, "ports")
    }


def _differ(engine: Engine, other: Engine) -> bool:
    """Whether two engines serve no name in common, as far as the manifests tell."""
    own, names = engine.served_names, other.served_names
    return bool(own and names) and not {*(own or ())} & {*(names or ())}


def _several(engines: list[Engine]) -> list[Engine]:
    """Two engines that serve different models; none if there are no such."""
    known = [one for one in engines if one.served_names]
    return next(([known[0], one] for one in known[1:] if _differ(known[0], one)), [])


def _mixed(manifest: Manifest, path: Path, engines: list[Engine], *, is_error: bool) -> Found:
    """A Service or pool whose requests reach any of two models."""
    one, other = engines
    text = (
        f"selects the pods of {one.manifest.title} and {other.manifest.title}, which serve "
        f"{require.shown(_name(one))} and {require.shown(_name(other))}: a request for one model "
        "that reaches the other is answered 404"
    )
    advice = "select by a label that only one of them has"
    if not is_error:
        advice += "; it may stay if only metrics are read through it"
    problem = Problem(where="selector", text=escaped(text), advice=advice)
    level: Level | None = None if is_error else "warning"
    return Found(manifest=manifest, path=path, problem=problem, level=level)


def _name(engine: Engine) -> str:
    return (engine.served_names or [""])[0]
