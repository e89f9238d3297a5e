"""Every small change of a sample: each field another, left out, or added."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .kinds import ADDED, SAMPLES, Path
from .nodes import Manifest

# Another value of fields that take only some.
OTHERS: dict[object, object] = {
    "Always": "OnFailure",
    "ClientIP": "None",
    "DoNotSchedule": "ScheduleAnyway",
    "FailJob": "Ignore",
    "IPv4": "IPv6",
    "In": "NotIn",
    "Never": "OnFailure",
    "NotTerminating": "Terminating",
    "Parallel": "OrderedReady",
    "Prefix": "Exact",
    "ReadWriteMany": "ReadOnlyMany",
    "ReadWriteOnce": "ReadWriteMany",
    "ScheduleAnyway": "DoNotSchedule",
    "http": "metrics",
    "100Gi": "200Gi",
    "16Gi": "32Gi",
    "32Gi": "16Gi",
    "500m": "600m",
    "64Gi": "128Gi",
    "1500m": "2",
    "YQ==": "Yg==",
    "AAAA": "AAAB",
    "10.1.2.3": "10.1.2.4",
    "10.0.0.0/8": "10.0.0.0/16",
    "NoSchedule": "NoExecute",
    "0 3 * * *": "0 4 * * *",
    "llm.example.com": "other.example.com",
}


@dataclass(frozen=True)
class Variant:
    """A small change of a sample.

    Attributes:
        what: What is changed.
        manifest: The sample with it.
    """

    what: str
    manifest: Manifest


def variants(title: str) -> list[Variant]:
    """All small changes of a sample: nothing, and each field another, left out, or added."""
    sample = SAMPLES[title]
    found = [Variant("nothing", deepcopy(sample))]
    for path in paths(sample):
        where = ".".join(map(str, path))
        value = at(sample, path)
        found.append(Variant(f"without {where}", without(sample, path)))
        if isinstance(value, list) and len(value) > 1:
            found.append(Variant(f"reversed {where}", put(sample, path, value[::-1])))
        if not isinstance(value, (dict, list)):
            found.append(Variant(f"other {where}", put(sample, path, other(value))))
    for path, value in ADDED.get(title, ()):
        found.append(Variant(f"{'.'.join(map(str, path))}={value}", put(sample, path, value)))
    return found


def paths(value: Any, before: Path = ()) -> Iterator[Path]:
    """The paths of all fields of a sample but its identity."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        path = (*before, key)
        if path not in (("apiVersion",), ("kind",), ("metadata",), ("metadata", "name")):
            yield path
        yield from paths(item, path)


def other(value: object) -> object:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return OTHERS.get(value, f"{value}2")


def at(value: Any, path: Path) -> Any:
    """What stands at a path."""
    for step in path:
        value = value[step]
    return value


def put(manifest: Manifest, path: Path, value: Any) -> Manifest:
    """A copy with another value at a path."""
    found = deepcopy(manifest)
    *steps, last = path
    place: Any = found
    for i, step in enumerate(steps):
        if isinstance(place, dict) and step not in place:
            place[step] = [] if isinstance(path[i + 1], int) else {}
        place = place[step]
    if isinstance(place, list) and last == len(place):
        place.append(deepcopy(value))
    else:
        place[last] = deepcopy(value)
    return found


def without(manifest: Manifest, path: Path) -> Manifest:
    """A copy without the field at a path."""
    found = deepcopy(manifest)
    *steps, last = path
    place: Any = at(found, tuple(steps))
    del place[last]
    return found
