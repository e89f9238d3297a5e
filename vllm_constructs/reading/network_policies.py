"""What NetworkPolicies allow between the pods of manifests."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .fields import items, mapping, strings
from .groups import NAME
from .lazy import lazy
from .manifest import Manifest
from .pods import Pod
from .selectors import selects

if TYPE_CHECKING:
    from .graph import Graph

Direction: TypeAlias = Literal["Ingress", "Egress"]
# Kinds that allow more, or decide before a NetworkPolicy does.
_OTHERS = (
    "AdminNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
    "CiliumNetworkPolicy",
    "ClusterNetworkPolicy",
    "GlobalNetworkPolicy",
)
_ADDED = ("leaderworkerset.sigs.k8s.io/", "disaggregatedset.x-k8s.io/")
_NAMESPACE = "kubernetes.io/metadata.name"


class PolicyReader:
    """The NetworkPolicies of manifests, and what they allow between two pods."""

    def __init__(self, graph: Graph) -> None:
        """Read the policies.

        Args:
            graph: The manifests.
        """
        self.graph = graph

    def isolating(self, source: Pod, target: Pod) -> tuple[Manifest, Direction] | None:
        """The policy that isolates pods from others, if none lets them connect to all ports.

        What cannot be decided here, such as a range of addresses, counts as allowed.

        Args:
            source: The pods that connect.
            target: The pods that they connect to.
        """
        if self.is_open:
            return None
        directions: tuple[tuple[Direction, Pod, Pod], ...] = (
            ("Ingress", target, source),
            ("Egress", source, target),
        )
        for direction, pod, peer in directions:
            found = self.of(pod, direction)
            if found and not any(_allows(one, direction, pod, peer) for one in found):
                return found[0], direction
        return None

    def of(self, pod: Pod, direction: Direction) -> list[Manifest]:
        """The policies that isolate pods from others, but for what they allow.

        Args:
            pod: The pods.
            direction: Whether from those that connect to them, or to which they connect.
        """
        return [one for one in self._of(pod) if _is_about(one, direction)]

    @lazy
    def is_open(self) -> bool:
        """Whether no policy is here, or others than NetworkPolicies decide too."""
        given = self.graph.of("NetworkPolicy")
        # Calico has a kind of the same name.
        is_other = any(one.group not in ("networking.k8s.io", "extensions") for one in given)
        return not given or is_other or bool(self.graph.of(*_OTHERS))

    def _of(self, pod: Pod) -> list[Manifest]:
        names = {pod.namespace, ""} if pod.namespace else set(self._of_namespace)
        wide = [
            one
            for name in sorted(names)
            for one in self._of_namespace.get(name, ())
            if selects(one.spec.get("podSelector"), pod.labels)
        ]
        return [*self._of_pod.get(id(pod), ()), *wide]

    @lazy
    def _of_pod(self) -> dict[int, list[Manifest]]:
        """The policies that select pods by their labels."""
        found: dict[int, list[Manifest]] = defaultdict(list)
        for policy in self.graph.of("NetworkPolicy"):
            if _has_labels(policy):
                selector = policy.spec["podSelector"]
                for pod in self.graph.selected_pods(policy.namespace, selector):
                    found[id(pod)].append(policy)
        return found

    @lazy
    def _of_namespace(self) -> dict[str, list[Manifest]]:
        """The other policies, each once."""
        found: dict[str, dict[str, Manifest]] = defaultdict(dict)
        for policy in self.graph.of("NetworkPolicy"):
            if not _has_labels(policy):
                said = json.dumps(policy.spec, sort_keys=True, default=str)
                found[policy.namespace].setdefault(said, policy)
        return {name: list(policies.values()) for name, policies in found.items()}


def _has_labels(policy: Manifest) -> bool:
    return bool(mapping(policy.spec.get("podSelector"), "matchLabels"))


def _is_about(policy: Manifest, direction: Direction) -> bool:
    """Whether a policy isolates its pods in a direction."""
    types = strings(policy.spec.get("policyTypes"))
    if types:
        return direction in types
    return direction == "Ingress" or bool(policy.spec.get("egress"))


def _allows(policy: Manifest, direction: Direction, pod: Pod, peer: Pod) -> bool:
    peers = "from" if direction == "Ingress" else "to"
    return any(
        _has_all_ports(mapping(rule)) and _has_peer(items(mapping(rule).get(peers)), pod, peer)
        for rule in items(policy.spec.get(direction.lower()))
    )


def _has_all_ports(rule: Mapping[str, Any]) -> bool:
    """Whether a rule is about all ports of TCP, or about more than can be told."""
    ports = items(rule.get("ports"))
    return not ports or any(
        mapping(port).get("protocol", "TCP") == "TCP"
        and ("port" not in mapping(port) or _is_wide(mapping(port)))
        for port in ports
    )


def _is_wide(port: Mapping[str, Any]) -> bool:
    first, last = port.get("port"), port.get("endPort")
    return isinstance(first, int) and isinstance(last, int) and first <= 1024 and last >= 65535


def _has_peer(peers: list[Any], pod: Pod, peer: Pod) -> bool:
    return not peers or any(_is_peer(mapping(one), pod, peer) for one in peers)


def _is_peer(one: Mapping[str, Any], pod: Pod, peer: Pod) -> bool:
    if "ipBlock" in one:
        # The addresses of pods are not in manifests.
        return True
    if "podSelector" in one and not _may_select(one["podSelector"], peer):
        return False
    if "namespaceSelector" not in one:
        return True
    labels = mapping(mapping(one["namespaceSelector"]).get("matchLabels"))
    name = labels.get(_NAMESPACE)
    # Other labels of a namespace are not known.
    return name is None or not peer.namespace or name == peer.namespace or not pod.namespace


def _may_select(selector: object, pod: Pod) -> bool:
    """Whether a selector selects pods, as far as their labels are known."""
    if not pod.role:
        return selects(selector, pod.labels)
    given = mapping(selector)
    labels = mapping(given.get("matchLabels"))
    is_set = pod.manifest.kind == "LeaderWorkerSet"

    def is_known(key: object) -> bool:
        # What a set adds is not in its template, apart from its name.
        return not str(key).startswith(_ADDED) or (is_set and key == NAME)

    return selects(
        {
            "matchLabels": {key: value for key, value in labels.items() if is_known(key)},
            "matchExpressions": [
                one
                for one in items(given.get("matchExpressions"))
                if is_known(mapping(one).get("key"))
            ],
        },
        pod.labels,
    )
