"""Gone: objects that disappear from the manifests, and what is lost if they are deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from vllm_constructs.dataclass import dataclass
from vllm_constructs.reading.fields import items, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

from .gpus import Gpus, gpus_of
from .objects import group_kind
from .references import Reference, referring
from .rollout import pods_at_most
from .stored import stored

PRUNED = (
    "kubectl apply leaves them in the cluster; kubectl apply --prune, helm upgrade and GitOps with "
    "pruning delete them"
)
"""What happens to objects that disappear."""

_MONITORING = "monitoring.coreos.com"
_LOSSES = {
    ("", "Namespace"): "all objects in it are deleted with it, and the data of its claims",
    ("", "PersistentVolume"): "its data depends on persistentVolumeReclaimPolicy",
    ("", "Service"): "its name does not resolve any more, and its address is given back",
    ("", "ServiceAccount"): "its pods cannot be made any more",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "all objects of its kind are deleted",
    ("gateway.networking.k8s.io", "Gateway"): "its routes have no address any more",
    ("networking.k8s.io", "NetworkPolicy"): "what only it denied is allowed",
    ("policy", "PodDisruptionBudget"): "a node that is drained may evict all pods at once",
    (_MONITORING, "PodMonitor"): "its metrics are not scraped any more",
    (_MONITORING, "PrometheusRule"): "its alerts do not fire any more",
    (_MONITORING, "ServiceMonitor"): "its metrics are not scraped any more",
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): "its subjects lose their permissions",
    ("rbac.authorization.k8s.io", "RoleBinding"): "its subjects lose their permissions",
    ("scheduling.k8s.io", "PriorityClass"): "new pods that name it are refused",
    ("storage.k8s.io", "StorageClass"): "new claims that name it stay unbound",
}
ROUTES = {
    ("gateway.networking.k8s.io", "GRPCRoute"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("networking.k8s.io", "Ingress"),
}
_WORKLOADS = {
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"),
}
_SCALERS = {("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject")}
_CLAIM = ("", "PersistentVolumeClaim")
_STATEFUL_SET = ("apps", "StatefulSet")


@dataclass(frozen=True, kw_only=True)
class Gone:
    """An object that disappears.

    Args:
        manifest: The object.
        losses: What is lost if it is deleted, each a clause.
        gpus: The GPUs of its pods by kind, which are free then.
    """

    manifest: Manifest
    losses: tuple[str, ...]
    gpus: Mapping[str, Gpus]

    @property
    def stops(self) -> bool:
        """Whether pods stop if it is deleted."""
        return group_kind(self.manifest) in _WORKLOADS


def gone(
    old: Iterable[Manifest], new: Iterable[Manifest], graphs: tuple[Graph, Graph]
) -> list[Gone]:
    """The objects that disappear.

    Args:
        old: Those that are not there after.
        new: Those that were not there before.
        graphs: All objects before, and all after.
    """
    disappeared = list(old)
    if not disappeared:
        return []
    naming = referring(graphs[1])
    appeared: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
    for one in new:
        appeared[group_kind(one)].append(one)
    return [_gone(one, appeared[group_kind(one)], naming, graphs) for one in disappeared]


def gpus_in(graph: Graph, manifest: Manifest) -> dict[str, int]:
    """The GPUs of a workload by kind, at most; none for what runs no pods.

    Args:
        graph: The objects.
        manifest: The workload.
    """
    if group_kind(manifest) not in _WORKLOADS:
        return {}
    count = pods_at_most(graph, manifest) or 0
    return {kind: number * count for kind, number in gpus_of(graph, manifest).items()}


def hosts(route: Manifest) -> list[str]:
    """The hosts of a route or Ingress.

    Args:
        route: The route or Ingress.
    """
    rules = map(mapping, items(route.spec.get("rules")))
    named = [rule["host"] for rule in rules if isinstance(rule.get("host"), str)]
    return list(dict.fromkeys([*strings(route.spec.get("hostnames")), *named]))


def _gone(
    manifest: Manifest,
    appeared: list[Manifest],
    naming: Mapping[Reference, list[Manifest]],
    graphs: tuple[Graph, Graph],
) -> Gone:
    kind = group_kind(manifest)
    near = [one for one in appeared if one.may_be_in(manifest.namespace)]
    losses = [_LOSSES[kind]] if kind in _LOSSES else []
    if kind == _CLAIM:
        losses += _data(manifest, graphs)
    elif kind in ROUTES:
        named = " and ".join(hosts(manifest)) or "all hosts"
        losses.append(f"clients of {named} get no answer from it any more")
    elif kind in _WORKLOADS:
        losses += _pods(manifest, graphs[0])
    elif kind in _SCALERS and (target := graphs[1].target_of(manifest)) is not None:
        losses.append(f"nothing scales {target.title} any more")
    if (successor := _successor(manifest, near)) is not None:
        losses.append(_succeeded(kind, successor))
    users = [
        one.title
        for one in naming.get((manifest.kind, manifest.name), ())
        if one.may_be_in(manifest.namespace)
    ]
    if users:
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        losses.append(f"still named by {users[0]}{more}")
    gpus = {
        name: Gpus(before=count, peak=count, after=0)
        for name, count in gpus_in(graphs[0], manifest).items()
    }
    return Gone(manifest=manifest, losses=tuple(losses), gpus=gpus)


def _data(claim: Manifest, graphs: tuple[Graph, Graph]) -> list[str]:
    """What becomes of the data of a claim."""
    name = claim.spec.get("storageClassName")
    found = graphs[0].find("StorageClass", "", name) or graphs[1].find("StorageClass", "", name)
    if found is not None and found.body.get("reclaimPolicy") == "Retain":
        return ["its volume stays, as its StorageClass says Retain, but no claim has it any more"]
    return ["its data is deleted with it, unless the reclaim policy of its volume is Retain"]


def _pods(manifest: Manifest, graph: Graph) -> list[str]:
    count = pods_at_most(graph, manifest)
    unit = "group" if manifest.kind == "LeaderWorkerSet" else "pod"
    shown = f"its {unit}s" if count is None else f"its {count} {unit}{'' if count == 1 else 's'}"
    found = [f"{shown} {'stops' if count == 1 else 'stop'}"]
    if group_kind(manifest) == _STATEFUL_SET and manifest.spec.get("volumeClaimTemplates"):
        policy = mapping(manifest.spec, "persistentVolumeClaimRetentionPolicy")
        is_deleted = policy.get("whenDeleted") == "Delete"
        found.append(f"its claims {'and their data are deleted' if is_deleted else 'stay'}")
    return found


def _successor(manifest: Manifest, appeared: list[Manifest]) -> Manifest | None:
    """The object that takes its place under another name, as far as that is plain."""
    own = _content(manifest)
    same = [one for one in appeared if _content(one) == own]
    if len(same) == 1:
        return same[0]
    is_plain = group_kind(manifest) in (_CLAIM, _STATEFUL_SET) and len(appeared) == 1
    return appeared[0] if is_plain and not same else None


def _content(manifest: Manifest) -> object:
    return {key: one for key, one in stored(manifest.body).items() if key != "metadata"}


def _succeeded(kind: tuple[str, str], successor: Manifest) -> str:
    text = f"{successor.title} appears"
    if kind == _CLAIM:
        return f"{text} and is empty, so the data has to be copied first"
    if kind == _STATEFUL_SET and successor.spec.get("volumeClaimTemplates"):
        return f"{text}, whose pods get new, empty claims"
    return f"{text} with the same content"
