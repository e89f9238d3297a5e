"""Peers of a NetworkPolicy: where requests come from."""

from __future__ import annotations

import ipaddress
from typing import Any

from vllm_constructs import require

from . import names

# Google Front Ends and health checks (Google Cloud docs, firewall rules of load balancers).
GOOGLE = ("130.211.0.0/22", "35.191.0.0/16")
OPENSHIFT_PROMETHEUS = "openshift-user-workload-monitoring"
"""Namespace of the Prometheus that scrapes users' pods on OpenShift (its docs, "Monitoring")."""


def from_namespace(name: str) -> dict[str, Any]:
    """All pods of a namespace, selected by the label that Kubernetes sets on each namespace."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def from_block(where: str, cidr: object) -> dict[str, Any]:
    """The peer for an address range."""
    allowed = "an address range such as '10.0.0.0/16'"
    if not isinstance(cidr, str) or "%" in cidr:
        require.wrong(where, cidr, allowed)
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError:
        require.wrong(where, cidr, allowed)
    return {"ipBlock": {"cidr": str(network)}}


def from_source(where: str, source: object) -> dict[str, Any]:
    """The peer for a namespace by its name, or for an address range."""
    if isinstance(source, str) and ("/" in source or ":" in source):
        return from_block(where, source)
    return from_namespace(names.label(where, source))


def is_block(peer: dict[str, Any]) -> bool:
    """Whether a peer is an address range."""
    return "ipBlock" in peer


def from_blocks(where: str, cidrs: object) -> list[dict[str, Any]]:
    """The peers for a list of address ranges."""
    ranges = require.items(where, cidrs, "a list of address ranges")
    return [from_block(where, item) for item in ranges]
