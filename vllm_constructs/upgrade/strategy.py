"""Strategies: how many pods of a workload are replaced at a time, by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vllm_constructs.dataclass import dataclass
from vllm_constructs.reading import rolling
from vllm_constructs.reading.fields import integer, mapping

from .compared import Compared

DAEMON_SET = ("apps", "DaemonSet")
DEPLOYMENT = ("apps", "Deployment")
LWS = ("leaderworkerset.x-k8s.io", "LeaderWorkerSet")
STATEFUL_SET = ("apps", "StatefulSet")
_NUMBERS = ("maxSurge", "maxUnavailable")


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How pods are replaced.

    Args:
        name: Its name, such as RollingUpdate.
        surge: Pods that are added at most. Default: 0.
        unavailable: Pods that are missing at most, without those that fail. Default: 0.
        held: Why no pod is replaced now; empty if they are. Default: empty.
    """

    name: str
    surge: int = 0
    unavailable: int = 0
    held: str = ""


def strategy_of(one: Compared, count: int | None) -> Strategy:
    """How the manifest after replaces the pods of a workload.

    Args:
        one: The workload before and after.
        count: Its pods after; None if that is not known.
    """
    spec = mapping(one.after.get("spec"))
    if one.kind == LWS:
        return _of_groups(mapping(spec.get("rolloutStrategy")), count or 0)
    if one.kind == DEPLOYMENT:
        given = mapping(spec.get("strategy"))
        found = Strategy(
            name=str(given.get("type")),
            surge=rolling.surge(given, count or 0),
            unavailable=rolling.unavailable(given, count or 0),
            held="it is paused" if spec.get("paused") is True else "",
        )
    else:
        found = _one_by_one(one, mapping(spec.get("updateStrategy")), count)
    if count == 0:
        return Strategy(name=found.name, held="it has no pods")
    return found


def _one_by_one(one: Compared, given: Mapping[str, Any], count: int | None) -> Strategy:
    """The strategy of a StatefulSet or DaemonSet."""
    numbers = mapping(given.get("rollingUpdate"))
    name = str(given.get("type"))
    if name == "OnDelete":
        return Strategy(name=name, held="a pod is replaced when somebody deletes it")
    if one.kind == DAEMON_SET:
        # Percentages are of the nodes, which manifests do not have.
        numbered = [rolling.count(numbers.get(key), 0, 0, is_up=True) or 0 for key in _NUMBERS]
        return Strategy(name=name, surge=numbered[0], unavailable=numbered[1])
    missing = rolling.count(numbers.get("maxUnavailable"), count or 0, 1, is_up=True) or 1
    return _partitioned(numbers, name, 0, missing, count or 0)


def _of_groups(given: Mapping[str, Any], count: int) -> Strategy:
    numbers = mapping(given.get("rollingUpdateConfiguration"))
    surge = rolling.count(numbers.get("maxSurge"), count, 0, is_up=True) or 0
    missing = rolling.count(numbers.get("maxUnavailable"), count, 1, is_up=False) or 0
    return _partitioned(numbers, "RollingUpdate", surge, missing, count)


def _partitioned(
    numbers: Mapping[str, Any], name: str, surge: int, missing: int, count: int
) -> Strategy:
    """A strategy that leaves the pods below a number as they are."""
    partition = integer(numbers.get("partition"), 0)
    if count and partition >= count:
        return Strategy(name=name, held=f"partition {partition} leaves all of its pods as they are")
    held = "" if count else "it has no pods"
    return Strategy(name=name, surge=surge, unavailable=min(missing, count - partition), held=held)
