"""Rules of how the pods of an engine with several nodes begin and end: M03 to M05, and M07."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs.errors import Problem
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import groups, has_other_nodes, is_plain
from vllm_constructs.reading.pods import Pod

from .lifecycle import pre_stop
from .probes import HANDLERS, probes
from .rule import Found, put, remove, rule

_RECREATE = "RecreateGroupOnPodRestart"
# Kinds that end all of their pods at once, or the last ones first.
_ALONE = ("Deployment", "ReplicaSet", "Rollout", "StatefulSet")
# Seconds of a pause in which most requests of the leader end.
_DRAIN = 30


@rule("M03", "error", "workers that are created only when their leader is ready")
def startup(graph: Graph) -> Iterator[Found]:
    """The leader becomes ready when all workers have joined: both wait for each other."""
    for group in groups(graph):
        is_one = group.is_one_engine or (group.has_several and group.uses_ray)
        if group.set.get("startupPolicy") != "LeaderReady" or not is_one:
            continue
        leader = group.engine("leader") or next(iter(group.engines), None)
        if leader is None:
            continue
        answers = [
            name
            for name, _, probe in probes(leader)
            if name != "livenessProbe" and "exec" not in probe and _asks_engine(leader, probe)
        ]
        has_other = any(name != "livenessProbe" for name, _, _ in probes(leader))
        if has_other and not answers:
            # What its probe waits for is not known.
            continue
        text = "is LeaderReady, but the leader is ready only when its workers have joined"
        if not answers:
            text = (
                "is LeaderReady, which works only as long as the leader has no readinessProbe: "
                "with one, leader and workers wait for each other"
            )
        path = (*group.path, "startupPolicy")
        yield Found(
            manifest=group.manifest,
            path=path,
            problem=Problem(where="startupPolicy", text=text, advice="give LeaderCreated"),
            level=None if answers else "warning",
            fix=put(path, "LeaderCreated", is_safe=True),
        )


def _asks_engine(engine: Engine, probe: Mapping[str, Any]) -> bool:
    """Whether a probe asks the API of the engine, as far as that is known."""
    port = next((mapping(probe.get(kind)).get("port") for kind in HANDLERS if kind in probe), None)
    number = engine.pod.ports.get(str(port), port)
    return engine.port is None or str(number) == str(engine.port)


@rule("M04", "error", "a group of one engine whose pods are restarted alone")
def restart(graph: Graph) -> Iterator[Found]:
    """The other nodes hang, since a node that is started again cannot join them."""
    for group in groups(graph):
        policy = mapping(group.set.get("leaderWorkerTemplate")).get("restartPolicy")
        if policy in ("None", "Default") and group.is_one_engine:
            same = " (the old name of None)" if policy == "Default" else ""
            text = (
                f"is {policy}{same}, so that a pod is restarted alone, and the other nodes of its "
                "engine wait for ever"
            )
            path = (*group.template_path, "restartPolicy")
            yield Found(
                manifest=group.manifest,
                path=path,
                problem=Problem(where="restartPolicy", text=text, advice=f"give {_RECREATE}"),
                fix=put(path, _RECREATE, is_safe=True),
            )


@rule("M05", "error", "a probe of a headless node over the network")
def probed(graph: Graph) -> Iterator[Found]:
    """A headless node listens on no port: the probe fails, and the group is restarted."""
    for engine in graph.engines:
        # Of pods that are no group, E06 tells it.
        if not engine.is_headless or not engine.pod.role or not is_plain(engine):
            continue
        elsewhere = _ports_of_others(engine)
        for name, path, probe in probes(engine):
            kind = next(kind for kind in HANDLERS if kind in probe)
            handler = mapping(probe[kind])
            number = engine.pod.ports.get(str(handler.get("port")), handler.get("port"))
            if kind == "exec" or handler.get("host") or str(number) in elsewhere:
                continue
            text = f"is of the kind {kind}, but a --headless node has no server"
            advice = "remove it, or execute a command that dials the leader"
            yield Found(
                manifest=engine.manifest,
                path=(*path, kind),
                problem=Problem(where=name, text=text, advice=advice),
                fix=remove(path, is_safe=True),
            )


def _ports_of_others(engine: Engine) -> set[str]:
    """The ports of the other containers of its pod."""
    return {
        str(port.get("containerPort"))
        for _, container in engine.pod.containers
        if container is not engine.container
        for port in map(mapping, items(container.get("ports")))
    }


@rule("M07", "warning", "a node that ends before its leader has drained")
def ends(graph: Graph) -> Iterator[Found]:
    """The requests that the leader still runs end with the first node that ends."""
    for engine in graph.engines:
        hook = mapping(engine.container, "lifecycle", "preStop")
        is_alone = engine.manifest.kind in _ALONE and has_other_nodes(engine)
        if engine.is_headless and is_alone and engine.pod.is_whole:
            if hook and pre_stop(engine.container) is None:
                # What it executes is not known.
                continue
            pause, wait = pre_stop(engine.container) or (0, 0)
            if pause + wait < _DRAIN:
                yield _alone(engine)
    budgets = [
        (budget, graph.selected_pods(budget.namespace, budget.spec.get("selector")))
        for budget in graph.of("PodDisruptionBudget")
    ]
    if not budgets:
        return
    covered = {id(pod) for _, pods in budgets for pod in pods}
    leaders = _bare_leaders(graph, covered)
    for budget, pods in budgets:
        if any(id(pod) in leaders for pod in pods):
            text = (
                "selects the leader of a group and not its workers: a worker that is evicted ends "
                "at once, with all requests of its leader"
            )
            advice = (
                "select all pods of the set, by leaderworkerset.sigs.k8s.io/name; with "
                "maxUnavailable 1 one group is evicted at a time"
            )
            problem = Problem(where="selector", text=text, advice=advice)
            yield Found(manifest=budget, path=("spec", "selector"), problem=problem)


def _alone(engine: Engine) -> Found:
    text = (
        f"is missing on a --headless node of a {engine.manifest.kind}, which ends at a rollout or "
        "an eviction while its leader still drains"
    )
    advice = (
        "run the engine in a LeaderWorkerSet, which ends workers after their leader, or let the "
        "hook sleep as long as the leader drains"
    )
    return Found(
        manifest=engine.manifest,
        path=(*engine.path, "lifecycle", "preStop"),
        problem=Problem(where="lifecycle.preStop", text=text, advice=advice),
    )


def _bare_leaders(graph: Graph, covered: set[int]) -> set[int]:
    """The leaders of groups whose workers no budget selects."""
    found: set[int] = set()
    for group in groups(graph):
        leaders: list[Pod] = [pod for pod in group.pods if pod.role == "leader"]
        others = [pod for pod in group.pods if pod.role == "worker"]
        if group.is_one_engine and others and not any(id(pod) in covered for pod in others):
            found |= {id(pod) for pod in leaders}
    return found
