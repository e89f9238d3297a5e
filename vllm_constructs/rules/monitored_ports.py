"""Ports at which monitors and annotations let Prometheus ask for metrics, for R09."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod

from .open_ports import named, silent, unnamed
from .rule import Found, put
from .targets import Targets, monitored_pods, namespaces

# Annotations that the scrape jobs of Prometheus' chart read.
_IS_SCRAPED, _SCRAPED_PORT = "prometheus.io/scrape", "prometheus.io/port"
# Where Istio's sidecar, which is in no manifest, has the metrics of the pod.
_OF_ISTIO = (15020, 15090)


def monitored_ports(graph: Graph, engines: Mapping[int, list[Engine]]) -> Iterator[Found]:
    """The ports of monitors and annotations that their targets do not have.

    Args:
        graph: The manifests.
        engines: The engines by the `id` of their pod.
    """
    for service in graph.of("Service"):
        given, pods = service.annotations, graph.pods_behind(service)
        yield from _scraped(service, ("metadata", "annotations"), given, pods, engines)
    for engine in graph.engines:
        pod = engine.pod
        path = (*pod.metadata_path, "annotations")
        yield from _scraped(engine.manifest, path, pod.annotations, [pod], engines)
    monitors = graph.of("ServiceMonitor")
    services = Targets.services(graph) if monitors else Targets(())
    for monitor in monitors:
        selector = monitor.spec.get("selector")
        found = services.selected(selector, namespaces(monitor))
        yield from _service_monitor(graph, monitor, [one.manifest for one in found])
    for monitor in graph.of("PodMonitor", "PodMonitoring"):
        yield from _pod_monitor(graph, monitor)


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
    found = silent(int(port), pods, engines)
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
        if isinstance(target, str) and pods and not named(pods, target):
            yield unnamed(monitor, (*path, "targetPort"), "targetPort", target, pods)


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
            elif isinstance(port, str) and pods and not named(pods, port):
                # GKE's PodMonitoring also takes numbers.
                if port.isdecimal() and monitor.kind == "PodMonitoring":
                    continue
                yield unnamed(monitor, (*path, name), f"{name} of the endpoint", port, pods)
