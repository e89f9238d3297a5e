"""Dns: how the containers of a pod resolve names."""

import ipaddress
import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import Dns, GpuPodSpec, WholeGpu
from vllm_constructs.workloads import dns

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(network="fd00::/8"))


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "gpt2", "gpu": WholeGpu("NVIDIA-L4"), **fields})


def spec_of(**fields: Any) -> strategies.Manifest:
    """Return the `spec` of a small pod with these fields, which every release takes."""
    spec = pod(**fields).manifest()
    metadata = {"name": "qwen", "namespace": "llm"}
    assert validate({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}) == []
    return spec


@pytest.mark.parametrize("found", [None, Dns(), Dns(policy="ClusterFirst"), Dns(options={})])
def test_default(found: Dns | None) -> None:
    """The cluster's DNS is the default, for which nothing is written."""
    spec = spec_of(dns=found)

    assert "dnsPolicy" not in spec
    assert "dnsConfig" not in spec
    assert pod().dns == Dns()


@pytest.mark.parametrize("policy", ["ClusterFirstWithHostNet", "Default"])
def test_policy(policy: Any) -> None:
    """Another policy stands alone where it needs no more."""
    spec = spec_of(dns=Dns(policy=policy))

    assert spec["dnsPolicy"] == policy
    assert "dnsConfig" not in spec


def test_config() -> None:
    """Servers and domains keep their order, which is that of the resolver; options are sorted."""
    spec = spec_of(
        dns=Dns(
            policy="None",
            nameservers=["10.0.0.10", "fd00::10", "1.1.1.1"],
            searches=["svc.example.com", "example.com."],
            options={"ndots": "2", "edns0": ""},
        )
    )

    assert spec["dnsPolicy"] == "None"
    assert spec["dnsConfig"] == {
        "nameservers": ["10.0.0.10", "fd00::10", "1.1.1.1"],
        "searches": ["svc.example.com", "example.com."],
        "options": [{"name": "edns0"}, {"name": "ndots", "value": "2"}],
    }


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"nameservers": ["1.1.1.1"]}, {"nameservers": ["1.1.1.1"]}),
        ({"searches": ["example.com"]}, {"searches": ["example.com"]}),
        ({"options": {"use-vc": ""}}, {"options": [{"name": "use-vc"}]}),
    ],
)
def test_part(fields: dict[str, Any], config: strategies.Manifest) -> None:
    """What is added to the cluster's DNS is added alone."""
    spec = spec_of(dns=Dns(**fields))

    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["dnsConfig"] == config


