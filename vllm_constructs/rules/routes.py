"""Rules of routes of the Gateway API: N05."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.traffic.ingress_annotations import is_placeholder, seconds

from .rule import Fix, Found, put, remove, rule

GROUP = "gateway.networking.k8s.io"
TIMEOUTS = ("request", "backendRequest")
# GEP-2257, as the CRD has it.
_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_GKE_CLASS = "gke-l7-"


def routes(graph: Graph) -> list[Manifest]:
    """The HTTPRoutes of the Gateway API.

    Args:
        graph: The graph.
    """
    return [one for one in graph.of("HTTPRoute") if one.group == GROUP]


def timeout_seconds(value: object) -> float | None:
    """The seconds of a timeout, infinite for 0, which is none; None if the API refuses it.

    Args:
        value: The value of `timeouts.request` or `timeouts.backendRequest`.
    """
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    return seconds(value) or float("inf")


def gateway_classes(graph: Graph, route: Manifest) -> list[tuple[str, str]]:
    """Names and controllers of the classes of a route's Gateways, empty where they are not known.

    A Gateway that is not in the manifests has the name of its class if it is called like one of
    GKE.

    Args:
        graph: The graph.
        route: The HTTPRoute.
    """
    found = []
    for parent in map(mapping, items(route.spec.get("parentRefs"))):
        if parent.get("kind", "Gateway") != "Gateway":
            continue
        namespace = str(parent.get("namespace") or route.namespace)
        name = str(parent.get("name") or "")
        gateway = graph.find("Gateway", namespace, name)
        kind = name if name.startswith(_GKE_CLASS) else ""
        if gateway is not None and gateway.group == GROUP:
            kind = str(gateway.spec.get("gatewayClassName") or "")
        of_kind = graph.find("GatewayClass", "", kind) if kind else None
        controller = "" if of_kind is None else str(of_kind.spec.get("controllerName") or "")
        found.append((kind, controller))
    return found


def is_on_gke(graph: Graph, route: Manifest) -> bool:
    """Whether a load balancer of Google Cloud serves a route.

    Args:
        graph: The graph.
        route: The HTTPRoute.
    """
    return any(
        name.startswith(_GKE_CLASS) or controller == "networking.gke.io/gateway"
        for name, controller in gateway_classes(graph, route)
    )


@rule("N05", "error", "a route that the Gateway API refuses")
def refused_routes(graph: Graph) -> Iterator[Found]:
    """A route that is refused serves nothing, or keeps serving as it did before."""
    for route in routes(graph):
        for path, one in route.each("spec", "rules"):
            timeouts = mapping(one.get("timeouts"))
            if timeouts and is_on_gke(graph, route):
                yield _on_gke(route, (*path, "timeouts"))
            else:
                yield from _timeouts(route, (*path, "timeouts"), timeouts)
            for reference, to in _references(route, path):
                yield from _without_port(graph, route, reference, to)


def _on_gke(route: Manifest, path: Path) -> Found:
    text = "are not supported by Gateways of GKE, which reject the route"
    advice = (
        "leave them out, and give a GCPBackendPolicy with timeoutSec for the Service or "
        "InferencePool"
    )
    return Found(
        manifest=route,
        path=path,
        problem=Problem(where="timeouts", text=text, advice=advice),
        fix=remove(path),
    )


def _timeouts(route: Manifest, path: Path, timeouts: Mapping[str, Any]) -> Iterator[Found]:
    known = {}
    for field in TIMEOUTS:
        value = timeouts.get(field)
        if value is None or is_placeholder(value):
            continue
        known[field] = timeout_seconds(value)
        if known[field] is None:
            shown = escaped(require.shown(value))
            kind = "" if isinstance(value, str) else ", no string"
            problem = Problem(
                where=f"timeouts.{field}",
                text=f"is {shown}{kind}, which the API server rejects",
                allowed="whole numbers with h, m, s or ms, such as '300s' or '1h30m'",
            )
            where = (*path, field)
            yield Found(manifest=route, path=where, problem=problem, fix=_corrected(where, value))
    request, backend = known.get("request"), known.get("backendRequest")
    if request is not None and backend is not None and _exceeds(backend, request):
        text = (
            f"is {escaped(require.shown(timeouts['backendRequest']))}, longer than request "
            f"({escaped(require.shown(timeouts['request']))}), of which it is a part: the API "
            "server rejects the route"
        )
        advice = "leave it out, or raise request"
        problem = Problem(where="timeouts.backendRequest", text=text, advice=advice)
        where = (*path, "backendRequest")
        yield Found(manifest=route, path=where, problem=problem, fix=remove(where))


def _exceeds(backend: float, request: float) -> bool:
    # A timeout of 0 is no timeout, but is not longer than another one to the API server.
    return backend != float("inf") and backend > request


def _corrected(path: Path, value: object) -> Fix | None:
    found = seconds(value)
    if found is None or found * 1000 != int(found * 1000) or found >= 1e5:
        return None
    is_whole = found == int(found)
    right = f"{int(found)}s" if is_whole else f"{int(found * 1000)}ms"
    # A number without a unit may mean something else than seconds.
    has_unit = isinstance(value, str) and not value.strip()[-1:].isdigit()
    return put(path, right, is_safe=has_unit) if _DURATION.fullmatch(right) else None


def _references(route: Manifest, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The references to backends in a rule."""
    yield from route.each(*path, "backendRefs")
    for where, one in route.each(*path, "filters"):
        mirror = mapping(one, "requestMirror")
        if "backendRef" in mirror:
            yield (*where, "requestMirror", "backendRef"), mapping(mirror, "backendRef")


def _without_port(
    graph: Graph, route: Manifest, path: Path, to: Mapping[str, Any]
) -> Iterator[Found]:
    is_service = to.get("kind") in (None, "Service") and to.get("group") in (None, "")
    if not is_service or to.get("port") is not None:
        return
    text = "is missing in the reference to a Service, and the API server rejects the route"
    service = graph.find("Service", str(to.get("namespace") or route.namespace), to.get("name"))
    ports = [mapping(one).get("port") for one in items(service and service.spec.get("ports"))]
    is_one = len(ports) == 1 and isinstance(ports[0], int)
    advice = f"give {ports[0]}" if is_one else "give the number of the Service's port"
    where = (*path, "port")
    yield Found(
        manifest=route,
        path=where,
        problem=Problem(where="backendRef.port", text=text, advice=advice),
        fix=put(where, ports[0], is_safe=True) if is_one else None,
    )
