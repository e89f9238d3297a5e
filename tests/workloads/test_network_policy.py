"""NetworkPolicy: who reaches an engine, and what it reaches."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs.workloads import network_policy as network

SELECTOR = {"app.kubernetes.io/instance": "qwen", "app.kubernetes.io/name": "vllm"}


@settings(max_examples=60, deadline=None)
@given(
    name=strategies.names(),
    port=st.integers(1024, 65535),
    sources=st.lists(strategies.names(), max_size=3, unique=True),
    downloads=st.booleans(),
)
def test_policy(*, name: str, port: int, sources: list[str], downloads: bool) -> None:
    """In come the own namespace and those named; out go DNS and, for downloads, HTTPS."""
    found = network.policy(
        name=name,
        selector=SELECTOR,
        port=port,
        allow_from=tuple(sources),
        downloads=downloads,
    )

    assert validate(strategies.in_namespace(found)) == []
    spec = found["spec"]
    assert spec["podSelector"] == {"matchLabels": SELECTOR}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    label = "kubernetes.io/metadata.name"
    peers: list[strategies.Manifest] = [{"podSelector": {}}]
    peers += [{"namespaceSelector": {"matchLabels": {label: one}}} for one in sources]
    assert [rule["from"] for rule in spec["ingress"]] == [[peer] for peer in peers]
    only = [{"port": port, "protocol": "TCP"}]
    assert all(rule["ports"] == only for rule in spec["ingress"])
    out = {(one["port"], one["protocol"]) for rule in spec["egress"] for one in rule["ports"]}
    https = {(443, "TCP")} if downloads else set()
    assert out == {(53, "UDP"), (53, "TCP")} | https


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(), st.integers(0, 32))
def test_block(address: object, length: int) -> None:
    """An address range is one that Kubernetes takes, whichever way it is written."""
    network_of_it = ipaddress.ip_network(f"{address}/{length}", strict=False)
    peer = network.from_block("x", str(network_of_it))
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"podSelector": {}, "ingress": [network.rule(peer, 8000)]},
    }

    assert peer == {"ipBlock": {"cidr": str(network_of_it)}}
    assert validate(policy, releases=["1.27", "1.37"]) == []


@pytest.mark.parametrize(
    "cidr", ["10.0.0.1/8", "10.0.0.0/33", "internet", "", "fe80::%1/64", 10, b"\x0a\0\0\0", None]
)
def test_refusals(cidr: object) -> None:
    """What is no address range is refused with an example of one."""
    sentence = strategies.refusal(lambda: network.from_block("AwsAlb.subnets", cidr))

    assert sentence.startswith(f"AwsAlb.subnets is {cidr!r}; it takes an address range such as")
