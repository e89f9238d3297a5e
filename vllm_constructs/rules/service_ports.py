"""The rule of ports that refer to others by name or number: R09."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading import backends
from vllm_constructs.reading.backends import Backend
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import integer, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod

from .rule import Fix, Found, put, rule
from .targets import Targets, monitored_pods, namespaces

# IANA's service names, as the API server checks them.
_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
# A script that starts more than the engine.
_OTHERS = re.compile(r"[;&\n]|\bray\b")
# Annotations that the scrape jobs of Prometheus' chart read.
_IS_SCRAPED, _SCRAPED_PORT = "prometheus.io/scrape", "prometheus.io/port"
# Where Istio's sidecar, which is in no manifest, has the metrics of the pod.
_OF_ISTIO = (15020, 15090)
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
            pods = graph.pods_behind(service)
            yield from _targets(service, pods, engines)
            where: Path = ("metadata", "annotations")
            yield from _scraped(service, where, service.annotations, pods, engines)
    for one in graph.engines:
        where = (*one.pod.metadata_path, "annotations")
        yield from _scraped(one.manifest, where, one.pod.annotations, [one.pod], engines)
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
    monitors = graph.of("ServiceMonitor")
    services = Targets.services(graph) if monitors else Targets(())
    for monitor in monitors:
        selector = monitor.spec.get("selector")
        found = services.selected(selector, namespaces(monitor))
        yield from _service_monitor(graph, monitor, [one.manifest for one in found])
    for monitor in graph.of("PodMonitor", "PodMonitoring"):
        yield from _pod_monitor(graph, monitor)


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
            elif pods and not _named(pods, target):
                yield _unnamed(service, where, "targetPort", target, pods)
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


def _named(pods: Iterable[Pod], name: str) -> bool:
    """Whether any of the pods has a port of a name, or has containers that are not here."""
    return any(name in pod.ports or not pod.is_whole for pod in pods)


def _unnamed(manifest: Manifest, where: Path, field: str, name: str, pods: Iterable[Pod]) -> Found:
    is_monitor = manifest.kind.endswith(("Monitor", "Monitoring"))
    effect = "nothing is scraped" if is_monitor else "nothing is sent to them"
    names = sorted({one for pod in pods for one in pod.ports})
    titles = sorted({pod.manifest.title for pod in pods})
    more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
    text = (
        f"is {require.shown(name)}, and the pods of {titles[0]}{more} have no port of that name, "
        f"so that {effect}"
    )
    fix, advice = None, require.nearest(name, names)
    if len(names) == 1:
        fix, advice = put(where, names[0]), f"give {names[0]!r}"
    elif not advice:
        advice = f"give {require.one_of(names)}" if names else "name the container's port so"
    problem = Problem(where=field, text=escaped(text), advice=escaped(advice))
    return Found(manifest=manifest, path=where, problem=problem, fix=fix)


def _not_listening(
    service: Manifest,
    where: Path,
    number: int,
    pods: list[Pod],
    engines: Mapping[int, list[Engine]],
) -> Iterator[Found]:
    """A number on which nothing in the pods listens."""
    found = _silent(number, pods, engines)
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


def _silent(number: int, pods: list[Pod], engines: Mapping[int, list[Engine]]) -> list[Engine]:
    """The engines of pods in which nothing listens on a number; none if something may."""
    found = [engine for pod in pods for engine in engines.get(id(pod), ())]
    if not number or not found or len(found) != len(pods) or not all(map(_is_alone, found)):
        return []
    is_told = any(number == engine.port or _mentions(engine, number) for engine in found)
    return [] if is_told else found


def _scraped(
    manifest: Manifest,
    path: Path,
    annotations: Mapping[str, object],
    pods: list[Pod],
    engines: Mapping[int, list[Engine]],
) -> Iterator[Found]:
    """The port at which annotations let Prometheus ask for metrics."""
    port = str(annotations.get(_SCRAPED_PORT))
    is_scraped = str(annotations.get(_IS_SCRAPED)).lower() == "true"
    if not is_scraped or not port.isdecimal() or int(port) in _OF_ISTIO:
        return
    found = _silent(int(port), pods, engines)
    own = {engine.port for engine in found}
    if len(own) == 1:
        [right] = own
        text = (
            f"is '{port}', and the engine of {escaped(found[0].manifest.title)} listens on "
            f"{right}, so that Prometheus gets no metrics"
        )
        problem = Problem(where=f"annotation {_SCRAPED_PORT}", text=text, advice=f"give '{right}'")
        where = (*path, _SCRAPED_PORT)
        yield Found(manifest=manifest, path=where, problem=problem, fix=put(where, str(right)))


def _is_alone(engine: Engine) -> bool:
    """Whether the engine is all that listens in its pods, on one port that is known."""
    return (
        engine.pod.is_whole
        and len(engine.pod.containers) == 1
        and engine.is_line_whole
        and engine.port is not None
        and not engine.is_headless
        and not any(name.startswith("data-parallel") for name in engine.options)
        and not any(map(_OTHERS.search, strings(engine.container.get("command"))))
        and not any(map(_OTHERS.search, strings(engine.container.get("args"))))
    )


def _mentions(engine: Engine, number: int) -> bool:
    """Whether the container names a port in any way."""
    ports = [
        integer(port.get("containerPort"), 0)
        for _, port in engine.manifest.each(*engine.path, "ports")
    ]
    words = [*strings(engine.container.get("command")), *strings(engine.container.get("args"))]
    words += [str(value) for value in engine.env.values()]
    return number in ports or any(re.search(rf"\b{number}\b", word) for word in words)


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
    named = [
        (path, one["port"])
        for rule_path, _ in policy.each("spec", "ingress")
        for path, one in policy.each(*rule_path, "ports")
        if isinstance(one.get("port"), str)
    ]
    selector = policy.spec.get("podSelector")
    if not named or not mapping(selector):
        return
    pods = graph.selected_pods(policy.namespace, selector)
    for path, name in named:
        if pods and not _named(pods, name):
            yield _unnamed(policy, (*path, "port"), "port of the rule", name, pods)


def _service_monitor(graph: Graph, monitor: Manifest, services: list[Manifest]) -> Iterator[Found]:
    """The ports of the Services that a ServiceMonitor selects."""
    entries = [one for service in services for _, one in service.each("spec", "ports")]
    names = sorted({str(one["name"]) for one in entries if one.get("name")})
    pods = [pod for service in services for pod in graph.pods_behind(service)]
    for path, endpoint in monitor.each("spec", "endpoints"):
        port, target = endpoint.get("port"), endpoint.get("targetPort")
        if services and entries and port is not None and port not in names:
            where = (*path, "port")
            yield _of_monitor(monitor, where, port, services[0])
        if isinstance(target, str) and pods and not _named(pods, target):
            yield _unnamed(monitor, (*path, "targetPort"), "targetPort", target, pods)


def _of_monitor(monitor: Manifest, where: Path, port: object, service: Manifest) -> Found:
    entries = [one for _, one in service.each("spec", "ports")]
    names = [str(one["name"]) for one in entries if one.get("name")]
    text = f"is {require.shown(port)}, and {service.title} has no port of that name"
    fix, advice = None, require.nearest(port, names)
    if str(port) in [str(one.get("port")) for one in entries]:
        text = f"is {require.shown(port)}, a number, and the name of a port is needed"
    if len(names) == 1:
        fix, advice = put(where, names[0]), f"give {names[0]!r}"
    elif not advice:
        advice = f"give {require.one_of(names)}" if names else f"name the port of {service.title}"
    problem = Problem(where="port of the endpoint", text=escaped(text), advice=escaped(advice))
    return Found(manifest=monitor, path=where, problem=problem, fix=fix)


def _number_as_name(monitor: Manifest, where: Path, port: str, pods: Iterable[Pod]) -> Found:
    """A number where a PodMonitor has the name of a port, which has at least one letter."""
    names = sorted({name for pod in pods for name, one in pod.ports.items() if str(one) == port})
    text = f"is '{port}', a number, and the name of a port is needed, so that nothing is scraped"
    fix, advice = None, "give the name of the container's port"
    if len(names) == 1:
        fix, advice = put(where, names[0]), f"give {names[0]!r}"
    elif names:
        advice = f"give {require.one_of(names)}"
    problem = Problem(where="port of the endpoint", text=text, advice=escaped(advice))
    return Found(manifest=monitor, path=where, problem=problem, fix=fix)


def _pod_monitor(graph: Graph, monitor: Manifest) -> Iterator[Found]:
    """The ports of the pods that a PodMonitor selects."""
    pods = monitored_pods(graph, monitor)
    field = "podMetricsEndpoints" if monitor.kind == "PodMonitor" else "endpoints"
    for path, endpoint in monitor.each("spec", field):
        for name in ("port", "targetPort"):
            port = endpoint.get(name)
            if name == "port" and monitor.kind == "PodMonitor" and str(port).isdecimal():
                yield _number_as_name(monitor, (*path, name), str(port), pods)
            elif isinstance(port, str) and pods and not _named(pods, port):
                # GKE's PodMonitoring also takes numbers.
                if port.isdecimal() and monitor.kind == "PodMonitoring":
                    continue
                yield _unnamed(monitor, (*path, name), f"{name} of the endpoint", port, pods)
