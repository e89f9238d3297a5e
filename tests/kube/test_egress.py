"""EgressRule: where a pod may connect to, as a NetworkPolicy says it."""

import ipaddress
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import EgressRule
from vllm_constructs.kube.egress import merged, rule_for

PORTS = st.integers(1, 65535)


def policy(*rules: EgressRule) -> strategies.Manifest:
    """Return a NetworkPolicy with these rules."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"podSelector": {}, "egress": [rule.manifest() for rule in rules]},
    }


def of_namespace(name: str) -> strategies.Manifest:
    """Return the peer for all pods of a namespace."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def tcp(*ports: int) -> list[strategies.Manifest]:
    """Return the ports of a rule."""
    return [{"port": port, "protocol": "TCP"} for port in ports]


@st.composite
def rules(draw: st.DrawFn) -> EgressRule:
    """Rules of all kinds, of which several have one destination."""
    where: dict[str, Any] = draw(
        st.sampled_from(
            [
                {},
                {"namespace": "cache"},
                {"namespace": "cache", "labels": {"app": "redis"}},
                {"labels": {}},
                {"labels": {"app": "redis"}},
                {"cidr": "10.0.0.0/8"},
                {"cidr": "fd00::/64"},
            ]
        )
    )
    ports = draw(st.lists(PORTS, min_size=0 if where else 1, max_size=3))
    protocol: Any = draw(st.sampled_from(("TCP", "UDP", "SCTP"))) if ports else "TCP"
    return EgressRule(ports, protocol=protocol, **where)


def allowed(these: Iterable[EgressRule]) -> set[tuple[str, object, object]]:
    """Return what rules allow: destinations with a port, or with all ports."""
    found: set[tuple[str, object, object]] = set()
    for rule in these:
        entry = rule.manifest()
        where = repr(entry.get("to"))
        found |= {(where, one["port"], one["protocol"]) for one in entry.get("ports", [])}
        found |= set() if entry.get("ports") else {(where, None, None)}
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (EgressRule((443,)), {"ports": tcp(443)}),
        (EgressRule([443, 80, 443]), {"ports": tcp(80, 443)}),
        (EgressRule(namespace="cache"), {"to": [of_namespace("cache")]}),
        (
            EgressRule([6379], namespace="cache", labels={"app": "redis"}),
            {
                "to": [{**of_namespace("cache"), "podSelector": {"matchLabels": {"app": "redis"}}}],
                "ports": tcp(6379),
            },
        ),
        (EgressRule(labels={"a": "b"}), {"to": [{"podSelector": {"matchLabels": {"a": "b"}}}]}),
        (EgressRule(labels={}), {"to": [{"podSelector": {"matchLabels": {}}}]}),
        (EgressRule(cidr="10.0.0.0/8"), {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
        (
            EgressRule([53], cidr="FD00::/64", protocol="UDP"),
            {
                "to": [{"ipBlock": {"cidr": "fd00::/64"}}],
                "ports": [{"port": 53, "protocol": "UDP"}],
            },
        ),
    ],
)
def test_manifest(rule: EgressRule, expected: strategies.Manifest) -> None:
    """A rule says where to connect to, and on which ports, and leaves out what is not limited."""
    assert expected == rule.manifest()
    assert [] == validate(policy(rule), releases=["1.27", "1.37"])


@settings(max_examples=50, deadline=None)
@given(st.lists(rules(), max_size=6))
def test_valid(given_rules: list[EgressRule]) -> None:
    """Any rules make a valid policy, together as well."""
    together = merged(given_rules)

    assert [] == validate(policy(*given_rules, *together), releases=["1.27", "1.37"])
    assert all(strategies.is_plain(rule.manifest()) for rule in together)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.lists(rules(), max_size=8))
def test_merged(data: st.DataObject, given_rules: list[EgressRule]) -> None:
    """Merged rules allow neither more nor less, with one rule for all ports of a destination."""
    found = merged(given_rules)

    assert allowed(given_rules) == allowed(found)
    limited = [(repr(one.manifest().get("to")), one.protocol) for one in found if one.ports]
    assert len(set(limited)) == len(limited)
    assert found == merged(data.draw(st.permutations(given_rules)))
    assert found == merged([*found, *given_rules])


