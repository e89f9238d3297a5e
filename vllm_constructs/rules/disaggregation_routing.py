"""Rules of what stands around two sides: their ports, scalers and policies (X02, X05 and X06)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.disaggregated import connectors_between, pairs, side_of
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import pods_of_pool
from vllm_constructs.reading.listeners import (
    MULTI_PORT,
    Sidecar,
    declared_ports,
    pool_ports,
    rank_ports,
    routing_sidecar,
)
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.network_policies import PolicyReader

from .rule import Found, rule

_ROLE_SCALER = "DisaggregatedSetRoleScaler"


@rule("X02", "error", "ports that lead past the routing sidecar, or to nothing")
def sidecars(graph: Graph) -> Iterator[Found]:
    """Past the sidecar nothing is handed over; at a wrong port connections are refused."""
    by_pod: dict[int, Engine] = {}
    for engine in graph.engines:
        sidecar = routing_sidecar(engine) if len(engine.pod.containers) > 1 else None
        if sidecar is not None or connectors_between(engine):
            by_pod[id(engine.pod)] = engine
        if sidecar is not None:
            yield from _beside(engine, sidecar)
    for pool in graph.of("InferencePool") if by_pod else ():
        listed = pool_ports(pool.spec)
        pods = pods_of_pool(graph, pool) if listed else []
        engines = [by_pod[id(pod)] for pod in pods if id(pod) in by_pod]
        problems = (check(one, listed) for check in (_past, _closed) for one in engines)
        problem = next(filter(None, problems), None)
        if problem is not None:
            yield Found(manifest=pool, path=_place(pool), problem=problem)


def _beside(engine: Engine, sidecar: Sidecar) -> Iterator[Found]:
    """What is wrong between a sidecar and the engine beside it."""
    numbers = rank_ports(engine)
    if numbers is None:
        return
    field = next((one for one in ("args", "command") if _has(engine, sidecar, one)), "args")
    place: Path = (*sidecar.path, field)
    both = sorted(set(sidecar.ports or ()) & set(numbers))
    if both and len(numbers) == 1:
        text = f"is {both[0]}, on which the routing sidecar of the pod listens"
        advice = "give the engine another port, for example 8200, and the sidecar that one"
        problem = Problem(where="--port", text=text, advice=advice)
        path = engine.flag_place("port")
        yield Found(manifest=engine.manifest, path=path, problem=problem)
    elif sidecar.target is not None and sidecar.target != numbers[0] and not both:
        text = f"gives requests to {sidecar.target}, but the engine listens on {numbers[0]}"
        advice = f"give it --model-server-port={numbers[0]}, or the engine --port={sidecar.target}"
        problem = Problem(where="the routing sidecar", text=text, advice=advice)
        yield Found(manifest=engine.manifest, path=place, problem=problem)
    elif sidecar.ranks is not None and sidecar.ranks != len(numbers):
        has_ports = engine.flag(MULTI_PORT) is True
        what = f"{len(numbers)} ports, one for each rank" if has_ports else "one port for all ranks"
        own = "one port" if sidecar.ranks == 1 else f"{sidecar.ranks} ports"
        text = f"has {own}, but the engine has {what}"
        advice = f"give it --data-parallel-size={len(numbers)}"
        problem = Problem(where="the routing sidecar", text=text, advice=advice)
        yield Found(manifest=engine.manifest, path=place, problem=problem)


def _has(engine: Engine, sidecar: Sidecar, field: str) -> bool:
    return bool(mapping(engine.manifest.at(*sidecar.path)).get(field))


def _outer(engine: Engine, sidecar: Sidecar | None) -> tuple[int, ...]:
    """The ports of an engine's pod for the pool; none if they are not known."""
    if rank_ports(engine) is None:
        return ()
    return (sidecar.ports or ()) if sidecar else rank_ports(engine) or ()


def _past(engine: Engine, listed: tuple[int, ...]) -> Problem | None:
    """A port of a pool that is the engine's, behind its sidecar."""
    sidecar = routing_sidecar(engine)
    outer = _outer(engine, sidecar)
    past = [one for one in listed if one in (rank_ports(engine) or ()) and one not in outer]
    if sidecar is None or not outer or not past:
        return None
    text = (
        f"has {past[0]}, the port of the engine of {escaped(engine.manifest.title)} behind its "
        "routing sidecar, so that no prompt is handed to the prefill side"
    )
    return Problem(where="targetPorts", text=text, advice=f"give {outer[0]}, the sidecar's")


def _closed(engine: Engine, listed: tuple[int, ...]) -> Problem | None:
    """A port of a pool that no container of an engine's pods listens on."""
    sidecar = routing_sidecar(engine)
    outer = _outer(engine, sidecar)
    declared = declared_ports(engine.pod, besides=engine.container)
    known = {*outer, *(rank_ports(engine) or ()), *declared}
    closed = [one for one in listed if one not in known]
    if not outer or not closed or _may_listen(engine, sidecar):
        return None
    text = f"has {closed[0]}, on which no container of {escaped(engine.manifest.title)} listens"
    advice = f"let each side listen on the port of the pool; here it is {outer[0]}"
    return Problem(where="targetPorts", text=text, advice=advice)


