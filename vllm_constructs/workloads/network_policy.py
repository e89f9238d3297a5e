"""NetworkPolicy: who may reach an engine, and what it may reach.

vLLM's API key guards `/v1` only, and its metrics, tokeniser and other endpoints are open to
whoever reaches the port (vLLM docs, "Security"), so the pod is closed by default.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from vllm_constructs import require

# Google's front ends and health checks (Google Cloud docs, firewall rules of load balancers).
GOOGLE = ("130.211.0.0/22", "35.191.0.0/16")

_DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
_HTTPS = {"ports": [{"port": 443, "protocol": "TCP"}]}


def from_namespace(name: str) -> dict[str, Any]:
    """Peers: all pods of a namespace, by the label that Kubernetes sets on each."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def from_block(where: str, cidr: object) -> dict[str, Any]:
    """Peers: an address range."""
    allowed = "an address range such as '10.0.0.0/16'"
    if not isinstance(cidr, str) or "%" in cidr:
        require.wrong(where, cidr, allowed)
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError:
        require.wrong(where, cidr, allowed)
    return {"ipBlock": {"cidr": str(network)}}


def from_blocks(where: str, cidrs: object) -> list[dict[str, Any]]:
    """Peers: each address range of a list."""
    return [
        from_block(where, item) for item in require.items(where, cidrs, "a list of address ranges")
    ]


def rule(peer: dict[str, Any], port: int) -> dict[str, Any]:
    """One entry of `ingress`: `peer` may reach `port`."""
    return {"from": [peer], "ports": [{"port": port, "protocol": "TCP"}]}


def policy(
    *, name: str, selector: dict[str, str], port: int, allow_from: tuple[str, ...], downloads: bool
) -> dict[str, Any]:
    """The engine's NetworkPolicy.

    In: the API's port, from the pods of its own namespace and of the namespaces named. Routes
    and monitors add theirs. Out: DNS, and HTTPS where weights are downloaded. Kubelet's probes
    come from the node, which policies do not stop.
    """
    own: dict[str, Any] = {"podSelector": {}}
    peers = [own, *(from_namespace(namespace) for namespace in allow_from)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [rule(peer, port) for peer in peers],
            "egress": [_DNS, _HTTPS] if downloads else [_DNS],
        },
    }
