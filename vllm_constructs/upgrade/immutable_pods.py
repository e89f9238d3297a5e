"""Immutable fields of pods of their own and of Jobs.

Kubernetes 1.37, pkg/apis/core/validation/validation.go and pkg/apis/batch/validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vllm_constructs.reading.fields import integer, items, mapping

from .changes import Absent, Change, is_same
from .compared import Compared, Refusal

_DELETE_POD = "delete the pod first"
_DELETE_JOB = "give the Job another name, or delete it first"
_TEMPLATE = ("spec", "template")
_JOB_FIELDS = (
    "backoffLimitPerIndex",
    "completionMode",
    "managedBy",
    "podFailurePolicy",
    "selector",
    "successPolicy",
)
# What a suspended Job may change before it starts.
_DIRECTIVES = (
    ("metadata", "annotations"),
    ("metadata", "labels"),
    ("spec", "affinity", "nodeAffinity"),
    ("spec", "nodeSelector"),
    ("spec", "schedulingGates"),
    ("spec", "tolerations"),
)
# The minor release of Kubernetes since which it may change resources as well.
_RESOURCES_SINCE = 36


def pod(one: Compared) -> Iterator[Refusal]:
    """What is refused of the changes of a pod of its own.

    Args:
        one: The pod before and after.
    """
    is_gated = bool(items(mapping(one.before, "spec").get("schedulingGates")))
    for change in one.changed("spec"):
        if _may_pod(one, change, is_gated=is_gated):
            continue
        unless = ""
        if is_gated and change.starts_with("spec", "affinity"):
            unless = "it only narrows the nodes of a pod that has a scheduling gate"
        reason = "only the images of a pod, its deadline and more tolerations can be changed"
        yield Refusal(
            manifest=one.new, change=change, reason=reason, advice=_DELETE_POD, unless=unless
        )


def job(one: Compared) -> Iterator[Refusal]:
    """What is refused of the changes of a Job.

    Args:
        one: The Job before and after.
    """
    for field in _JOB_FIELDS:
        for change in one.changed("spec", field):
            yield _refused_job(one, change, f"spec.{field} of a Job cannot be changed")
    for change in one.changed("spec", "completions"):
        is_indexed = one.both("spec", "completionMode")[1] == "Indexed"
        if not is_indexed or change.new != one.both("spec", "parallelism")[1]:
            reason = "completions of a Job can only be changed with parallelism, if it is Indexed"
            yield _refused_job(one, change, reason)
    for change in one.changed(*_TEMPLATE):
        unless = _suspended(one, change)
        if unless is not None:
            yield _refused_job(one, change, "the pods of a Job cannot be changed", unless)


def _suspended(one: Compared, change: Change) -> str | None:
    """On what it depends that a suspended Job may be changed; None if it may."""
    if one.both("spec", "suspend")[0] is not True or one.status.get("startTime"):
        return ""
    inner = change.path[len(_TEMPLATE) :]
    if inner == ("metadata", "labels") and change.new is Absent:
        # The labels that the selector needs would go as well.
        return ""
    if any(inner[: len(path)] == path for path in _DIRECTIVES) or _is_node_affinity(change):
        return None if one.is_live else "the Job is suspended and has never started"
    release = one.graphs[1].settings.kubernetes
    if not _is_resource(change) or (release and release.minor < _RESOURCES_SINCE):
        return ""
    return None if release else f"the cluster has Kubernetes 1.{_RESOURCES_SINCE} or newer"


def _is_node_affinity(change: Change) -> bool:
    """Whether an affinity is added or removed that is for nodes only."""
    value = change.new if change.old is Absent else change.old
    is_whole = change.path[len(_TEMPLATE) :] == ("spec", "affinity")
    return is_whole and Absent in (change.old, change.new) and set(value) == {"nodeAffinity"}


def _is_resource(change: Change) -> bool:
    path = change.path[len(_TEMPLATE) :]
    return path[:2] in (("spec", "containers"), ("spec", "initContainers")) and path[3:4] == (
        "resources",
    )


def _refused_job(one: Compared, change: Change, reason: str, unless: str = "") -> Refusal:
    return Refusal(
        manifest=one.new, change=change, reason=reason, advice=_DELETE_JOB, unless=unless
    )


def _may_pod(one: Compared, change: Change, *, is_gated: bool) -> bool:
    """Whether a pod may be changed so."""
    path = change.path[1:]
    is_container = path[:1] in (("containers",), ("initContainers",))
    if is_container and path[2:] == ("image",):
        return Absent not in (change.old, change.new)
    if path == ("activeDeadlineSeconds",):
        least = integer(change.new, -1)
        return least >= 0 and (change.old is Absent or least <= integer(change.old, -1))
    if path[:1] == ("tolerations",):
        return _has_all(*map(_without_seconds, one.both("spec", "tolerations")))
    if path[:1] == ("schedulingGates",):
        before, after = one.both("spec", "schedulingGates")
        return _has_all(after, before)
    return is_gated and path[:1] == ("nodeSelector",) and change.old is Absent


def _without_seconds(tolerations: object) -> list[dict[str, Any]]:
    """Tolerations without the time for which they hold, which may change."""
    return [
        {key: value for key, value in mapping(one).items() if key != "tolerationSeconds"}
        for one in items(tolerations)
    ]


def _has_all(few: Any, many: Any) -> bool:
    """Whether a list has all items of another one."""
    return all(any(is_same(one, other) for other in items(many)) for one in items(few))