@settings(max_examples=60, deadline=None)
@given(strategies.names(), strategies.names(), PORTS)
def test_service(service: str, namespace: str, port: int) -> None:
    """However the address of a Service is written, the pods of its namespace are meant."""
    expected = EgressRule((port,), namespace=namespace)
    host = f"{service}.{namespace}.svc"

    for address in (
        f"{host}:{port}",
        f"{host}.cluster.local:{port}",
        f"{host.upper()}:{port}",
        f"http://{host}:{port}",
        f"tcp://{host}:{port}/",
        f"redis://{host}.cluster.local:{port}/0?timeout=1#x",
        f"HTTPS://user:password@{host}:{port}/path:80",
        f"redis://:password@{host}:{port}",
        f" {host}:{port}\n",
    ):
        assert expected == rule_for(address), address


@settings(max_examples=60, deadline=None)
@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fd00::/8"), PORTS)
def test_ip(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    """An IP address is a range of one address, with brackets around those of version 6."""
    host = f"[{address}]" if address.version == 6 else str(address)
    length = {4: 32, 6: 128}[address.version]
    expected = EgressRule((port,), cidr=f"{address}/{length}")

    for given_address in (f"{host}:{port}", f"http://{host}:{port}/x", f"tcp://a:b@{host}:{port}"):
        assert expected == rule_for(given_address)
    assert EgressRule((443,), cidr=f"{address}/{length}") == rule_for(f"https://{host}")


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("amqp://a.b.svc", 5672),
        ("amqps://a.b.svc", 5671),
        ("grpc://a.b.svc", 4317),
        ("grpcs://a.b.svc", 4317),
        ("http://a.b.svc/x", 80),
        ("https://a.b.svc?x", 443),
        ("HTTPS://a.b.svc", 443),
        ("redis://a.b.svc/1", 6379),
        ("rediss://:x@a.b.svc", 6379),
        ("ws://a.b.svc", 80),
        ("wss://a.b.svc#x", 443),
    ],
)
def test_usual_ports(address: str, port: int) -> None:
    """A scheme has its usual port."""
    assert EgressRule((port,), namespace="b") == rule_for(address)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        # A name without a dot is a Service of the pod's own namespace.
        ("redis:6379", EgressRule((6379,), labels={})),
        ("http://mirror/simple", EgressRule((80,), labels={})),
        # Names outside of the cluster, or that may be: a policy does not know them.
        ("https://hf-mirror.com", EgressRule((443,))),
        ("proxy.example.com:3128", EgressRule((3128,))),
        ("redis.cache:6379", EgressRule((6379,))),
        ("http://a.svc.example.com", EgressRule((80,))),
        # No namespace can have this name.
        ("a.b_c.svc:80", EgressRule((80,))),
        # The API of a bucket is HTTPS, wherever that is.
        ("s3://bucket/path", EgressRule((443,))),
        ("gs://bucket", EgressRule((443,))),
        ("oss://my_bucket/a/b", EgressRule((443,))),
        ("http://169.254.169.254/latest", EgressRule((80,), cidr="169.254.169.254/32")),
    ],
)
def test_other_names(address: str, expected: EgressRule) -> None:
    """Other names are allowed as narrowly as a policy can."""
    assert expected == rule_for(address)


