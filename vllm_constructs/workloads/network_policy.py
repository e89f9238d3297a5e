"""NetworkPolicy: which clients may connect to an engine, and where it may connect to.

vLLM's API key protects only `/v1`. Its metrics, tokenizer and other endpoints are open to every
client that reaches the port (vLLM docs, "Security"), so by default the policy allows only the
clients that are listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vllm_constructs.kube.peers import from_namespace

_DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
_HTTPS = {"ports": [{"port": 443, "protocol": "TCP"}]}


def _rule(peer: dict[str, Any], port: int) -> dict[str, Any]:
    """One entry of `ingress`, which allows `peer` to connect to `port`."""
    return {"from": [peer], "ports": [{"port": port, "protocol": "TCP"}]}


def policy(
    *,
    name: str,
    selector: dict[str, str],
    port: int,
    allow_from: Sequence[str],
    downloads: bool,
    more_peers: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The engine's NetworkPolicy.

    Incoming traffic is limited to the port of the API, outgoing traffic to DNS and, if weights
    are downloaded, HTTPS. The kubelet's probes come from the node, which policies do not block.

    Args:
        name: Name of the policy.
        selector: Labels of the engine's pods.
        port: Port of the API.
        allow_from: Namespaces whose pods may connect, beside those of the engine's own.
        downloads: Whether the pod downloads its weights.
        more_peers: Peers of ingresses, routes, scalers and monitors. Default: none.
    """
    own: dict[str, Any] = {"podSelector": {}}
    peers = [own, *(from_namespace(namespace) for namespace in allow_from)]
    peers += [peer for peer in more_peers if peer not in peers]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [_rule(peer, port) for peer in peers],
            "egress": [_DNS, _HTTPS] if downloads else [_DNS],
        },
    }
