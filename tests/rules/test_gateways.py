"""N04: limits of HTTPRoutes and of the load balancers of AWS and Google Cloud."""

from __future__ import annotations

import pytest

from tests.rules.findings import found, ids, sentences
from tests.rules.network_samples import engine, gateway, ingress, only, place, right, route, service

GKE = "gke-l7-global-external-managed"
ALB = "alb.ingress.kubernetes.io/load-balancer-attributes"


@pytest.mark.parametrize(
    ("timeouts", "field"),
    [
        ("request: 60s", "request"),
        ("request: 1m30s", "request"),
        ("backendRequest: 120s", "backendRequest"),
        ("request: 0s, backendRequest: 60s", "backendRequest"),
        ("request: 600s, backendRequest: 60s", "backendRequest"),
    ],
)
def test_route(timeouts: str, field: str) -> None:
    """A timeout of an HTTPRoute is for the whole answer."""
    finding = only(engine() + route(f"timeouts: {{{timeouts}}}"), "N04")

    assert "warning" == finding.level
    assert f"HTTPRoute spec.rules.0.timeouts.{field}" == place(finding)
    assert "whole answer" in finding.problem.sentence()
    assert "300s" == right(finding)


@pytest.mark.parametrize(
    "manifests",
    [
        engine() + route("timeouts: {request: 300s}"),
        engine() + route("timeouts: {request: 0s}"),
        # N05 tells of what is no duration.
        engine() + route("timeouts: {request: '60'}"),
        engine() + route(""),
        engine() + route("") + gateway("istio"),
        route("timeouts: {request: 60s}"),
        engine(args="[BAAI/bge-reranker-v2-m3]") + route("timeouts: {request: 60s}"),
        engine().replace("vllm/vllm-openai:v0.33.0", "web:1") + route("timeouts: {request: 60s}"),
    ],
)
def test_long_enough(manifests: str) -> None:
    """Timeouts that suffice, none, and routes to something else are quiet."""
    assert [] == sentences(manifests, "N04")


def gateway_class(controller: str) -> str:
    """The GatewayClass of `gateway("own")`."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: own}}
spec: {{controllerName: {controller}}}
---
"""


ENVOY = gateway("own") + gateway_class("gateway.envoyproxy.io/gatewayclass-controller")
FABRIC = gateway("own") + gateway_class("gateway.nginx.org/nginx-gateway-controller")


@pytest.mark.parametrize("beside", [ENVOY, gateway("eg")])
def test_envoy(beside: str) -> None:
    """Without timeouts, Envoy Gateway gives an answer 15 seconds."""
    finding = only(engine() + route("") + beside, "N04")

    assert "HTTPRoute spec.rules.0.timeouts.request" == place(finding)
    assert "15 seconds" in finding.problem.sentence()
    traffic = "{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: BackendTrafficPolicy}\n"
    assert [] == ids(engine() + route("") + beside + traffic, "N04")
    assert [] == ids(engine() + route("timeouts: {request: 600s}") + beside, "N04")


@pytest.mark.parametrize("beside", [FABRIC, gateway("nginx")])
def test_fabric(beside: str) -> None:
    """NGINX Gateway Fabric buffers."""
    finding = only(engine() + route("") + beside, "N04")

    assert "HTTPRoute spec.rules.0" == place(finding)
    assert "ProxySettingsPolicy" in finding.problem.sentence()
    settings = "{apiVersion: gateway.nginx.org/v1alpha1, kind: ProxySettingsPolicy}\n"
    assert [] == ids(engine() + route("") + beside + settings, "N04")


def test_class_of_another() -> None:
    """The name of a class says nothing where its controller is known."""
    other = gateway_class("example.com/own").replace("name: own", "name: nginx")

    assert [] == ids(engine() + route("") + gateway("nginx") + other, "N04")


def backend_policy(seconds: str, name: str = "qwen") -> str:
    """A GCPBackendPolicy."""
    return f"""
apiVersion: networking.gke.io/v1
kind: GCPBackendPolicy
metadata: {{name: qwen}}
spec: {{default: {{{seconds}}}, targetRef: {{group: '', kind: Service, name: {name}}}}}
---
"""


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ("", "no GCPBackendPolicy"),
        (backend_policy("timeoutSec: 600", "other"), "no GCPBackendPolicy"),
        (backend_policy("timeoutSec: 60"), "60 seconds"),
        (backend_policy("securityPolicy: a"), "30 seconds"),
    ],
)
def test_gke(beside: str, words: str) -> None:
    """On GKE the timeout is in a policy of the Service."""
    finding = only(engine() + route("", parent=GKE) + beside, "N04")

    assert "HTTPRoute spec.rules.0.backendRefs.0" == place(finding)
    assert words in finding.problem.sentence()


