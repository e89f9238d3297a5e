"""Rules of the ports of data-parallel ranks: D03 and D04."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from vllm_constructs.errors import Problem
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import INDEX, pods_of_pool, serves_ranks
from vllm_constructs.reading.listeners import (
    MULTI_PORT,
    SUPERVISOR,
    declared_ports,
    pool_ports,
    rank_ports,
    routing_sidecar,
    supervisor_port,
)
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod
from vllm_constructs.reading.selectors import selects

from .rule import Found, rule

# Ports on which the first node listens for the others.
_OF_NODES = {"data-parallel-rpc-port": 29550, "master-port": 29501}


@rule("D03", "error", "ports of ranks that overlap, or that no request reaches")
def ports(graph: Graph) -> Iterator[Found]:
    """Each rank has a port of its own: one that is taken, or that no pool lists, serves nothing."""
    several = _several(graph)
    for engine, numbers in several:
        yield from _overlaps(engine, numbers)
    if not several:
        return
    by_pod = {id(engine.pod): (engine, numbers) for engine, numbers in several}
    for pool in graph.of("InferencePool"):
        listed = pool_ports(pool.spec)
        for pod in pods_of_pool(graph, pool) if listed else ():
            if id(pod) in by_pod:
                problem = _listed(*by_pod[id(pod)], listed)
                if problem is not None:
                    yield Found(manifest=pool, path=_ports_of(pool), problem=problem)
                    break


def _several(graph: Graph) -> list[tuple[Engine, tuple[int, ...]]]:
    """The engines whose ranks have ports of their own, with these ports."""
    return [
        (engine, numbers)
        for engine in graph.engines
        if engine.flag(MULTI_PORT) is True
        for numbers in [rank_ports(engine) or ()]
        if len(numbers) > 1
    ]


def _span(numbers: tuple[int, ...]) -> str:
    return f"{numbers[0]} to {numbers[-1]}"


def _overlaps(engine: Engine, numbers: tuple[int, ...]) -> Iterator[Found]:
    """Other ports of the pod among those of the ranks."""
    supervisor = supervisor_port(engine)
    taken: list[tuple[str, int, tuple[str, ...]]] = []
    if supervisor is not None:
        taken.append((f"--{SUPERVISOR}", supervisor, (SUPERVISOR, "port", MULTI_PORT)))
    for flag, default in _OF_NODES.items():
        value = engine.flag(flag, default)
        if isinstance(value, int) and flag not in engine.line.unread:
            taken.append((f"--{flag}", value, (flag, "port", MULTI_PORT)))
    for where, number, flags in taken:
        if number in numbers:
            text = f"is {number}, which is one of the ports of its ranks, {_span(numbers)}"
            problem = Problem(where=where, text=text, advice="give a port outside of them")
            yield Found(manifest=engine.manifest, path=engine.flag_place(*flags), problem=problem)
    sidecar = routing_sidecar(engine)
    others = declared_ports(engine.pod, besides=engine.container)
    others |= set((sidecar.ports or ()) if sidecar else ())
    both = sorted(others & {*numbers, *([] if supervisor is None else [supervisor])})
    if both:
        text = (
            f"makes ports {_span(numbers)}, but another container of the pod listens on {both[0]}"
        )
        problem = Problem(where="--port", text=text, advice="give ports that are free in the pod")
        yield Found(
            manifest=engine.manifest, path=engine.flag_place("port", MULTI_PORT), problem=problem
        )


def _listed(engine: Engine, numbers: tuple[int, ...], listed: tuple[int, ...]) -> Problem | None:
    """What is wrong with the ports of a pool, beside what D04 and X02 tell."""
    sidecar = routing_sidecar(engine)
    outer = numbers if sidecar is None else sidecar.ports
    if outer is None:
        return None
    where = "targetPorts"
    supervisor = supervisor_port(engine)
    if supervisor in listed and supervisor not in declared_ports(
        engine.pod, besides=engine.container
    ):
        text = f"has {supervisor}, the port of the supervisor, which serves no requests"
        return Problem(where=where, text=text, advice=f"list {_span(outer)}")
    missing = [number for number in outer if number not in listed]
    if not set(listed) & set(outer) or listed == outer[:1] or not missing:
        # Ports that no rank has are told by X02.
        return None
    text = (
        f"lacks {', '.join(map(str, missing))}, so that {len(missing)} of the {len(outer)} ranks "
        "of a pod get no requests"
    )
    return Problem(where=where, text=text, advice=f"list {_span(outer)}")


def _ports_of(pool: Manifest) -> Path:
    old = "targetPortNumber" in pool.spec
    return ("spec", "targetPortNumber" if old else "targetPorts")


@rule("D04", "warning", "a monitor or pool that sees the first rank only")
def first(graph: Graph) -> Iterator[Found]:
    """The other ranks get no requests, or their metrics are missing in every sum."""
    several = _several(graph)
    if several:
        yield from _first_ports(graph, several)
    yield from _first_pods(graph)


def _first_ports(graph: Graph, several: list[tuple[Engine, tuple[int, ...]]]) -> Iterator[Found]:
    by_pod = {id(engine.pod): (engine, numbers) for engine, numbers in several}
    for pool in graph.of("InferencePool"):
        listed = pool_ports(pool.spec)
        for pod in pods_of_pool(graph, pool) if len(listed) == 1 else ():
            if id(pod) not in by_pod:
                continue
            engine, numbers = by_pod[id(pod)]
            sidecar = routing_sidecar(engine)
            outer = numbers if sidecar is None else sidecar.ports
            if outer is not None and listed == outer[:1]:
                text = f"is {listed[0]} alone, so that only the first of {len(outer)} ranks of a "
                text += "pod gets requests"
                problem = Problem(where="targetPorts", text=text, advice=f"list {_span(outer)}")
                yield Found(manifest=pool, path=_ports_of(pool), problem=problem)
                break
    yield from _monitors(graph, by_pod)


def _monitors(graph: Graph, by_pod: dict[int, tuple[Engine, tuple[int, ...]]]) -> Iterator[Found]:
    """The monitors that scrape some of the ranks, unless others scrape the rest."""
    seen: dict[int, set[int]] = defaultdict(set)
    found: dict[int, list[tuple[Manifest, Path]]] = defaultdict(list)
    for monitor, pod, scraped, path in _scrapes(graph, by_pod):
        seen[id(pod)] |= scraped
        found[id(pod)].append((monitor, path))
    told: set[int] = set()
    for key, monitors in found.items():
        engine, numbers = by_pod[key]
        sidecar = routing_sidecar(engine)
        outer = (sidecar.ports or ()) if sidecar else ()
        ranks = {number - numbers[0] for number in seen[key] if number in numbers}
        ranks |= {outer.index(number) for number in seen[key] if number in outer}
        monitor, path = monitors[0]
        if 0 < len(ranks) < len(numbers) and monitor.number not in told:
            told.add(monitor.number)
            text = (
                f"scrape {len(ranks)} of the {len(numbers)} ranks of a pod, each of which has "
                f"metrics of its own at ports {_span(numbers)}"
            )
            problem = Problem(where="its endpoints", text=text, advice="add one for each rank")
            yield Found(manifest=monitor, path=path, problem=problem)


def _scrapes(
    graph: Graph, by_pod: dict[int, Any]
) -> Iterator[tuple[Manifest, Pod, set[int], Path]]:
    """The ports of pods that monitors scrape."""
    for monitor in graph.of("PodMonitor"):
        selector = monitor.spec.get("selector")
        if not isinstance(selector, dict) or mapping(monitor.spec.get("namespaceSelector")):
            continue
        path: Path = ("spec", "podMetricsEndpoints")
        for pod in graph.selected_pods(monitor.namespace, selector):
            if id(pod) in by_pod:
                yield monitor, pod, _numbers(monitor.at(*path), pod), path
    monitors = [
        one
        for one in graph.of("ServiceMonitor")
        if isinstance(one.spec.get("selector"), dict)
        and not mapping(one.spec.get("namespaceSelector"))
    ]
    pods = {id(pod): pod for pod in graph.pods if monitors and id(pod) in by_pod}
    for pod in pods.values():
        for service in graph.services_of(pod):
            for monitor in monitors:
                if monitor.may_be_in(service.namespace) and selects(
                    monitor.spec["selector"], service.labels
                ):
                    targets = {
                        str(port.get("name")): port.get("targetPort", port.get("port"))
                        for port in map(mapping, items(service.spec.get("ports")))
                    }
                    path = ("spec", "endpoints")
                    yield monitor, pod, _numbers(monitor.at(*path), pod, targets), path


def _numbers(endpoints: object, pod: Pod, targets: dict[str, Any] | None = None) -> set[int]:
    """The ports of a pod that endpoints of a monitor name."""
    found = set()
    for one in map(mapping, items(endpoints)):
        port = one.get("port") or one.get("portNumber") or one.get("targetPort")
        port = port if targets is None else targets.get(str(port), one.get("targetPort"))
        number = pod.ports.get(str(port), port)
        if isinstance(number, int):
            found.add(number)
    return found


def _first_pods(graph: Graph) -> Iterator[Found]:
    """What selects the first pod of a group in which each pod serves its own ranks."""
    groups: dict[str, list[Pod]] = defaultdict(list)
    for engine in graph.engines:
        size = engine.pod.group_size
        is_group = engine.pod.role == "both" and size is not None and size > 1
        if is_group and serves_ranks(engine):
            groups[engine.pod.namespace].append(engine.pod)
    if not groups:
        return
    for manifest in graph.of("Service", "InferencePool", "PodMonitor"):
        selector = mapping(manifest.spec.get("selector"))
        labels = selector if manifest.kind == "Service" else mapping(selector.get("matchLabels"))
        if labels.get(INDEX) != "0" or manifest.spec.get("clusterIP") == "None":
            continue
        rest = {key: value for key, value in labels.items() if key != INDEX}
        names = {manifest.namespace, ""} if manifest.namespace else set(groups)
        pods = [pod for name in names for pod in groups.get(name, ())]
        if rest and any(selects({"matchLabels": rest}, pod.labels) for pod in pods):
            steps = () if manifest.kind == "Service" else ("matchLabels",)
            text = (
                f"has {INDEX}: '0', but each pod of the group serves ranks of its own, so that "
                "those of the others are left out"
            )
            problem = Problem(where="selector", text=text, advice="select all pods of the group")
            yield Found(
                manifest=manifest, path=("spec", "selector", *steps, INDEX), problem=problem
            )
