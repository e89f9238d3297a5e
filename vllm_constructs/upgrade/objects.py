"""Objects of two sets of manifests, paired as the API server would."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeAlias

from vllm_constructs.dataclass import dataclass
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

Identity: TypeAlias = "tuple[str, str, str, str]"

# Groups that kinds had before; objects of both are the same in the cluster.
_MOVED = {
    ("extensions", "DaemonSet"): "apps",
    ("extensions", "Deployment"): "apps",
    ("extensions", "Ingress"): "networking.k8s.io",
    ("extensions", "NetworkPolicy"): "networking.k8s.io",
    ("extensions", "ReplicaSet"): "apps",
}
_WITHOUT_NAMESPACE = {
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("cert-manager.io", "ClusterIssuer"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("keda.sh", "ClusterTriggerAuthentication"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("resource.k8s.io", "DeviceClass"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttributesClass"),
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An object before and after.

    Args:
        old: The object before; None if it appears.
        new: The object after; None if it disappears.
    """

    old: Manifest | None
    new: Manifest | None


def group_kind(manifest: Manifest) -> tuple[str, str]:
    """Group and kind of an object, with the group that its kind has today.

    Args:
        manifest: The object.
    """
    key = (manifest.group, manifest.kind)
    return _MOVED.get(key, manifest.group), manifest.kind


def pairs(old: Graph, new: Graph) -> list[Pair]:
    """The objects of both sides, in the order of the new ones; those that disappear come last.

    An object that is there twice is what its last manifest says. An object without a namespace
    is the one of its name in another namespace, if there is only one.

    Args:
        old: The objects before.
        new: The objects after.
    """
    before, after = _by_identity(old), _by_identity(new)
    same = {one: one for one in after if one in before}
    same |= _in_any_namespace([one for one in before if one not in after], after, before)
    gone = set(before) - set(same.values())
    return [
        *(Pair(old=before.get(same.get(key, key)), new=one) for key, one in after.items()),
        *(Pair(old=one, new=None) for key, one in before.items() if key in gone),
    ]


def unnamed(graph: Graph) -> list[Manifest]:
    """The objects that cannot be compared, since they have no kind or name.

    Args:
        graph: The objects.
    """
    return [one for one in graph.manifests if not (one.kind and one.name)]


def _identity(manifest: Manifest) -> Identity:
    group, kind = group_kind(manifest)
    namespace = "" if (group, kind) in _WITHOUT_NAMESPACE else manifest.namespace
    return group, kind, namespace, manifest.name


def _by_identity(graph: Graph) -> dict[Identity, Manifest]:
    found: dict[Identity, Manifest] = {}
    for one in graph.manifests:
        if one.kind and one.name:
            found[_identity(one)] = one
    return found


def _in_any_namespace(
    left: list[Identity], after: dict[Identity, Manifest], before: dict[Identity, Manifest]
) -> dict[Identity, Identity]:
    """The only objects of a name, of which one has no namespace."""
    olds, news = defaultdict(list), defaultdict(list)
    for one in left:
        olds[one[0], one[1], one[3]].append(one)
    for one in after:
        if one not in before:
            news[one[0], one[1], one[3]].append(one)
    found = {}
    for name, keys in news.items():
        others = olds.get(name, [])
        if len(keys) == len(others) == 1 and not (keys[0][2] and others[0][2]):
            found[keys[0]] = others[0]
    return found
