"""NetworkPolicy: who reaches an engine, and what it reaches."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs.kube.peers import from_block, from_namespace
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
        allow_from=[from_namespace(one) for one in sources],
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
    dns = {(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")}
    assert out == dns | https


def test_more_peers() -> None:
    """Routes, scalers and monitors come in too, once where their namespace is named."""
    peers = [from_namespace("ingress"), from_block("x", "10.0.0.0/8")]

    found = network.policy(
        name="qwen",
        selector=SELECTOR,
        port=8000,
        allow_from=[from_namespace("ingress")],
        downloads=False,
        more_peers=[*peers, from_namespace("keda")],
    )

    assert validate(strategies.in_namespace(found)) == []
    assert [rule["from"] for rule in found["spec"]["ingress"]] == [
        [{"podSelector": {}}],
        [from_namespace("ingress")],
        [from_block("x", "10.0.0.0/8")],
        [from_namespace("keda")],
    ]
