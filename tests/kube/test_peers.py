"""Peers: namespaces and address ranges, as a NetworkPolicy takes them."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs.kube import peers


def policy(*sources: strategies.Manifest) -> strategies.Manifest:
    """Return a NetworkPolicy that lets these peers in."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"podSelector": {}, "ingress": [{"from": [one]} for one in sources]},
    }


@settings(max_examples=30, deadline=None)
@given(strategies.names())
def test_namespace(name: str) -> None:
    """A namespace is selected by the label that Kubernetes sets on each."""
    peer = peers.from_namespace(name)

    labels = {"kubernetes.io/metadata.name": name}
    assert {"namespaceSelector": {"matchLabels": labels}} == peer
    assert [] == validate(policy(peer), releases=["1.27", "1.37"])


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(), st.integers(0, 32))
def test_block(address: object, length: int) -> None:
    """An address range is one that Kubernetes takes, whichever way it is written."""
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    peer = peers.from_block("x", str(network))

    assert {"ipBlock": {"cidr": str(network)}} == peer
    assert [] == validate(policy(peer), releases=["1.27", "1.37"])


@pytest.mark.parametrize("ranges", [[], ["10.0.0.0/16"], ("fd00::/64", "10.0.0.0/8", "10.1.2.3")])
def test_blocks(ranges: list[str]) -> None:
    """A list of ranges gives one peer each, in its order."""
    expected = [{"ipBlock": {"cidr": str(ipaddress.ip_network(one))}} for one in ranges]

    assert expected == peers.from_blocks("x", ranges)


def test_google() -> None:
    """Google's ranges are address ranges in their canonical form."""
    expected = [{"ipBlock": {"cidr": one}} for one in peers.GOOGLE]
    found = peers.from_blocks("x", peers.GOOGLE)

    assert expected == found
    assert [] == validate(policy(*found))


@pytest.mark.parametrize(
    "cidr", ["10.0.0.1/8", "10.0.0.0/33", "internet", "", "fe80::%1/64", 10, b"\x0a\0\0\0", None]
)
def test_refusals(cidr: object) -> None:
    """What is no address range is rejected with an example of one."""
    sentence = strategies.refusal(lambda: peers.from_block("AwsAlb.subnets", cidr))

    assert (
        f"AwsAlb.subnets is {cidr!r}; expected an address range such as '10.0.0.0/16'." == sentence
    )
    assert sentence == strategies.refusal(lambda: peers.from_blocks("AwsAlb.subnets", [cidr]))


@pytest.mark.parametrize("ranges", ["10.0.0.0/8", None, {"10.0.0.0/8": 1}])
def test_no_list(ranges: object) -> None:
    """What is no list of ranges is rejected, a single range too."""
    sentence = strategies.refusal(lambda: peers.from_blocks("AwsAlb.subnets", ranges))

    assert f"AwsAlb.subnets is {ranges!r}; expected a list of address ranges." == sentence
