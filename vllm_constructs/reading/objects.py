"""Objects: manifests of any origin, and how they refer to each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from .fields import integer, mapping
from .lazy import lazy
from .manifest import Manifest
from .pods import Pod, pods_of
from .repeated_keys import Repeated
from .selectors import selects, single_labels
from .settings import Settings

# Kinds whose pods are counted by replicas.
_COUNTED = (
    "Deployment",
    "LeaderWorkerSet",
    "Pod",
    "ReplicaSet",
    "ReplicationController",
    "Rollout",
    "StatefulSet",
)
# So many that a rule is sure of what it says; all of them would take the square of the time where
# everything has one label.
_MOST_SELECTED = 50
_SCALERS = {
    "HorizontalPodAutoscaler": ("minReplicas", "maxReplicas", 1, 1),
    "ScaledObject": ("minReplicaCount", "maxReplicaCount", 0, 100),
}


class Objects:
    """Manifests of any origin, and how they refer to each other.

    An object without a namespace may be in any: it is applied with one.

    Attributes:
        manifests: All objects, in their order.
        settings: What the manifests do not say.
        judged: The numbers of objects that were judged by the values that made them, so that
            only what they have to do with others is checked.
        files: By number of an object, the file that it is in; none where that is not known.
        repeated: By number of an object, the keys that its text has again in their mapping.
    """

    def __init__(
        self,
        objects: Iterable[dict[str, Any]],
        settings: Settings | None = None,
        judged: Collection[int] = (),
        files: Sequence[str] = (),
        repeated: Mapping[int, Sequence[Repeated]] | None = None,
    ) -> None:
        """Keep the objects themselves, not copies.

        Args:
            objects: The objects.
            settings: What they do not say. Default: nothing.
            judged: The numbers of objects that were judged before. Default: none.
            files: By number of an object, the file that it is in. Default: it is not known.
            repeated: By number of an object, the keys that its text has again in their mapping.
                Default: none, as of objects that no text was read for.
        """
        self.files = tuple(files)
        self.repeated = dict(repeated or {})
        self.judged = frozenset(judged)
        self.manifests = [Manifest(body, i) for i, body in enumerate(objects)]
        self.settings = Settings() if settings is None else settings
        self._by_kind: dict[str, list[Manifest]] = defaultdict(list)
        for manifest in self.manifests:
            self._by_kind[manifest.kind].append(manifest)

    def of(self, *kinds: str) -> list[Manifest]:
        """The objects of some kinds, in their order within each kind.

        Args:
            *kinds: Names of the kinds.
        """
        return [one for kind in kinds for one in self._by_kind.get(kind, ())]

    def find(self, kind: str, namespace: str, name: object) -> Manifest | None:
        """The object of a kind, namespace and name; None if it is not in the manifests.

        Args:
            kind: Its kind.
            namespace: Its namespace; empty for any.
            name: Its name.
        """
        found = self._named.get((kind, str(name)), {})
        if not namespace:
            return next(iter(found.values()), None)
        return found.get(namespace) or found.get("")

    @lazy
    def _named(self) -> dict[tuple[str, str], dict[str, Manifest]]:
        found: dict[tuple[str, str], dict[str, Manifest]] = defaultdict(dict)
        for one in self.manifests:
            found[one.kind, one.name].setdefault(one.namespace, one)
        return found

    @lazy
    def config_data(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The data of all ConfigMaps, by namespace and name."""
        return {
            (one.namespace, one.name): mapping(one.body.get("data")) for one in self.of("ConfigMap")
        }

    @lazy
    def pods(self) -> list[Pod]:
        """All pod templates, and pods of their own.

        One that a patch among the manifests changes is not whole: the patch may have what it lacks.
        """
        found = [pod for one in self.manifests for pod in pods_of(one)]
        patches: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
        for pod in found:
            if pod.is_patch:
                patches[pod.manifest.kind, pod.manifest.name].append(pod.manifest)
        for pod in found if patches else ():
            one = pod.manifest
            if any(by.may_be_in(one.namespace) for by in patches.get((one.kind, one.name), ())):
                pod.is_whole = False
        return found

    @lazy
    def _pods_of(self) -> dict[int, list[Pod]]:
        found: dict[int, list[Pod]] = defaultdict(list)
        for pod in self.pods:
            found[pod.manifest.number].append(pod)
        return found

    def pods_of(self, manifest: Manifest) -> list[Pod]:
        """The pod templates of an object.

        Args:
            manifest: The object.
        """
        return self._pods_of.get(manifest.number, [])

    def selected_pods(self, namespace: str, selector: object) -> list[Pod]:
        """The pods in a namespace that a LabelSelector selects, the first ones of very many.

        Args:
            namespace: The namespace; empty for any.
            selector: `matchLabels` and `matchExpressions`; an empty one selects all.
        """
        return list(islice(self._selected(namespace, selector), _MOST_SELECTED))

    def _selected(self, namespace: str, selector: object) -> Iterator[Pod]:
        return (
            pod
            for pod in self._candidates(namespace, single_labels(selector))
            if pod.manifest.may_be_in(namespace) and selects(selector, pod.labels)
        )

    def pods_behind(self, service: Manifest) -> list[Pod]:
        """The pods that a Service selects; none for a Service without a selector.

        Args:
            service: The Service.
        """
        labels = mapping(service.spec.get("selector"))
        return self.selected_pods(service.namespace, {"matchLabels": labels}) if labels else []

    def services_of(self, pod: Pod) -> list[Manifest]:
        """The Services that select a pod, the first ones of very many.

        Args:
            pod: The pod.
        """
        return self._services.get(id(pod), [])

    @lazy
    def _services(self) -> dict[int, list[Manifest]]:
        # Services with one selector have the same pods.
        alike: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
        for service in self.of("Service"):
            labels = mapping(service.spec.get("selector"))
            if labels:
                alike[service.namespace, str(sorted(labels.items(), key=str))].append(service)
        found: dict[int, list[Manifest]] = defaultdict(list)
        for services in alike.values():
            first = services[0]
            selector = {"matchLabels": first.spec.get("selector")}
            for pod in self._selected(first.namespace, selector):
                found[id(pod)] += services[:_MOST_SELECTED]
        return found

    def scalers_of(self, workload: Manifest) -> list[Manifest]:
        """The HorizontalPodAutoscalers and ScaledObjects that scale an object.

        Args:
            workload: The object.
        """
        return [
            one
            for one in self._scalers.get((workload.kind, workload.name), ())
            if one.may_be_in(workload.namespace)
        ]

    @lazy
    def _scalers(self) -> dict[tuple[str, str], list[Manifest]]:
        found: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
        for one in self.of(*_SCALERS):
            target = mapping(one.spec.get("scaleTargetRef"))
            found[str(target.get("kind") or "Deployment"), str(target.get("name"))].append(one)
        return found

    def target_of(self, scaler: Manifest) -> Manifest | None:
        """The object that a scaler scales; None if it is not in the manifests.

        Args:
            scaler: A HorizontalPodAutoscaler or ScaledObject.
        """
        target = mapping(scaler.spec.get("scaleTargetRef"))
        kind = str(target.get("kind") or "Deployment")
        return self.find(kind, scaler.namespace, target.get("name"))

    def replicas(self, workload: Manifest) -> tuple[int, int]:
        """The least and the most replicas of an object, by its scalers or by itself.

        Args:
            workload: The object.
        """
        ranges = [scaler_range(one) for one in self.scalers_of(workload)]
        if ranges:
            low, high = (max(one[i] for one in ranges) for i in (0, 1))
            return low, max(low, high)
        count = integer(workload.spec.get("replicas"), 1)
        return count, count

    def pod_counts(self, pod: Pod) -> tuple[int, int] | None:
        """The least and the most pods of a template; None if the manifests do not say.

        Args:
            pod: The template.
        """
        workload = pod.manifest
        if workload.kind in ("RoleSet", "StormService"):
            # Each role has pods of its own.
            count = integer(workload.at(*pod.path[:-2], "replicas"), 1)
            count *= integer(workload.spec.get("replicas"), 1)
            return count, count
        if not pod.is_whole or workload.kind not in _COUNTED:
            return None
        low, high = (1, 1) if workload.kind == "Pod" else self.replicas(workload)
        if pod.role:
            size = max(1, integer(workload.at("spec", "leaderWorkerTemplate", "size"), 1))
            in_group = {"leader": 1, "worker": size - 1}.get(pod.role, size)
            return low * in_group, high * in_group
        return low, high

    @lazy
    def _pods_by_label(self) -> Mapping[tuple[str | None, str, str], list[Pod]]:
        """The pods by namespace, key and value of a label; None stands for all namespaces.

        Those of an empty key are all of a namespace.
        """
        found: dict[tuple[str | None, str, str], list[Pod]] = defaultdict(list)
        for pod in self.pods:
            for key, value in (("", ""), *pod.labels.items()):
                found[pod.namespace, str(key), str(value)].append(pod)
                found[None, str(key), str(value)].append(pod)
        return found

    def _candidates(self, namespace: str, labels: Mapping[str, Any]) -> list[Pod]:
        """The shortest list that has all pods in a namespace with some labels."""
        known = self._pods_by_label
        # An object without a namespace may be in any.
        names = (namespace, "") if namespace else (None,)
        lists = [
            [known.get((name, str(key), str(value)), []) for name in names]
            for key, value in (labels or {"": ""}).items()
        ]
        found = min(lists, key=lambda parts: sum(map(len, parts)))
        filled = [part for part in found if part]
        if len(filled) < 2:
            return filled[0] if filled else []
        return sorted((pod for part in filled for pod in part), key=lambda pod: pod.manifest.number)


def scaler_range(scaler: Manifest) -> tuple[int, int]:
    """The least and the most replicas that a scaler sets, with the defaults of its kind.

    Args:
        scaler: A HorizontalPodAutoscaler or ScaledObject.
    """
    low, high, least, most = _SCALERS[scaler.kind]
    return integer(scaler.spec.get(low), least), integer(scaler.spec.get(high), most)
