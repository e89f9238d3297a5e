"""EgressRule: where a pod may connect to, as a rule of its NetworkPolicy.

A NetworkPolicy knows addresses, pods and ports, not names. It applies to the pods behind a
Service, so their port counts; a rule for the address of a Service assumes that both are the same.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict

from . import names
from .peers import from_block, from_namespace

_PORTS = {
    "amqp": 5672,
    "amqps": 5671,
    "etcd": 2379,
    "grpc": 4317,
    "grpcs": 4317,
    "http": 80,
    "https": 443,
    "mongodb": 27017,
    "mysql": 3306,
    "nats": 4222,
    "postgres": 5432,
    "postgresql": 5432,
    "redis": 6379,
    "redis-sentinel": 26379,
    "rediss": 6379,
    "socks4": 1080,
    "socks5": 1080,
    "socks5h": 1080,
    "valkey": 6379,
    "valkeys": 6379,
    "ws": 80,
    "wss": 443,
}
# Schemes of object stores, whose API is HTTPS.
_STORES = ("abfs", "abfss", "az", "gs", "oss", "s3", "tos")
_VARIABLE = re.compile(r"\$\(\w+\)(?=[:/]|$)")
_ADDRESS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][\w+.-]*)://)?(?:[^/@\s]*@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\.?(?::(?P<port>\d{1,5}))?(?:[/?#].*)?",
    re.ASCII,
)


@dataclass(frozen=True)
class EgressRule:
    """Where a pod may connect to.

    Args:
        ports: Ports of the pods or hosts there. Default: all ports; with the default protocol
            those of UDP and SCTP too.
        namespace: Namespace of the pods there. Default: any address, or the pod's own namespace
            if there are `labels`.
        labels: Labels of the pods there. Default: all pods of the namespace.
        cidr: Address range, such as `10.0.0.0/8`, instead of pods. Default: none.
        protocol: `"TCP"` (default), `"UDP"` or `"SCTP"`.

    Raises:
        VllmConstructsError: An invalid port, namespace, label or range, or a range beside pods.
    """

    ports: Sequence[int] = ()
    namespace: str | None = field(default=None, kw_only=True)
    labels: Mapping[str, str] | None = field(default=None, kw_only=True)
    cidr: str | None = field(default=None, kw_only=True)
    protocol: Literal["TCP", "UDP", "SCTP"] = field(default="TCP", kw_only=True)

    def __post_init__(self) -> None:
        ports = require.items("EgressRule.ports", self.ports, "a list of ports")
        checked = (require.integer("EgressRule.ports", port, 1, 65535) for port in ports)
        object.__setattr__(self, "ports", tuple(sorted(set(checked))))
        if self.namespace is not None:
            names.label("EgressRule.namespace", self.namespace)
        if self.labels is not None:
            labels = names.label_map("EgressRule.labels", self.labels)
            object.__setattr__(self, "labels", FrozenDict(labels))
        if self.cidr is not None:
            block = from_block("EgressRule.cidr", self.cidr)["ipBlock"]["cidr"]
            object.__setattr__(self, "cidr", block)
            if self.namespace is not None or self.labels is not None:
                allowed = "an address range without {namespace} and {labels}"
                require.wrong("EgressRule.cidr", self.cidr, allowed)
        require.choice("EgressRule.protocol", self.protocol, ("TCP", "UDP", "SCTP"))
        if not self.ports and self._peer is None:
            require.wrong("EgressRule.ports", self.ports, "a port, or where to connect to")

    @property
    def _peer(self) -> dict[str, Any] | None:
        if self.cidr is not None:
            return from_block("EgressRule.cidr", self.cidr)
        peer: dict[str, Any] = {}
        if self.namespace is not None:
            peer |= from_namespace(self.namespace)
        if self.labels is not None:
            peer["podSelector"] = {"matchLabels": dict(self.labels)}
        return peer or None

    def manifest(self) -> dict[str, Any]:
        """The entry of `egress`."""
        entry: dict[str, Any] = {}
        if self._peer is not None:
            entry["to"] = [self._peer]
        if self.ports:
            entry["ports"] = [{"port": port, "protocol": self.protocol} for port in self.ports]
        elif self.protocol != "TCP":
            entry["ports"] = [{"protocol": self.protocol}]
        return entry

    @classmethod
    def to_address(cls, where: str, address: object) -> EgressRule:
        """The rule for an address of `allow_to`.

        Args:
            where: Name of the option.
            address: An address with a port, such as `redis.cache.svc:6379` or
                `https://proxy.example.com`.

        Raises:
            VllmConstructsError: It is no address, or its port is not known.
        """
        if isinstance(address, str) and "@" in address:
            text, advice = "has credentials (not shown)", "give host and port only"
            refuse(Problem(where=where, text=text, advice=advice))
        rule = rule_for(address) if isinstance(address, str) else None
        allowed = "an address with a port, such as 'redis.cache.svc:6379', or an EgressRule(...)"
        return require.wrong(where, address, allowed) if rule is None else rule


def rule_for(address: str) -> EgressRule | None:
    """The rule that lets a pod connect to an address; None if it is no address, or its own.

    Args:
        address: The address, such as `http://mirror.mirrors.svc:8080/path`.
    """
    # A variable of the container stands for any host.
    match = _ADDRESS.fullmatch(_VARIABLE.sub("any.host.invalid", address.strip()))
    if match is None:
        return None
    scheme, host = (match["scheme"] or "").lower(), match["host"].strip("[]").rstrip(".")
    if scheme in _STORES:
        return EgressRule((443,))
    port = int(match["port"]) if match["port"] else _PORTS.get(scheme, 0)
    if not 1 <= port <= 65535 or host.lower() == "localhost":
        return None
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return _to_name(host.lower(), port)
    if found.is_loopback or found.is_unspecified:
        return None
    return EgressRule((port,), cidr=f"{found}/{found.max_prefixlen}")


def _to_name(host: str, port: int) -> EgressRule:
    """The rule for a host name: a Service's namespace, or the port at any address."""
    parts = host.split(".")
    if len(parts) == 1:
        return EgressRule((port,), labels={})
    if "svc" in parts[2:]:
        # A pod of a headless Service has a name before the Service's.
        namespace = parts[parts.index("svc", 2) - 1]
        if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
            return EgressRule((port,), namespace=namespace)
    return EgressRule((port,))


def merged(rules: Iterable[EgressRule]) -> list[EgressRule]:
    """The rules with all ports of one destination in one rule, sorted.

    Args:
        rules: The rules.
    """
    found: dict[tuple[object, ...], EgressRule] = {}
    for rule in rules:
        labels = None if rule.labels is None else tuple(rule.labels.items())
        key = (
            rule.cidr or "",
            rule.namespace or "",
            rule.protocol,
            labels is not None,
            labels or (),
            bool(rule.ports),
        )
        before = found.get(key)
        ports = [*rule.ports, *(before.ports if before else ())]
        found[key] = EgressRule(
            ports,
            namespace=rule.namespace,
            labels=rule.labels,
            cidr=rule.cidr,
            protocol=rule.protocol,
        )
    return [found[key] for key in sorted(found, key=repr)]
