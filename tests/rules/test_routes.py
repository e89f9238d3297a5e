"""N05: routes that the API server or the Gateway refuses."""

from __future__ import annotations

import pytest

from tests.rules.findings import found, sentences
from tests.rules.network_samples import gateway, only, place, right, route, service

GKE = "gke-l7-global-external-managed"


def with_timeouts(text: str) -> str:
    """A route with timeouts."""
    return route(f"timeouts: {{{text}}}")


@pytest.mark.parametrize("field", ["request", "backendRequest"])
@pytest.mark.parametrize(
    ("value", "mended", "is_safe"),
    [
        ("300", "300s", False),
        ('"300"', "300s", False),
        ('"1.5h"', "5400s", True),
        ('"1d"', "86400s", True),
        ('"1.5s"', "1500ms", True),
        ('"1h 30m"', "5400s", True),
        ("0", "0s", False),
    ],
)
def test_duration(field: str, value: str, mended: str, is_safe: object) -> None:
    """Durations in other forms than GEP-2257's."""
    finding = only(with_timeouts(f"{field}: {value}"), "N05")

    assert f"HTTPRoute spec.rules.0.timeouts.{field}" == place(finding)
    assert "'1h30m'" in finding.problem.sentence()
    assert mended == right(finding)
    assert finding.fix is not None
    assert is_safe is finding.fix.is_safe
    assert [] == found(with_timeouts(f"{field}: {mended}"), "N05")


@pytest.mark.parametrize("value", ["forever", "[]", "true", "-5s", '"1h30m15s10ms5s"', '""'])
def test_no_duration(value: str) -> None:
    """What is no duration at all has no fix."""
    assert only(with_timeouts(f"request: {value}"), "N05").fix is None


@pytest.mark.parametrize(
    "timeouts",
    [
        "request: 300s",
        "request: 1h30m, backendRequest: 10m",
        "request: 500ms",
        "request: 0s",
        "request: 0s, backendRequest: 600s",
        "request: 300s, backendRequest: 0s",
        "request: 300s, backendRequest: 300s",
        "request: 300s, backendRequest: 5m",
        "backendRequest: 600s",
        "request: null",
        "request: '${TIMEOUT}'",
        "",
    ],
)
def test_right(timeouts: str) -> None:
    """What the API server accepts is quiet."""
    assert [] == sentences(with_timeouts(timeouts), "N05")


def test_longer_part() -> None:
    """The engine must not get longer than the whole request."""
    finding = only(with_timeouts("request: 5m, backendRequest: 600s"), "N05")

    assert "HTTPRoute spec.rules.0.timeouts.backendRequest" == place(finding)
    assert "'5m'" in finding.problem.sentence()


@pytest.mark.parametrize(
    "manifests",
    [
        route("timeouts: {request: 600s}", parent=GKE),
        route("timeouts: {request: 0s, backendRequest: 0s}") + gateway("gke-l7-rilb"),
        route("timeouts: {request: 600s}")
        + gateway("own")
        + """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: own}
spec: {controllerName: networking.gke.io/gateway}
""",
    ],
)
def test_gke(manifests: str) -> None:
    """Gateways of GKE accept no timeouts."""
    finding = only(manifests, "N05")

    assert "HTTPRoute spec.rules.0.timeouts" == place(finding)
    assert "GCPBackendPolicy" in finding.problem.sentence()


@pytest.mark.parametrize(
    "manifests",
    [
        route("", parent=GKE),
        route("timeouts: {}", parent=GKE),
        route("timeouts: {request: 600s}") + gateway("eg"),
        route("timeouts: {request: 600s}", parent="gke-gateway"),
        # A Gateway of another one's may be called so.
        route("timeouts: {request: 600s}", parent=GKE)
        + gateway("eg").replace("name: edge", f"name: {GKE}"),
    ],
)
def test_not_gke(manifests: str) -> None:
    """Without timeouts, or on another Gateway, the route is quiet."""
    assert [] == sentences(manifests, "N05")


def test_port() -> None:
    """A reference to a Service without its port."""
    bare = route("", backend="{name: qwen}")

    assert "HTTPRoute spec.rules.0.backendRefs.0.port" == place(only(bare, "N05"))
    assert only(bare, "N05").fix is None
    assert 8000 == right(only(bare + service(), "N05"))
    several = service(ports="[{name: http, port: 80}, {name: metrics, port: 81}]")
    assert only(bare + several, "N05").fix is None


def test_mirror() -> None:
    """A mirror's reference needs the port, too."""
    finding = only(
        route("filters: [{type: RequestMirror, requestMirror: {backendRef: {name: shadow}}}]"),
        "N05",
    )

    assert "HTTPRoute spec.rules.0.filters.0.requestMirror.backendRef.port" == place(finding)


@pytest.mark.parametrize(
    "backend",
    [
        "{group: inference.networking.k8s.io, kind: InferencePool, name: qwen}",
        "{group: networking.gke.io, kind: ServiceImport, name: qwen}",
        "{name: qwen, port: 8000, group: '', kind: Service}",
    ],
)
def test_other_backends(backend: str) -> None:
    """Pools need no port."""
    assert [] == sentences(route("", backend=backend), "N05")


@pytest.mark.parametrize("rules", [None, [], "x", [None], [{"timeouts": [], "backendRefs": {}}]])
def test_garbage(rules: object) -> None:
    """Nothing raises, whatever the fields are."""
    body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    several: list[object] = [None, "x", [None, {"name": None}], [{"kind": []}]]
    for parents in several:
        assert [] == found([{**body, "spec": {"rules": rules, "parentRefs": parents}}], "N05")


def test_other_kinds() -> None:
    """An HTTPRoute of another project is not judged."""
    other = with_timeouts("request: 300").replace("gateway.networking.k8s.io/v1", "example.com/v1")

    assert [] == sentences(other, "N05")