@settings(max_examples=60, deadline=None)
@given(ADDRESSES)
def test_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Every address of both families is one, however it is written."""
    whole = address.exploded

    assert dns.check_address("x", whole) == address.compressed
    assert Dns(nameservers=[address.compressed]).nameservers == (address.compressed,)
    assert dns.host_aliases({whole: ["a"]}) == {address.compressed: ("a",)}


@pytest.mark.parametrize(
    "address",
    [
        "",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.0/24",
        "010.0.0.1",
        " 10.0.0.1",
        "fe80::1%eth0",
        "localhost",
    ],
)
def test_no_address(address: str) -> None:
    """Networks, zones and names are no addresses."""
    for call in (
        lambda: dns.check_address("here", address),
        lambda: dns.host_aliases({address: ["a"]}),
    ):
        sentence = strategies.refusal(call)
        assert "expected an IP address such as '10.0.0.10' or 'fd00::10'." in sentence
    assert "Dns.nameservers is " in strategies.refusal(lambda: Dns(nameservers=[address]))


def test_limits() -> None:
    """As many servers and domains as a resolver reads, and no more."""
    servers = [f"10.0.0.{number}" for number in range(4)]
    domains = [f"d{number}.example.com" for number in range(33)]

    found = spec_of(dns=Dns(nameservers=servers[:3], searches=domains[:32]))["dnsConfig"]
    assert (servers[:3], domains[:32]) == (found["nameservers"], found["searches"])
    assert "at most 3 addresses." in strategies.refusal(lambda: Dns(nameservers=servers))
    assert "at most 32 domains, 2048 characters in all." in strategies.refusal(
        lambda: Dns(searches=domains)
    )


def test_host_aliases() -> None:
    """Addresses are sorted and written in one way; their names keep their order."""
    aliases = {"fd00:0::5": ["b", "a.example.com"], "10.0.0.5": ("models.example.com",)}
    spec = spec_of(host_aliases=aliases)

    assert spec["hostAliases"] == [
        {"ip": "10.0.0.5", "hostnames": ["models.example.com"]},
        {"ip": "fd00::5", "hostnames": ["b", "a.example.com"]},
    ]
    assert spec == spec_of(host_aliases=strategies.shuffled(aliases))
    assert "hostAliases" not in spec_of(host_aliases={})


def test_copies() -> None:
    """A value keeps copies: what a user changes afterwards changes nothing."""
    given_: dict[str, Any] = {
        "nameservers": ["10.0.0.10"],
        "searches": ["example.com"],
        "options": {"ndots": "2"},
    }
    aliases = {"10.0.0.5": ["a"]}
    found = Dns(**given_)
    of_pod = pod(dns=found, host_aliases=aliases)
    before = of_pod.manifest()

    for value in (*given_.values(), aliases["10.0.0.5"], aliases):
        value.clear()

    assert before == of_pod.manifest()
    assert found == deepcopy(found) == replace(found)
    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301  # its own bytes
    before["dnsConfig"]["nameservers"].clear()
    before["hostAliases"][0]["hostnames"].clear()
    assert before != of_pod.manifest()


def test_frozen() -> None:
    """A value cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        Dns().policy = "Default"  # type: ignore[misc]  # the point
    options: Any = Dns(options={"ndots": "2"}).options
    with pytest.raises(TypeError, match="cannot be changed"):
        options["ndots"] = "3"


def dns_of(**fields: Any) -> Dns:
    """Return a value with these fields."""
    return Dns(**fields)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: dns_of(policy="clusterfirst"), ("'clusterfirst'", "did you mean 'ClusterFirst'?")),
    (lambda: dns_of(policy=None), ("Dns.policy is None", "'ClusterFirst'")),
    (
        lambda: dns_of(policy="None", searches=["a"]),
        ("Dns.policy is 'None' without nameservers", "give nameservers=[...]"),
    ),
    (lambda: dns_of(nameservers="1.1.1.1"), ("Dns.nameservers is '1.1.1.1'", "a list of IP")),
    (lambda: dns_of(nameservers=[1]), ("Dns.nameservers is 1", "a list of IP addresses")),
    (lambda: dns_of(searches="a.b"), ("Dns.searches is 'a.b'", "a list of domains")),
    (lambda: dns_of(searches=["Example.com"]), ("'Example.com'", "a domain in lower case")),
    (lambda: dns_of(searches=["a..b"]), ("Dns.searches is 'a..b'",)),
    (lambda: dns_of(searches=["-a.b"]), ("Dns.searches is '-a.b'",)),
    (lambda: dns_of(searches=["a" * 64]), ("Dns.searches is ",)),
    (lambda: dns_of(options=["ndots"]), ("Dns.options is ['ndots']", "a dict of strings")),
    (lambda: dns_of(options={"ndots": 2}), ("Dns.options['ndots'] is 2", "quote numbers")),
    (lambda: dns_of(options={"": "2"}), ("a key of Dns.options is ''",)),
    (lambda: pod(dns="Default"), ("dns is 'Default'", "Dns(...)")),
    (lambda: pod(host_aliases=["a"]), ("host_aliases is ['a']", "{'10.0.0.5': [")),
    (lambda: pod(host_aliases={"a.b": ["c"]}), ("a key of host_aliases is 'a.b'",)),
    (lambda: pod(host_aliases={5: ["c"]}), ("a key of host_aliases is 5", "an IP address")),
    (lambda: pod(host_aliases={"10.0.0.5": "a"}), ("host_aliases['10.0.0.5'] is 'a'", "a list")),
    (lambda: pod(host_aliases={"10.0.0.5": ["a_b"]}), ("'a_b'", "a host name in lower case")),
    (lambda: pod(host_aliases={"10.0.0.5": [None]}), ("host_aliases['10.0.0.5'] is None",)),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What resolves nothing is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