@pytest.mark.parametrize(
    "address",
    [
        # The pod itself.
        "localhost:80",
        "http://localhost",
        "127.0.0.1:80",
        "http://127.9.9.9:8080/x",
        "[::1]:80",
        "0.0.0.0:80",
        "http://[::]:80",
        # No port, or one that cannot be.
        "redis.cache.svc",
        "10.0.0.1",
        "tcp://redis.cache.svc",
        "http://a.b.svc:0",
        "http://a.b.svc:65536",
        "a.b.svc:123456",
        "a.b.svc:http",
        "a.b.svc:",
        "a.b.svc:\N{ARABIC-INDIC DIGIT THREE}",
        "http://a.b.svc:80:81",
        # No address.
        "",
        ":80",
        "x",
        "/a/b",
        "10.0.0.0/8",
        "fd00::1",
        "file:///etc/passwd",
        "unix:///run/x.sock",
        "tcp://*:5555",
        "http://",
        "http:///x",
        "http://a b:80",
        "a.b.svc:80 c.d.svc:81",
        "a.b.svc:80,c.d.svc:81",
    ],
)
def test_no_rule(address: str) -> None:
    """What is no address, or the pod's own, needs no rule, and as an option is rejected."""
    assert None is rule_for(address)
    sentence = strategies.refusal(lambda: EgressRule.to_address("allow_to", address))
    assert f"allow_to is {address!r}; expected an address with a port" in sentence
    assert "'redis.cache.svc:6379'" in sentence


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab.:/@[]0159-_ \n?#,%$", max_size=20) | st.text(max_size=20))
def test_anything(address: str) -> None:
    """Any text is an address, whose rule is valid, or none."""
    rule = rule_for(address)

    assert rule is None or validate(policy(rule), releases=["1.37"]) == []


def test_to_address() -> None:
    """An address as an option is the rule for it; what it has of a password is not shown."""
    expected = EgressRule((6379,), namespace="cache")
    assert expected == EgressRule.to_address("allow_to", "redis.cache.svc:6379")
    assert "allow_to is 7; expected" in (
        strategies.refusal(lambda: EgressRule.to_address("allow_to", 7))
    )
    secret = "http://user:hunter2@localhost"
    assert "hunter2" not in strategies.refusal(lambda: EgressRule.to_address("allow_to", secret))


def test_kept() -> None:
    """A rule keeps copies, and is equal to one with the same ports in another order."""
    ports, labels = [443, 80], {"a": "b"}
    rule = EgressRule(ports, labels=labels)
    ports.append(1)
    labels["a"] = "c"

    assert EgressRule((80, 443), labels={"a": "b"}) == rule


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (EgressRule, ("EgressRule.ports is ()", "a port, or where to connect to")),
    (lambda: EgressRule([]), ("EgressRule.ports is ()", "a port, or where to connect to")),
    (lambda: EgressRule(443), ("EgressRule.ports is 443", "a list of ports")),  # type: ignore[arg-type]  # the mistake
    (lambda: EgressRule("443"), ("EgressRule.ports is '443'", "a list of ports")),  # type: ignore[arg-type]  # the mistake
    (lambda: EgressRule(["443"]), ("is '443'", "write 443 without quotes")),  # type: ignore[list-item]  # the mistake
    (lambda: EgressRule([0]), ("EgressRule.ports is 0", "from 1 to 65535")),
    (lambda: EgressRule([443, 65536]), ("EgressRule.ports is 65536", "from 1 to 65535")),
    (lambda: EgressRule([True]), ("EgressRule.ports is True",)),
    (lambda: EgressRule([1], namespace="A_b"), ("EgressRule.namespace is 'A_b'", "'a-b'")),
    (lambda: EgressRule([1], labels=["a"]), ("EgressRule.labels is ['a']", "a dict")),  # type: ignore[arg-type]  # the mistake
    (lambda: EgressRule([1], labels={"a b": "c"}), ("a key of EgressRule.labels is 'a b'",)),
    (lambda: EgressRule([1], labels={"a": "b c"}), ("EgressRule.labels['a'] is 'b c'",)),
    (lambda: EgressRule([1], cidr="10.0.0.1/8"), ("cidr is '10.0.0.1/8'", "an address range")),
    (lambda: EgressRule([1], cidr="internet"), ("EgressRule.cidr is 'internet'",)),
    (lambda: EgressRule([1], cidr=7), ("EgressRule.cidr is 7",)),  # type: ignore[arg-type]  # the mistake
    (
        lambda: EgressRule([1], cidr="10.0.0.0/8", namespace="a"),
        ("cidr is '10.0.0.0/8'", "without namespace and labels"),
    ),
    (lambda: EgressRule([1], cidr="10.0.0.0/8", labels={}), ("without namespace and labels",)),
    (lambda: EgressRule([1], protocol="tcp"), ("protocol is 'tcp'", "did you mean 'TCP'?")),  # type: ignore[arg-type]  # the mistake
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What a policy cannot say is rejected with what it can."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
