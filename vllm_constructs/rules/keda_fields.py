"""Rule of the fields of scalers: S06."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.reading.fields import integer, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.scalers import Scaler, Trigger, scalers
from vllm_constructs.reading.subjects import PLACEHOLDER, Subjects

from .rule import Found, Level, put, remove, rule
from .waking import sleeps

_MOST = 100
"""The maximum of a ScaledObject that gives none."""
# Keys that KEDA 2.12 removed, with what does the same.
_REMOVED = {
    "metricName": "leave it out",
    "cortexOrgID": "give customHeaders with X-Scope-OrgID",
}
_REQUIRED = {
    "cron": ("timezone", "start", "end", "desiredReplicas"),
    "prometheus": ("serverAddress", "query", "threshold"),
}
_NOT_CACHED = ("cpu", "cron", "memory")
_COUNT = re.compile(r"-?\d{1,9}", re.ASCII)
_LARGEST = 1e12
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@rule("S06", "error", "a field that KEDA or the HPA refuses, ignores or fills in")
def fields(graph: Graph) -> Iterator[Found]:
    """The scaler is refused, or scales to other numbers than its author thinks."""
    subjects = Subjects(graph)
    for scaler in scalers(graph):
        if scaler.is_keda:
            yield from _left_out(scaler, subjects)
            for check in (_replicas, _names, _triggers, _formula):
                yield from check(scaler)
            for one in scaler.triggers:
                yield from _metadata(scaler, one)
                if one.kind == "cron":
                    yield from _cron(scaler, one)
                elif one.kind == "prometheus":
                    yield from _threshold(scaler, one)
        elif scaler.manifest.kind == "HorizontalPodAutoscaler":
            yield from _hpa(scaler)


def _found(
    manifest: Manifest, path: Path, text: str, advice: str, level: Level | None = None
) -> Found:
    where = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    problem = Problem(where=where, text=text, advice=advice)
    return Found(manifest=manifest, path=path, problem=problem, level=level)


def _hpa(scaler: Scaler) -> Iterator[Found]:
    low, high = scaler.low, scaler.high
    if high is not None and high < 1:
        path: Path = ("spec", "maxReplicas")
        yield _found(scaler.manifest, path, f"is {high}", "give 1 or more")
    elif low is not None and high is not None and low > high:
        path = ("spec", "minReplicas")
        text = f"is {low}, above maxReplicas ({high})"
        yield _found(scaler.manifest, path, text, "swap them, or raise maxReplicas")


def _replicas(scaler: Scaler) -> Iterator[Found]:
    """The order of idle, minimum and maximum."""
    manifest, low, high = scaler.manifest, scaler.low, scaler.high
    top = _MOST if high is None else high
    if high is not None and high < 1:
        yield _found(manifest, ("spec", "maxReplicaCount"), f"is {high}", "give 1 or more")
    elif low is not None and low > top:
        default = "" if high is not None else ", the default"
        text = f"is {low}, above maxReplicaCount ({top}{default})"
        advice = "swap them, or raise maxReplicaCount"
        yield _found(manifest, ("spec", "minReplicaCount"), text, advice)
    idle = manifest.spec.get("idleReplicaCount")
    path: Path = ("spec", "idleReplicaCount")
    if not isinstance(idle, int) or isinstance(idle, bool):
        return
    # KEDA takes an explicit minimum of 0 for 1 here.
    least = 0 if low is None else max(low, 1)
    if idle >= least:
        what = "which is 0 by default" if low is None else f"({low})"
        text = f"is {idle}, and has to be below minReplicaCount {what}"
        yield _found(manifest, path, text, "give 0, and a minReplicaCount of 1 or more")
    elif idle > 0:
        text = f"is {idle}, and KEDA is made for 0 only: the HPA never goes below its minimum"
        yield _found(manifest, path, text, "give 0, or leave it out", "warning")


def _left_out(scaler: Scaler, subjects: Subjects) -> Iterator[Found]:
    """Limits whose defaults are 0 and 100 pods with GPUs."""
    if not scaler.concerns_engines:
        return
    spec = scaler.manifest.spec
    path: Path = ("spec", "minReplicaCount")
    # That nothing wakes it is the worse mistake.
    if "minReplicaCount" not in spec and not sleeps(scaler, subjects):
        text = "is left out, which means 0: KEDA removes all pods when no trigger is active"
        problem = Problem(
            where="minReplicaCount", text=text, advice="give 1, or 0 if that is meant"
        )
        yield Found(manifest=scaler.manifest, path=path, problem=problem, fix=put(path, 1))
    if "maxReplicaCount" not in spec:
        path = ("spec", "maxReplicaCount")
        text = f"is left out, which means {_MOST} pods"
        yield _found(scaler.manifest, path, text, "give the pods that there are GPUs for")


def _names(scaler: Scaler) -> Iterator[Found]:
    """Names that are too long, missing, or there twice."""
    from vllm_constructs.scaling.keda import name_problem

    manifest = scaler.manifest
    config = mapping(manifest.spec, "advanced", "horizontalPodAutoscalerConfig")
    problem = None if config.get("name") else name_problem("metadata.name", manifest.name)
    if problem is not None and not PLACEHOLDER.search(manifest.name):
        yield Found(manifest=manifest, path=("metadata", "name"), problem=problem)
    if not mapping(manifest.spec.get("scaleTargetRef")).get("name"):
        path: Path = ("spec", "scaleTargetRef", "name")
        yield _found(manifest, path, "is missing", "give the name of the workload")
    given = Counter(one.name for one in scaler.triggers if one.name)
    seen = set()
    for one in scaler.triggers:
        if given[one.name] > 1 and one.name in seen:
            text = f"is {escaped(require.shown(one.name))}, as that of another trigger"
            yield _found(manifest, one.name_path, text, "give each trigger a name of its own")
        seen.add(one.name)


def _triggers(scaler: Scaler) -> Iterator[Found]:
    """Triggers that are not there, and what they cannot have."""
    manifest = scaler.manifest
    given = manifest.spec.get("triggers")
    if given is None or given == []:
        text = "is missing" if given is None else "is empty"
        yield _found(manifest, ("spec", "triggers"), text, "give at least one trigger")
    for one in scaler.triggers:
        path = (*one.path, "useCachedMetrics")
        if one.kind in _NOT_CACHED and manifest.at(*path) is True:
            text = f"is true, which KEDA refuses for a {one.kind} trigger"
            yield _found(manifest, path, text, "leave it out")


def _formula(scaler: Scaler) -> Iterator[Found]:
    """Of a formula, what belongs to it."""
    given = scaler.formula
    for name, other in (("formula", "target"), ("target", "formula")):
        if given.get(name) and not given.get(other):
            path = ("spec", "advanced", "scalingModifiers", other)
            yield _found(scaler.manifest, path, "is missing", f"KEDA refuses a {name} without it")


def _metadata(scaler: Scaler, one: Trigger) -> Iterator[Found]:
    """Values that are no strings, keys that are gone, and keys that are missing."""
    manifest = scaler.manifest
    for key, value in one.metadata.items():
        path = (*one.metadata_path, key)
        if value is not None and not isinstance(value, str):
            text = f"is {escaped(require.shown(value))}, and metadata has strings only"
            right = _as_text(value)
            advice = f"write {escaped(require.shown(right))}" if right else "write a string"
            problem = Problem(where=str(key), text=text, advice=advice)
            fix = put(path, right, is_safe=True) if right else None
            yield Found(manifest=manifest, path=path, problem=problem, fix=fix)
        if key in _REMOVED and one.kind == "prometheus":
            text = "is ignored since KEDA 2.12, which names the metric itself"
            text = text if key == "metricName" else "is ignored since KEDA 2.12"
            problem = Problem(where=str(key), text=text, advice=_REMOVED[key])
            fix = remove(path, is_safe=True) if key == "metricName" else None
            yield Found(manifest=manifest, path=path, problem=problem, fix=fix)
    for key in _REQUIRED.get(one.kind, ()):
        is_optional = key == "threshold" and scaler.formula
        if one.metadata.get(key) in (None, "") and not is_optional:
            path = (*one.metadata_path, key)
            yield _found(manifest, path, "is missing", f"a {one.kind} trigger needs it")


def _as_text(value: object) -> str:
    """A number or Boolean as KEDA reads it; empty for others."""
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"{value:g}" if isinstance(value, float) else str(value) if isinstance(value, int) else ""
    )


def _threshold(scaler: Scaler, one: Trigger) -> Iterator[Found]:
    """Thresholds that are no numbers."""
    for key in ("threshold", "activationThreshold"):
        value = one.metadata.get(key)
        # What ends in percent is a number in another unit.
        if not isinstance(value, str) or not value or PLACEHOLDER.search(value) or "%" in value:
            continue
        path = (*one.metadata_path, key)
        shown = escaped(require.shown(value))
        if not _NUMBER.fullmatch(value.strip()):
            yield _found(scaler.manifest, path, f"is {shown}, which is no number", "give a number")
        elif key == "threshold" and float(value) <= 0:
            yield _found(scaler.manifest, path, f"is {shown}", "give a number above 0")


def _cron(scaler: Scaler, one: Trigger) -> Iterator[Found]:
    """Times that KEDA cannot read, and replicas that it refuses or never reaches."""
    from vllm_constructs.scaling.cron import check_cron, check_zone
    from vllm_constructs.scaling.keda import floor_problem

    manifest, path = scaler.manifest, one.metadata_path
    checks: tuple[tuple[str, Callable[[str, object], Any]], ...] = (
        ("timezone", check_zone),
        ("start", check_cron),
        ("end", check_cron),
    )
    for key, check in checks:
        value = one.metadata.get(key)
        if isinstance(value, str) and value and not PLACEHOLDER.search(value):
            try:
                check(key, " ".join(value.split()))
            except VllmConstructsError as error:
                yield Found(manifest=manifest, path=(*path, key), problem=error.problem)
    start, end = (one.metadata.get(key) for key in ("start", "end"))
    if start == end and isinstance(start, str) and start and not PLACEHOLDER.search(start):
        text = f"and end are both {escaped(require.shown(start))}, and KEDA needs two times"
        yield _found(manifest, (*path, "start"), text, "change one of them")
    wanted = one.metadata.get("desiredReplicas")
    place = (*path, "desiredReplicas")
    if isinstance(wanted, str) and _COUNT.fullmatch(wanted.strip()):
        count = int(wanted)
        top = integer(manifest.spec.get("maxReplicaCount"), _MOST)
        if count < 1:
            text = f"is {count}, which KEDA refuses: a cron trigger is a minimum for its time"
            advice = "give 1 or more, and a lower minReplicaCount for the other times"
            yield _found(manifest, place, text, advice)
        limit, advice = "maxReplicaCount", "lower it, or raise maxReplicaCount"
        problem = floor_problem("desiredReplicas", count, limit, top, advice)
        if count >= 1 and top >= 1 and problem is not None:
            yield Found(manifest=manifest, path=place, problem=problem, level="warning")
