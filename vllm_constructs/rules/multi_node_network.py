"""Rules of the network between the nodes of an engine, and to them: M06, M08 and M11."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import (
    INDEX,
    Group,
    groups,
    has_other_nodes,
    is_plain,
    pods_of_pool,
    script,
    starts_ray,
)
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.network_policies import PolicyReader
from vllm_constructs.reading.pods import Pod

from .rule import Fix, Found, put, rule

_INTERFACES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
_ADDRESS = "VLLM_HOST_IP"
_ROUTED = re.compile(r"--k8s-label-selector[= ]+['\"]?([^'\"\s]+)")
_SELECTED = re.compile(r"[\w./-]+={1,2}[\w.-]+(,[\w./-]+={1,2}[\w.-]+)*")


@rule("M06", "error", "requests or scrapes that go to headless nodes")
def selected(graph: Graph) -> Iterator[Found]:
    """A headless node refuses connections, so that a part of all requests fails."""
    yield from _names(graph)
    silent = _silent_pods(graph)
    if not silent:
        return
    for service in graph.of("Service"):
        if service.spec.get("clusterIP") == "None":
            # The nodes may find each other by it.
            continue
        for pod in graph.pods_behind(service):
            if id(pod) in silent and _reaches(service, pod):
                yield _found(service, ("spec", "selector"), (INDEX,), pod, "sends requests to")
                break
    for pool in graph.of("InferencePool"):
        is_map = not {"matchLabels", "matchExpressions"} & set(mapping(pool.spec.get("selector")))
        for pod in pods_of_pool(graph, pool):
            if id(pod) in silent:
                steps = (INDEX,) if is_map else ("matchLabels", INDEX)
                yield _found(pool, ("spec", "selector"), steps, pod, "picks endpoints among")
                break
    yield from _monitors(graph, silent)
    yield from _routers(graph, silent)


def _found(manifest: Manifest, path: Path, steps: tuple[str, ...], pod: Pod, what: str) -> Found:
    text = f"{what} the headless nodes of {escaped(pod.manifest.title)} too, which have no server"
    advice = "select the leaders only"
    fix: Fix | None = None
    if pod.role:
        advice += f", for example by {INDEX}: '0'"
        fix = put((*path, *steps), "0", is_safe=True)
    problem = Problem(where="selector", text=text, advice=advice)
    return Found(manifest=manifest, path=path, problem=problem, fix=fix)


def _silent_pods(graph: Graph) -> set[int]:
    """The pods that are nodes of an engine and have no server."""
    found = {
        id(engine.pod)
        for engine in graph.engines
        if engine.is_headless and is_plain(engine) and has_other_nodes(engine)
    }
    for group in groups(graph):
        if group.has_several and group.uses_ray and group.engine("leader") is not None:
            found |= {
                id(pod)
                for pod in group.pods
                if pod.role == "worker" and any(starts_ray(one) for _, one in pod.containers)
            }
    # A template for all nodes has the first one too.
    return found - {id(pod) for pod in graph.pods if pod.role == "both"}


def _reaches(service: Manifest, pod: Pod) -> bool:
    """Whether a Service has a port for pods that none of their sidecars listens on."""
    for port in map(mapping, items(service.spec.get("ports"))):
        target = port.get("targetPort", port.get("port"))
        if isinstance(target, str) and not target.isdecimal():
            # Pods without a port of this name get nothing.
            if target in pod.ports and not _is_of_sidecar(pod, target):
                return True
        elif not _is_of_sidecar(pod, target):
            return True
    return False


def _is_of_sidecar(pod: Pod, port: object) -> bool:
    """Whether the port is one of a container that does not run the engine."""
    return any(
        str(port) in (str(one.get("name")), str(one.get("containerPort")))
        for _, container in pod.containers
        if not _may_be_node(container)
        for one in map(mapping, items(container.get("ports")))
    )


def _may_be_node(container: dict[str, Any]) -> bool:
    text = script(container)
    return "headless" in text or starts_ray(container)


def _monitors(graph: Graph, silent: set[int]) -> Iterator[Found]:
    for monitor in graph.of("PodMonitor"):
        selector = monitor.spec.get("selector")
        spaces = mapping(monitor.spec.get("namespaceSelector"))
        if not isinstance(selector, dict) or spaces:
            continue
        endpoints = [mapping(one) for one in items(monitor.spec.get("podMetricsEndpoints"))]
        for pod in graph.selected_pods(monitor.namespace, selector):
            # Prometheus drops pods that do not list the port.
            listed = {*pod.ports, *map(str, pod.ports.values()), *_numbers(pod)}
            ports = {
                str(one.get("port") or one.get("portNumber") or one.get("targetPort"))
                for one in endpoints
            }
            if id(pod) in silent and any(
                port in listed and not _is_of_sidecar(pod, port) for port in ports
            ):
                steps = ("matchLabels", INDEX)
                yield _found(monitor, ("spec", "selector"), steps, pod, "scrapes")
                break


def _numbers(pod: Pod) -> set[str]:
    return {
        str(port.get("containerPort"))
        for _, container in pod.containers
        for port in map(mapping, items(container.get("ports")))
    }


def _routers(graph: Graph, silent: set[int]) -> Iterator[Found]:
    """The router of production-stack, which asks each pod that its labels select."""
    for pod in graph.pods:
        for path, container in pod.containers:
            found = _ROUTED.search(script(container))
            if found is None or not _SELECTED.fullmatch(found[1]):
                continue
            labels = dict(re.split("==?", one) for one in found[1].split(","))
            for one in graph.selected_pods(pod.namespace, {"matchLabels": labels}):
                if id(one) in silent:
                    place = (*path, "args" if "args" in container else "command")
                    yield _found(pod.manifest, place, (), one, "routes requests to")
                    break


def _names(graph: Graph) -> Iterator[Found]:
    """Services with the name of a set, under which it makes one for its own pods."""
    sets = {
        (one.namespace, one.name): one
        for one in graph.of("LeaderWorkerSet")
        if mapping(one.spec.get("networkConfig")).get("subdomainPolicy") != "UniquePerReplica"
    }
    if not sets:
        return
    named: dict[str, list[Manifest]] = {}
    for one in sets.values():
        named.setdefault(one.name, []).append(one)
    for service in graph.of("Service"):
        same = [one for one in named.get(service.name, ()) if one.may_be_in(service.namespace)]
        is_alike = (
            service.spec.get("clusterIP") == "None"
            and service.spec.get("publishNotReadyAddresses") is True
        )
        if same and not is_alike and graph.engines_of(same[0]):
            text = (
                f"is {escaped(require.shown(service.name))}, the name of a LeaderWorkerSet, which "
                "makes a headless Service of that name for the addresses of its pods"
            )
            advice = f"give it another one, for example {escaped(repr(f'{service.name}-api'))}"
            problem = Problem(where="metadata.name", text=text, advice=advice)
            yield Found(manifest=service, path=("metadata", "name"), problem=problem)


@rule("M08", "warning", "nodes that have to guess their address and interface")
def address(graph: Graph) -> Iterator[Found]:
    """With several interfaces vLLM, NCCL and Gloo may choose one that other nodes do not reach."""
    for engine in graph.engines:
        if not has_other_nodes(engine) or engine.pod.group_size == 1 or not engine.pod.is_whole:
            continue
        found = engine.env_paths.get(_ADDRESS)
        text = _guess(engine) if found is None else _wrong_address(engine, found)
        if text:
            right = {"name": _ADDRESS, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
            own = items(engine.container.get("env"))
            list_path = (*engine.path, "env")
            fix = put((*list_path, len(own)), right) if own else put(list_path, [right])
            yield Found(
                manifest=engine.manifest,
                path=found or list_path,
                problem=Problem(
                    where=f"env[{_ADDRESS!r}]",
                    text=text,
                    advice="take it from the field status.podIP",
                ),
                fix=put(found, right) if found else fix,
            )


def _guess(engine: Engine) -> str:
    """Why a node has to guess its address; empty if it does not, or if that is not known."""
    names = {str(mapping(one).get("name")) for one in items(engine.container.get("env"))}
    text = script(engine.container)
    is_told = (names | set(engine.env)) & set(_INTERFACES) or any(
        name in text for name in (_ADDRESS, *_INTERFACES)
    )
    if is_told or _ADDRESS in engine.env or items(engine.container.get("envFrom")):
        return ""
    return f"is not given, and neither is {_INTERFACES[0]} or {_INTERFACES[1]}"


def _wrong_address(engine: Engine, path: Path) -> str:
    """Why a variable is not the address of a node; empty if it may be."""
    variable = mapping(engine.manifest.at(*path))
    field = mapping(variable, "valueFrom", "fieldRef").get("fieldPath")
    value = variable.get("value")
    if field == "status.hostIP" and engine.pod.spec.get("hostNetwork") is not True:
        return "is the address of the machine, on which the pod does not listen"
    if isinstance(value, str) and value and "$" not in value:
        return f"is {escaped(require.shown(value))}, the same for all nodes"
    return ""


@rule("M11", "error", "policies that separate the nodes of an engine")
def separated(graph: Graph) -> Iterator[Found]:
    """Nodes connect to ports that they choose at random, and wait for each other for ever."""
    policies = PolicyReader(graph)
    if policies.is_open:
        return
    for group in groups(graph):
        if not (group.is_one_engine or (group.has_several and group.uses_ray)):
            continue
        for source, target in _pairs(group):
            found = policies.isolating(source, target)
            if found is not None:
                policy, direction = found
                yield _separation(group, policy, direction)
                break


def _pairs(group: Group) -> Iterator[tuple[Pod, Pod]]:
    """The pods of a group that connect to each other."""
    for source in group.pods:
        for target in group.pods:
            is_alone = source is target and (
                source.role == "leader" or (source.role == "worker" and group.size == 2)
            )
            if not is_alone:
                yield source, target


def _separation(group: Group, policy: Manifest, direction: str) -> Found:
    verb = "gets nothing from" if direction == "Ingress" else "does not reach"
    text = (
        f"isolates the pods of {escaped(group.manifest.title)}, and no policy allows all ports "
        f"between them, so that a node {verb} the others"
    )
    advice = (
        "add a policy that allows all ports between the pods of the set: besides 29501 and 29550, "
        "the ports are chosen at random"
    )
    return Found(
        manifest=policy,
        path=("spec", direction.lower()),
        problem=Problem(where="podSelector", text=text, advice=advice),
    )
