"""Upgrade: what an apply of new manifests would do to what old ones have made."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

from .changes import Change, field_name
from .compared import Compared, Refusal
from .gone import Gone, gone, gpus_in
from .gpus import Gpus, total
from .immutable import refusals
from .objects import pairs, unnamed
from .references import references
from .requests import (
    Loss,
    lost_by_hosts,
    lost_by_names,
    lost_in_rollouts,
    lost_in_services,
)
from .rollout import Rollout, rollout

_CONFIGS = {("", "ConfigMap"), ("", "Secret")}
_ENDING = {"CronJob", "Job"}


class Upgrade:
    """What an apply of new manifests would do.

    Attributes:
        graphs: All objects before, and all after.
        compared: The objects that are there before and after.
        appeared: The objects that are new.
    """

    def __init__(self, old: Graph, new: Graph) -> None:
        """Compare them.

        Args:
            old: The objects before: manifests, or what a cluster has.
            new: The manifests that are applied.
        """
        self.graphs = (old, new)
        found = pairs(old, new)
        self.compared = [
            Compared(pair.old, pair.new, self.graphs) for pair in found if pair.old and pair.new
        ]
        self.appeared: list[Manifest] = [
            pair.new for pair in found if pair.old is None and pair.new is not None
        ]
        self._disappeared = [pair.old for pair in found if pair.new is None and pair.old]

    @cached_property
    def _every_refusal(self) -> list[Refusal]:
        return [refusal for one in self.compared for refusal in refusals(one)]

    @cached_property
    def refused(self) -> list[Refusal]:
        """What is refused."""
        return [one for one in self._every_refusal if one.is_certain]

    @cached_property
    def doubtful(self) -> list[Refusal]:
        """What may be refused, of objects of which nothing is refused for certain."""
        return [
            one
            for one in self._every_refusal
            if not one.is_certain and one.manifest.number not in self._refused
        ]

    @cached_property
    def _refused(self) -> set[int]:
        return {one.manifest.number for one in self.refused}

    @property
    def _accepted(self) -> list[Compared]:
        return [
            one
            for one in self.compared
            if (one.changes or one.stays) and one.new.number not in self._refused
        ]

    @cached_property
    def rollouts(self) -> list[Rollout]:
        """The workloads whose pods are replaced, or change in number."""
        scaled = self._scaled
        found = (
            rollout(one)
            for one in self.compared
            if one.new.number not in self._refused and (one.changes or one.new.number in scaled)
        )
        return [one for one in found if one is not None]

    @property
    def _scaled(self) -> set[int]:
        """Workloads of scalers, which may change their number."""
        found = set()
        for graph in self.graphs:
            for scaler in graph.of("HorizontalPodAutoscaler", "ScaledObject"):
                target = graph.target_of(scaler)
                if target is not None:
                    found.add((target.kind, target.namespace, target.name))
        return {
            one.new.number
            for one in self.compared
            if any((side.kind, side.namespace, side.name) in found for side in one.sides)
        }

    @cached_property
    def gone(self) -> list[Gone]:
        """The objects that disappear."""
        return gone(self._disappeared, self.appeared, self.graphs)

    @cached_property
    def losses(self) -> list[Loss]:
        """The requests that are lost on the way."""
        return [
            *lost_in_rollouts(self.rollouts, self.gone, self.graphs),
            *lost_in_services(self.compared, self.rollouts, self._refused),
            *lost_by_hosts(self._accepted),
            *lost_by_names(self.rollouts),
        ]

    @cached_property
    def plain(self) -> list[tuple[Compared, list[Change]]]:
        """The changes that replace no pods, by object."""
        told = {id(change) for one in self.rollouts for change in one.reasons}
        told |= {id(one.change) for one in self.doubtful}
        told |= {
            id(change)
            for one in self.rollouts
            if one.before is not None
            for change in one.one.changed("spec", "replicas")
        }
        found = (
            (one, [change for change in one.changes if id(change) not in told])
            for one in self._accepted
        )
        return [(one, changes) for one, changes in found if changes or one.stays]

    @cached_property
    def gpus(self) -> dict[str, Gpus]:
        """The GPUs of all workloads that change, appear or disappear, by kind."""
        appeared = [
            {
                kind: Gpus(before=0, peak=count, after=count)
                for kind, count in gpus_in(self.graphs[1], one).items()
            }
            for one in self.appeared
        ]
        parts = [*(one.gpus for one in self.rollouts), *(one.gpus for one in self.gone), *appeared]
        return total([dict(part) for part in parts])

    @cached_property
    def notes(self) -> dict[int, list[str]]:
        """What else is to be known of changes, by the number of the new object."""
        found: dict[int, list[str]] = defaultdict(list)
        for one in self._accepted:
            for path in one.stays:
                text = f"{field_name(path)} stays as it is: to leave it out does not remove it"
                found[one.new.number].append(text)
            if one.kind in _CONFIGS and one.changes and (names := self._unrolled(one)):
                verbs = ("does", "reads") if len(names) == 1 else ("do", "read")
                text = (
                    f"{' and '.join(names)} {verbs[0]} not roll, and {verbs[1]} it again only "
                    "when pods start"
                )
                found[one.new.number].append(text)
        return found

    def _unrolled(self, config: Compared) -> list[str]:
        """Workloads that use a ConfigMap or Secret and do not roll."""
        key = (config.new.kind, config.new.name)
        return [
            one.title
            for one in self._users.get(key, ())
            if one.number not in self._started and one.may_be_in(config.new.namespace)
        ]

    @cached_property
    def _started(self) -> set[int]:
        """Workloads whose pods start after the apply; and those that stay what they are."""
        rolling = {one.manifest.number for one in self.rollouts if one.is_rolling}
        return rolling | {one.number for one in self.appeared} | self._refused

    @cached_property
    def _users(self) -> dict[tuple[str, str], list[Manifest]]:
        found: dict[tuple[str, str], dict[int, Manifest]] = defaultdict(dict)
        for pod in self.graphs[1].pods:
            if pod.manifest.kind not in _ENDING:
                for name in references(pod.spec):
                    found[name][pod.manifest.number] = pod.manifest
        return {name: list(one.values()) for name, one in found.items()}

    @property
    def unnamed(self) -> int:
        """How many objects cannot be compared, since they have no kind or name."""
        return sum(len(unnamed(graph)) for graph in self.graphs)

    @property
    def is_empty(self) -> bool:
        """Whether an apply changes nothing."""
        return not (self._every_refusal or self._accepted or self.appeared or self.gone)
