"""HTTPRoute: the way in through the Gateway API, and what some implementations need beside it."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, validate
from vllm_constructs import GatewayRef
from vllm_constructs.traffic import route
from vllm_constructs.traffic.controllers import ProxySettings
from vllm_constructs.traffic.ingress import Backend

IMPLEMENTATIONS = ("standard", "envoy", "gke", "nginx")


def gateways() -> st.SearchStrategy[GatewayRef]:
    """Gateways of every implementation."""
    optional = st.one_of(st.none(), strategies.names())
    return st.builds(
        GatewayRef,
        strategies.names(),
        namespace=optional,
        section=optional,
        implementation=st.sampled_from(IMPLEMENTATIONS),
        proxy_namespace=optional,
    )


def proxy(seconds: int) -> ProxySettings:
    """Return the settings for this longest response."""
    return ProxySettings(response_timeout=seconds, drain=seconds + 30, max_body=100, tls=None)


def backend(host: str, path: str, service: str = "qwen") -> Backend:
    """Return a backend of one Service."""
    return Backend(host=host, path=path, service=service, port=8000)


BACKENDS = [backend("b.example.com", "/v1"), backend("a.example.com", "/coder/v1", "coder")]


@settings(max_examples=40, deadline=None)
@given(strategies.names(), gateways(), st.integers(1, 86400))
def test_validity(name: str, gateway: GatewayRef, seconds: int) -> None:
    """Route and policies are valid, and bound the answer where the implementation can."""
    found = route.manifest(name=name, gateway=gateway, backends=BACKENDS, settings=proxy(seconds))
    beside = route.policies(
        name=name, gateway=gateway, services=["qwen", "coder"], settings=proxy(seconds)
    )

    assert_valid(*(strategies.in_namespace(one) for one in (found, *beside)))
    assert all(strategies.is_plain(one) for one in (found, *beside))
    spec = found["spec"]
    assert ["a.example.com", "b.example.com"] == spec["hostnames"]
    parent = spec["parentRefs"][0]
    assert gateway.gateway_name == parent["name"]
    assert gateway.namespace == parent.get("namespace")
    assert gateway.section == parent.get("sectionName")
    for rule in spec["rules"]:
        wanted = None if gateway.implementation == "gke" else {"request": f"{seconds}s"}
        assert wanted == rule.get("timeouts")


def test_policies() -> None:
    """GKE has a timeout and a health check for each Service, NGINX no buffers."""
    kinds = {}
    for implementation in IMPLEMENTATIONS:
        gateway = GatewayRef("edge", implementation=implementation)  # type: ignore[arg-type]  # one of four
        found = route.policies(
            name="qwen", gateway=gateway, services=["qwen", "coder"], settings=proxy(300)
        )
        kinds[implementation] = [(one["kind"], one["metadata"]["name"]) for one in found]
        if implementation == "nginx":
            assert {"disable": True} == found[0]["spec"]["buffering"]
            assert {"read": "300s", "send": "300s"} == found[0]["spec"]["timeout"]
            more = route.policies(
                name="qwen", gateway=gateway, services=["qwen"], settings=proxy(86_399)
            )
            assert {"read": "1440m", "send": "1440m"} == more[0]["spec"]["timeout"]
        if implementation == "gke":
            assert {"timeoutSec": 300} == found[0]["spec"]["default"]

    expected = {
        "standard": [],
        "envoy": [],
        "gke": [
            ("GCPBackendPolicy", "qwen"),
            ("HealthCheckPolicy", "qwen"),
            ("GCPBackendPolicy", "coder"),
            ("HealthCheckPolicy", "coder"),
        ],
        "nginx": [("ProxySettingsPolicy", "qwen")],
    }
    assert expected == kinds


def test_proxy_subnets() -> None:
    """Proxies outside of the cluster are let in by their address ranges too."""
    wanted = {"ipBlock": {"cidr": "10.129.0.0/23"}}
    for implementation in ("standard", "envoy", "gke"):
        gateway = GatewayRef(
            "edge",
            namespace="gateways",
            implementation=implementation,
            proxy_subnets=["10.129.0.0/23"],
        )
        assert wanted == gateway.peers()[-1]
        assert len(gateway.peers()) > 1


def test_paths() -> None:
    """A path is there once, whatever the number of its hosts."""
    backends = [backend("a.example.com", "/v1"), backend("b.example.com", "/v1")]

    found = route.manifest(
        name="q", gateway=GatewayRef("edge"), backends=backends, settings=proxy(9)
    )

    assert 1 == len(found["spec"]["rules"])


@settings(max_examples=40, deadline=None)
@given(gateways())
def test_peers(gateway: GatewayRef) -> None:
    """Requests come from the proxies' namespace, the Gateway's, or Google's front ends."""
    peers = gateway.peers()

    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"podSelector": {}, "ingress": [{"from": [peer]} for peer in peers]},
    }
    assert [] == validate(policy, releases=["1.27", "1.37"])
    if gateway.implementation == "gke":
        assert all("ipBlock" in peer for peer in peers)
    else:
        is_envoy = gateway.implementation == "envoy"
        usual = "envoy-gateway-system" if is_envoy else gateway.namespace
        source = gateway.proxy_namespace or usual
        label = "kubernetes.io/metadata.name"
        wanted = [] if source is None else [{"namespaceSelector": {"matchLabels": {label: source}}}]
        assert wanted == peers


def refused_gateway(**fields: Any) -> GatewayRef:
    """Return a reference to a Gateway with these fields, which none should have."""
    return GatewayRef("edge", **fields)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: GatewayRef("Edge"), ("GatewayRef.gateway_name is 'Edge'", "'edge'")),
    (lambda: refused_gateway(namespace="a.b"), ("GatewayRef.namespace is 'a.b'", "'a-b'")),
    (lambda: refused_gateway(proxy_namespace=""), ("GatewayRef.proxy_namespace is ''",)),
    (lambda: refused_gateway(section="A"), ("GatewayRef.section is 'A'", "'a'")),
    (
        lambda: refused_gateway(implementation="istio"),
        ("'istio'", "'standard', 'envoy', 'gke', 'nginx'"),
    ),
    (
        lambda: route.manifest(
            name="A", gateway=GatewayRef("a"), backends=BACKENDS, settings=proxy(300)
        ),
        ("ModelRoute.name is 'A'", "'a'"),
    ),
]


def test_frozen() -> None:
    """A reference to a Gateway cannot be changed after it was checked, nor can its ranges."""
    ranges = ["10.129.0.0/23"]
    gateway = GatewayRef("edge", proxy_subnets=ranges)
    ranges.append("internet")

    assert [{"ipBlock": {"cidr": "10.129.0.0/23"}}] == gateway.peers()
    with pytest.raises(FrozenInstanceError):
        gateway.section = "A"  # type: ignore[misc]  # the point


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What no Gateway has is rejected with what it may have."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
