"""NetworkPolicy: which clients may connect to an engine, and where it may connect to.

vLLM's API key protects only `/v1`. Its metrics, tokenizer and other endpoints are open to every
client that reaches the port (vLLM docs, "Security"), so by default the policy allows only the
clients that are listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vllm_constructs.kube.egress import EgressRule, merged
from vllm_constructs.kube.peers import from_namespace

from .workload import NAME_LABEL

_DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
# OpenShift's DNS pods listen on another port than its DNS Service, and policies judge that one.
_OPENSHIFT_DNS = {
    "to": [from_namespace("openshift-dns")],
    "ports": [{"port": 5353, "protocol": "UDP"}, {"port": 5353, "protocol": "TCP"}],
}
_HTTPS = EgressRule((443,))
# All engines of the namespace.
_ENGINES = {"podSelector": {"matchLabels": {NAME_LABEL: "vllm"}}}


def _rule(peer: dict[str, Any], port: int) -> dict[str, Any]:
    """One entry of `ingress`, which allows `peer` to connect to `port`."""
    return {"from": [peer], "ports": [{"port": port, "protocol": "TCP"}]}


def policy(
    *,
    name: str,
    selector: dict[str, str],
    port: int,
    allow_from: Sequence[dict[str, Any]],
    downloads: bool,
    more_peers: Sequence[dict[str, Any]] = (),
    egress: Sequence[EgressRule] = (),
    side_channel: int | None = None,
    more_ports: Sequence[int] = (),
) -> dict[str, Any]:
    """The engine's NetworkPolicy.

    Incoming traffic is limited to the port of the API, outgoing traffic to DNS, HTTPS if weights
    are downloaded, and what the user's options name. The kubelet's probes come from the node,
    which policies do not block.

    Args:
        name: Name of the policy.
        selector: Labels of the engine's pods.
        port: Port of the API.
        allow_from: Peers that may connect, beside the pods of the engine's own namespace.
        downloads: Whether the pod downloads its weights.
        more_peers: Peers of ingresses, routes, scalers and monitors. Default: none.
        egress: More rules for outgoing traffic. Default: none.
        side_channel: First port through which engines pass KV caches to each other, in both
            directions. Default: they do not.
        more_ports: More ports of the pod, which its own namespace may reach. Default: none.
    """
    own: dict[str, Any] = {"podSelector": {}}
    peers = [own, *allow_from]
    peers += [peer for peer in more_peers if peer not in peers]
    outgoing = [rule.manifest() for rule in merged([*egress, *([_HTTPS] if downloads else [])])]
    incoming = [_rule(peer, port) for peer in peers]
    incoming += [_rule(own, other) for other in more_ports]
    if side_channel is not None:
        # The data itself goes through ports that the system picks.
        between = [{"port": side_channel, "endPort": 65535, "protocol": "TCP"}]
        incoming.append({"from": [_ENGINES], "ports": between})
        outgoing.append({"to": [_ENGINES], "ports": between})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": incoming,
            "egress": [_DNS, _OPENSHIFT_DNS, *outgoing],
        },
    }
