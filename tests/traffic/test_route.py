"""HTTPRoute: the Gateway API's front, and what some implementations need beside it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, validate
from vllm_constructs import Gateway
from vllm_constructs.traffic import route
from vllm_constructs.traffic.ingress import Backend, Front

IMPLEMENTATIONS = ("standard", "gke", "nginx")


def gateways() -> st.SearchStrategy[Gateway]:
    """Gateways of every implementation."""
    optional = st.one_of(st.none(), strategies.names())
    return st.builds(
        Gateway,
        strategies.names(),
        namespace=optional,
        section=optional,
        implementation=st.sampled_from(IMPLEMENTATIONS),
        proxy_namespace=optional,
    )


def front(seconds: int) -> Front:
    """Return a front with this longest answer."""
    return Front(longest_answer=seconds, drain=seconds + 30, max_body=100, tls=None)


def backend(host: str, path: str, service: str = "qwen") -> Backend:
    """Return a backend of one Service."""
    return Backend(host=host, path=path, service=service, port=8000)


BACKENDS = [backend("b.example.com", "/v1"), backend("a.example.com", "/coder/v1", "coder")]


@settings(max_examples=40, deadline=None)
@given(strategies.names(), gateways(), st.integers(1, 86400))
def test_validity(name: str, gateway: Gateway, seconds: int) -> None:
    """Route and policies are valid, and bound the answer where the implementation can."""
    found = route.manifest(name=name, gateway=gateway, backends=BACKENDS, front=front(seconds))
    beside = route.policies(
        name=name, gateway=gateway, services=["qwen", "coder"], front=front(seconds)
    )

    assert_valid(*(strategies.in_namespace(one) for one in (found, *beside)))
    assert all(strategies.is_plain(one) for one in (found, *beside))
    spec = found["spec"]
    assert spec["hostnames"] == ["a.example.com", "b.example.com"]
    parent = spec["parentRefs"][0]
    assert parent["name"] == gateway.gateway_name
    assert parent.get("namespace") == gateway.namespace
    assert parent.get("sectionName") == gateway.section
    for rule in spec["rules"]:
        wanted = None if gateway.implementation == "gke" else {"request": f"{seconds}s"}
        assert rule.get("timeouts") == wanted


def test_policies() -> None:
    """GKE has a timeout and a health check for each Service, NGINX no buffers."""
    kinds = {}
    for implementation in IMPLEMENTATIONS:
        gateway = Gateway("edge", implementation=implementation)  # type: ignore[arg-type]  # one of three
        found = route.policies(
            name="qwen", gateway=gateway, services=["qwen", "coder"], front=front(300)
        )
        kinds[implementation] = [(one["kind"], one["metadata"]["name"]) for one in found]
        if implementation == "nginx":
            assert found[0]["spec"]["buffering"] == {"disable": True}
            assert found[0]["spec"]["timeout"] == {"read": "300s", "send": "300s"}
            more = route.policies(
                name="qwen", gateway=gateway, services=["qwen"], front=front(86_399)
            )
            assert more[0]["spec"]["timeout"] == {"read": "1440m", "send": "1440m"}
        if implementation == "gke":
            assert found[0]["spec"]["default"] == {"timeoutSec": 300}

    assert kinds == {
        "standard": [],
        "gke": [
            ("GCPBackendPolicy", "qwen"),
            ("HealthCheckPolicy", "qwen"),
            ("GCPBackendPolicy", "coder"),
            ("HealthCheckPolicy", "coder"),
        ],
        "nginx": [("ProxySettingsPolicy", "qwen")],
    }


def test_proxy_subnets() -> None:
    """Proxies outside of the cluster are let in by their address ranges too."""
    wanted = {"ipBlock": {"cidr": "10.129.0.0/23"}}
    for implementation in ("standard", "gke"):
        gateway = Gateway(
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

    found = route.manifest(name="q", gateway=Gateway("edge"), backends=backends, front=front(9))

    assert len(found["spec"]["rules"]) == 1


@settings(max_examples=40, deadline=None)
@given(gateways())
def test_peers(gateway: Gateway) -> None:
    """Requests come from the proxies' namespace, the Gateway's, or Google's front ends."""
    peers = gateway.peers()

    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"podSelector": {}, "ingress": [{"from": [peer]} for peer in peers]},
    }
    assert validate(policy, releases=["1.27", "1.37"]) == []
    if gateway.implementation == "gke":
        assert all("ipBlock" in peer for peer in peers)
    else:
        source = gateway.proxy_namespace or gateway.namespace
        label = "kubernetes.io/metadata.name"
        wanted = [] if source is None else [{"namespaceSelector": {"matchLabels": {label: source}}}]
        assert peers == wanted


def refused_gateway(**fields: Any) -> Gateway:
    """Return a Gateway with these fields, which none should have."""
    return Gateway("edge", **fields)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: Gateway("Edge"), ("Gateway.gateway_name is 'Edge'", "'edge'")),
    (lambda: refused_gateway(namespace="a.b"), ("Gateway.namespace is 'a.b'", "'a-b'")),
    (lambda: refused_gateway(proxy_namespace=""), ("Gateway.proxy_namespace is ''",)),
    (lambda: refused_gateway(section="A"), ("Gateway.section is 'A'", "'a'")),
    (
        lambda: refused_gateway(implementation="istio"),
        ("'istio'", "'standard', 'envoy', 'gke', 'nginx'"),
    ),
    (
        lambda: route.manifest(name="A", gateway=Gateway("a"), backends=BACKENDS, front=front(300)),
        ("ModelRoute.name is 'A'", "'a'"),
    ),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What no Gateway has is refused with what it may have."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