def _may_listen(engine: Engine, sidecar: Sidecar | None) -> bool:
    """Whether another container may listen on ports that it does not list."""
    return any(
        path != (sidecar.path if sidecar else ())
        and container is not engine.container
        and not items(container.get("ports"))
        for path, container in engine.pod.containers
    )


def _place(pool: Manifest) -> Path:
    old = "targetPortNumber" in pool.spec
    return ("spec", "targetPortNumber" if old else "targetPorts")


@rule("X05", "error", "one autoscaler for both sides")
def scalers(graph: Graph) -> Iterator[Found]:
    """Prompts and answers need different numbers of pods, at different times."""
    for scaler in graph.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = graph.target_of(scaler)
        sides = {side_of(one) for one in graph.engines_of(target)} if target else set()
        if target is not None and {"prefill", "decode"} <= sides:
            text = (
                f"is {escaped(target.title)}, which has both sides, so that one number of pods "
                "follows the load of two"
            )
            advice = "scale each side by its own load"
            if target.kind == "DisaggregatedSet":
                advice += f", by the {_ROLE_SCALER} of its role (scaling.mode: External)"
            problem = Problem(where="scaleTargetRef", text=text, advice=advice)
            yield Found(manifest=scaler, path=("spec", "scaleTargetRef"), problem=problem)
    told: set[int] = set()
    for pair in pairs(graph):
        first, second = (_scaler_of(graph, one) for one in pair)
        if first is None or second is None or first is second or second.number in told:
            continue
        asked = {said for _, said in _questions(first)}
        for path, said in _questions(second):
            if said in asked:
                told.add(second.number)
                text = (
                    f"asks what {escaped(first.title)} asks for the other side, so that both sides "
                    "follow the same number"
                )
                advice = (
                    "scale prefill by waiting requests and decode by running ones, each of its own "
                    "pods"
                )
                problem = Problem(where=str(path[1]), text=text, advice=advice)
                yield Found(manifest=second, path=path, problem=problem, level="warning")
                break


def _scaler_of(graph: Graph, engine: Engine) -> Manifest | None:
    """The scaler of the pods of an engine."""
    manifest = engine.manifest
    if manifest.kind == "DisaggregatedSet" and "roles" in engine.pod.path:
        at = engine.pod.path.index("roles") + 2
        role = mapping(manifest.at(*engine.pod.path[:at])).get("name")
        name = f"{manifest.name}-{role}"
        return next(
            (
                one
                for one in graph.of("HorizontalPodAutoscaler", "ScaledObject")
                if mapping(one.spec.get("scaleTargetRef")).get("kind") == _ROLE_SCALER
                and mapping(one.spec.get("scaleTargetRef")).get("name") == name
            ),
            None,
        )
    return next(iter(graph.scalers_of(manifest)), None)


def _questions(scaler: Manifest) -> Iterator[tuple[Path, str]]:
    """What a scaler asks about more than the pods of its own target, each with its path."""
    for path, trigger in scaler.each("spec", "triggers"):
        query = mapping(trigger.get("metadata")).get("query")
        if query is not None:
            yield path, _said([trigger.get("type"), query])
    for path, metric in scaler.each("spec", "metrics"):
        kind = metric.get("type")
        if kind in ("External", "Object"):
            asked = mapping(metric.get(str(kind).lower()))
            yield path, _said([kind, asked.get("metric"), asked.get("describedObject")])


def _said(asked: list[Any]) -> str:
    return " ".join(json.dumps(asked, sort_keys=True, default=str).split())


@rule("X06", "error", "policies that stop the transfer between the sides")
def separated(graph: Graph) -> Iterator[Found]:
    """The cache goes from pod to pod, over ports that are chosen at random."""
    policies = PolicyReader(graph)
    if policies.is_open:
        return
    told: set[tuple[int, str]] = set()
    for prefill, decode in pairs(graph):
        for source, target in ((decode, prefill), (prefill, decode)):
            found = policies.isolating(source.pod, target.pod)
            if found is None or (found[0].number, found[1]) in told:
                continue
            policy, direction = found
            told.add((policy.number, direction))
            isolated, other = (target, source) if direction == "Ingress" else (source, target)
            verb = "gets nothing from" if direction == "Ingress" else "does not reach"
            text = (
                f"isolates {escaped(isolated.manifest.title)}, and no policy allows all ports, so "
                f"that it {verb} {escaped(other.manifest.title)}"
            )
            advice = (
                "add a policy that allows all ports between the two sides: besides the side "
                "channel, 5600, they are chosen at random"
            )
            problem = Problem(where="podSelector", text=text, advice=advice)
            yield Found(manifest=policy, path=("spec", direction.lower()), problem=problem)
