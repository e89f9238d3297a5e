"""The rule of ports that refer to others by name or number: R09."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading import backends
from vllm_constructs.reading.backends import Backend
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import integer, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod

from .monitored_ports import monitored_ports
from .open_ports import named, silent, unnamed
from .rule import Fix, Found, put, rule

# IANA's service names, as the API server checks them.
_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
# What AWS' controller takes for a port whose target an annotation has.
_ANNOTATED = "use-annotation"


@rule("R09", "error", "a port that its target does not have")
def ports(graph: Graph) -> Iterator[Found]:
    """Kubernetes sends nothing to it, and says nothing."""
    engines: dict[int, list[Engine]] = {}
    for engine in graph.engines:
        engines.setdefault(id(engine.pod), []).append(engine)
    for service in graph.of("Service"):
        if service.group == "" and service.spec.get("type") != "ExternalName":
            yield from _targets(service, graph.pods_behind(service), engines)
    seen: set[tuple[int, Path]] = set()
    for manifest in graph.of("Ingress", "HTTPRoute", "Route"):
        for backend in backends.backends_of(manifest):
            where = _port_of(backend)
            # A route has one for each of its matches.
            if (manifest.number, where) not in seen:
                seen.add((manifest.number, where))
                yield from _backend(graph, backend, where)
    for policy in graph.of("NetworkPolicy"):
        yield from _policy(graph, policy)
    yield from monitored_ports(graph, engines)


def _targets(
    service: Manifest, pods: list[Pod], engines: Mapping[int, list[Engine]]
) -> Iterator[Found]:
    """The target ports of a Service."""
    entries = service.each("spec", "ports")
    for path, entry in entries:
        target = entry.get("targetPort")
        where = (*path, "targetPort")
        if isinstance(target, str):
            if not _NAME.fullmatch(target):
                yield _invalid(service, where, "targetPort", target)
            elif pods and not named(pods, target):
                yield unnamed(service, where, "targetPort", target, pods)
        elif len(entries) == 1 and service.spec.get("clusterIP") != "None":
            number = integer(entry.get("port") if target is None else target, 0)
            yield from _not_listening(service, where, number, pods, engines)


def _invalid(manifest: Manifest, where: Path, name: str, value: str) -> Found:
    """A name that the API server rejects."""
    shown = escaped(require.shown(value))
    text = (
        f"is {shown}, and the API server rejects it: a name has lower-case letters, digits and "
        "'-', at most 15, and at least one letter"
    )
    fix, advice = None, "give the name of a port of the container, or its number"
    if value.isdecimal():
        fix, advice = put(where, int(value), is_safe=True), f"write {value} without quotes"
    problem = Problem(where=name, text=text, advice=advice)
    return Found(manifest=manifest, path=where, problem=problem, fix=fix)


def _not_listening(
    service: Manifest,
    where: Path,
    number: int,
    pods: list[Pod],
    engines: Mapping[int, list[Engine]],
) -> Iterator[Found]:
    """A number on which nothing in the pods listens."""
    found = silent(number, pods, engines)
    if not found:
        return
    own = {engine.port for engine in found}
    listens = " or ".join(str(one) for one in sorted(own, key=str))
    text = f"is {number}, and the engine of {escaped(found[0].manifest.title)} listens on {listens}"
    if where[-1] == "targetPort" and service.at(*where) is None:
        text = f"is left out, which means the port: it {text}"
    fix: Fix | None = put(where, next(iter(own))) if len(own) == 1 else None
    problem = Problem(where="targetPort", text=text, advice=f"give {listens}")
    yield Found(manifest=service, path=where, problem=problem, fix=fix)


def _port_of(backend: Backend) -> Path:
    """The fields that lead to the port of a backend."""
    manifest, path = backend.manifest, backend.reference
    if manifest.kind == "Route":
        return ("spec", "port", "targetPort")
    if manifest.kind == "HTTPRoute":
        return (*path, "port")
    if "service" not in mapping(manifest.at(*path)):
        return (*path, "servicePort")
    port = mapping(manifest.at(*path, "service", "port"))
    return (*path, "service", "port", "number" if "number" in port else "name")


def _backend(graph: Graph, backend: Backend, where: Path) -> Iterator[Found]:
    """The port of a Service in an Ingress or route."""
    service = backends.object_of(graph, backend)
    port, is_name = backend.port, isinstance(backend.port, str)
    # A Route of OpenShift names the port of the pods by its number.
    is_known = is_name or (type(port) is int and backend.manifest.kind != "Route")
    if service is None or service.kind != "Service" or not is_known or port == _ANNOTATED:
        return
    entries = [one for _, one in service.each("spec", "ports")]
    known = [one[field] for one in entries if (field := "name" if is_name else "port") in one]
    if not entries or port in known or service.spec.get("type") == "ExternalName":
        return
    what = "name" if is_name else "number"
    text = f"is {require.shown(port)}, and {service.title} has no port of that {what}"
    fix, advice = None, require.nearest(port, map(str, known))
    if len(known) == 1:
        fix, advice = put(where, known[0]), f"give {known[0]!r}"
    elif not advice:
        advice = f"give {require.one_of(known)}" if known else "give its number"
    problem = Problem(where="port of the backend", text=escaped(text), advice=escaped(advice))
    yield Found(manifest=backend.manifest, path=where, problem=problem, fix=fix)


def _policy(graph: Graph, policy: Manifest) -> Iterator[Found]:
    """Named ports that a NetworkPolicy lets in."""
    by_name = [
        (path, one["port"])
        for rule_path, _ in policy.each("spec", "ingress")
        for path, one in policy.each(*rule_path, "ports")
        if isinstance(one.get("port"), str)
    ]
    selector = policy.spec.get("podSelector")
    if not by_name or not mapping(selector):
        return
    pods = graph.selected_pods(policy.namespace, selector)
    for path, name in by_name:
        if pods and not named(pods, name):
            yield unnamed(policy, (*path, "port"), "port of the rule", name, pods)