@pytest.mark.parametrize(
    "manifests",
    [
        route("", parent=GKE) + backend_policy("timeoutSec: 600"),
        # N05 tells of timeouts there.
        route("timeouts: {request: 600s}", parent=GKE),
    ],
)
def test_gke_quiet(manifests: str) -> None:
    """A policy that suffices, and a route that is refused anyway."""
    assert [] == sentences(engine() + manifests, "N04")


CONFIG = "cloud.google.com/backend-config"


def backend_config(timeout: str) -> str:
    """A BackendConfig."""
    return f"""
apiVersion: cloud.google.com/v1
kind: BackendConfig
metadata: {{name: long}}
spec: {{{timeout}}}
---
"""


def with_config(text: str) -> str:
    """An engine whose Service names a BackendConfig."""
    named = f"{{name: qwen, annotations: {{{CONFIG}: '{text}'}}}}"
    return engine().replace("{name: qwen}", named, 1)


@pytest.mark.parametrize("kind", ["gce", "gce-internal"])
def test_gke_ingress(kind: str) -> None:
    """The timeout of an Ingress of GKE is in a BackendConfig."""
    assert f"Service metadata.annotations.{CONFIG}" == place(
        only(engine() + ingress(kind=kind), "N04")
    )
    for given in ("timeoutSec: 60", ""):
        finding = only(
            with_config('{"default": "long"}') + backend_config(given) + ingress(kind=kind), "N04"
        )
        assert "BackendConfig spec.timeoutSec" == place(finding)
        assert 300 == right(finding)


@pytest.mark.parametrize(
    "manifests",
    [
        with_config('{"default": "long"}') + backend_config("timeoutSec: 600"),
        with_config('{"ports": {"http": "long"}}') + backend_config("timeoutSec: 600"),
        # It is elsewhere.
        with_config('{"default": "long"}'),
    ],
)
def test_gke_ingress_quiet(manifests: str) -> None:
    """A BackendConfig that suffices, or that is not here."""
    assert [] == sentences(manifests + ingress(kind="gce"), "N04")


@pytest.mark.parametrize(
    ("value", "mended"),
    [
        (None, "idle_timeout.timeout_seconds=300"),
        ("idle_timeout.timeout_seconds=60", "idle_timeout.timeout_seconds=300"),
        (
            "routing.http2.enabled=true,idle_timeout.timeout_seconds=120",
            "routing.http2.enabled=true,idle_timeout.timeout_seconds=300",
        ),
        (
            "routing.http2.enabled=true",
            "routing.http2.enabled=true,idle_timeout.timeout_seconds=300",
        ),
    ],
)
def test_alb(value: str | None, mended: str) -> None:
    """The idle timeout of a load balancer of AWS, among its other attributes."""
    annotations: dict[str, object] = {} if value is None else {ALB: value}
    finding = only(engine() + ingress(annotations, kind="alb"), "N04")

    assert f"Ingress metadata.annotations.{ALB}" == place(finding)
    assert mended == right(finding)
    assert [] == ids(engine() + ingress({ALB: mended}, kind="alb"), "N04")


def test_alb_elsewhere() -> None:
    """Another Ingress of the group, or the class, may set the timeout."""
    group = ingress({"alb.ingress.kubernetes.io/group.name": "llm"}, kind="alb")
    params = "{apiVersion: elbv2.k8s.aws/v1beta1, kind: IngressClassParams}\n"

    assert [] == ids(engine() + group, "N04")
    assert [] == ids(engine() + ingress(kind="alb") + params, "N04")


@pytest.mark.parametrize("value", [None, [], "x", 5, {"timeoutSec": "x"}])
def test_garbage(value: object) -> None:
    """Nothing raises, whatever the fields are."""
    objects = [
        {"apiVersion": "a/v1", "kind": kind, "metadata": {"name": "long"}, "spec": spec}
        for kind in ("GCPBackendPolicy", "BackendConfig", "BackendTrafficPolicy")
        for spec in (value, {"default": value, "targetRef": value})
    ]
    for name in (GKE, "edge"):
        text = service() + engine() + route(f"timeouts: {value!r}", parent=name)
        from vllm_constructs.reading import files

        assert {"N04"} >= {
            one.rule.id
            for one in found([*objects, *files.read_text(text, "a.yaml").objects], "N04")
        }
