"""Fields of objects that a kind does not have, or not with that type or value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.edits import Removed
from vllm_constructs.reading.manifest import Path

from .kind_tables import NEVER, Field, Types, short
from .quantities import wrong_quantity
from .rule import Edit, Fix, Level, put

MAINTAINED = 34
"""The oldest release that was maintained in 2026, which counts for clusters that are not known."""
_ALLOWED = {
    "[": "a list",
    "{": "fields with their values",
    "boolean": "true or false",
    "int-or-string": "a number or a string",
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
}
# Values of these are not shown: they may be credentials.
_HIDDEN = ("data", "env", "stringData")


class Fault(NamedTuple):
    """A field that is wrong: path, why, how bad, how it is mended, and whether it is missing."""

    path: Path
    problem: Problem
    level: Level | None = None
    fix: Fix | None = None
    is_missing: bool = False


class Walk:
    """A walk through an object, with what is wrong in it.

    Attributes:
        faults: What is wrong so far.
    """

    def __init__(self, types: Types, owner: str = "", target: int | None = None) -> None:
        """Begin a walk.

        Args:
            types: The types.
            owner: The project and release that a custom kind is of. Default: Kubernetes.
            target: The minor release of the cluster. Default: not known.
        """
        self._types = types
        self._owner = owner
        self._target = target
        self.faults: list[Fault] = []

    def fields(self, name: str, value: Mapping[Any, Any], path: Path = ()) -> None:
        """Look at the fields of a value.

        Args:
            name: Name of its type.
            value: The value.
            path: The fields that lead to it. Default: none.
        """
        found = self._types.get(name)
        if found is None:
            return
        fields, required = found
        for key, item in value.items():
            if item is None:
                continue
            field = fields.get(key)
            if field is not None:
                if not self._is_newer(field, (*path, key)):
                    self._value(field, item, (*path, key))
            # Directives of patches begin with a dollar.
            elif not (isinstance(key, str) and key.startswith("$")):
                self._unknown(name, key, item, path, fields)
        for key in required:
            if value.get(key) is None:
                text = f"is missing, and Kubernetes 1.{self._types.release} requires it"
                problem = Problem(where=where((*path, key)), text=text, advice="give it")
                self.faults.append(Fault((*path, key), problem, is_missing=True))

    def _value(self, field: Field, value: object, path: Path) -> None:
        if field.shape == "[":
            if not isinstance(value, list):
                self._wrong_type("[", value, path)
                return
            for at, item in enumerate(value):
                if item is not None:
                    self._one(field, item, (*path, at))
        elif field.shape == "{":
            if not isinstance(value, dict):
                self._wrong_type("{", value, path)
                return
            for key, item in value.items():
                if item is not None:
                    self._one(field, item, (*path, key))
        else:
            self._one(field, value, path)

    def _one(self, field: Field, value: object, path: Path) -> None:
        kind = field.kind
        if kind == "string":
            # A date is a string for Kubernetes, whose parser has no dates.
            if not isinstance(value, (str, date)):
                self._wrong_type(kind, value, path)
            elif field.values and value not in field.values:
                self._wrong_value(field.values, str(value), path)
        elif kind == "quantity":
            problem, right = wrong_quantity(where(path), value, str(path[-1]))
            if problem is not None:
                fix = put(path, right) if right else None
                self.faults.append(Fault(path, problem, fix=fix))
        elif kind in _ALLOWED:
            if not _is_of(kind, value):
                self._wrong_type(kind, value, path)
        elif kind != "any" and self._types.get(kind) is not None:
            if isinstance(value, dict):
                self.fields(kind, value, path)
            else:
                self._wrong_type("{", value, path)

    def _unknown(
        self, name: str, key: object, value: object, path: Path, fields: Mapping[str, Field]
    ) -> None:
        place = (*path, str(key))
        near = require.nearest(key, fields)
        known = self._owner or f"Kubernetes 1.{self._types.release}"
        text = f"is no field of {short(name)} in {known}, and the API server rejects or drops it"
        # Releases of custom kinds differ, and nothing says which one the cluster has.
        level: Level | None = "warning" if self._owner and not near else None
        advice = near or ("leave it out" if not self._owner else f"see whether {known} has it")
        problem = Problem(where=where(place), text=escaped(text), advice=advice)
        self.faults.append(Fault(place, problem, level, _renamed(path, key, value, fields)))

    def _is_newer(self, field: Field, path: Path) -> bool:
        """Whether the cluster may not have a field, or does not keep it by default."""
        target = MAINTAINED if self._target is None else self._target
        if max(field.first, field.gate) <= target:
            return False
        is_dropped = field.first <= target
        if field.gate == NEVER:
            gate = "is behind a feature gate that is off by default, up to Kubernetes 1.37"
            text = f"{gate}, so that the API server drops it"
        elif is_dropped:
            gate = (
                f"is behind a feature gate that is off by default before Kubernetes 1.{field.gate}"
            )
            text = f"{gate}, so that the API server drops it there"
        else:
            text = f"is new in Kubernetes 1.{field.first}, and older releases reject or drop it"
        if self._target is not None:
            text, advice = f"{text}: the target is 1.{self._target}", "leave it out"
        else:
            text = f"{text}; the release of the cluster is not known"
            advice = "leave it out, or give the release"
        # A cluster may have turned the gate on.
        level: Level | None = None if self._target is not None and not is_dropped else "warning"
        self.faults.append(Fault(path, Problem(where=where(path), text=text, advice=advice), level))
        return True

    def _wrong_type(self, kind: str, value: object, path: Path) -> None:
        if isinstance(value, str) and kind != "string" and is_open(value):
            return
        right = _converted(kind, value)
        advice = ""
        if right is not None:
            advice = "write it in quotes" if kind == "string" else f"write {right} without quotes"
        is_hidden = bool(set(path) & set(_HIDDEN))
        shown = "(not shown)" if is_hidden else escaped(_shown(value))
        problem = Problem(
            where=where(path), text=f"is {shown}", allowed=_ALLOWED[kind], advice=advice
        )
        is_safe = not isinstance(value, float)
        fix = None if right is None else put(path, right, is_safe=is_safe)
        self.faults.append(Fault(path, problem, fix=fix))

    def _wrong_value(self, allowed: Sequence[str], value: str, path: Path) -> None:
        if is_open(value):
            return
        right = next((one for one in allowed if one.lower() == value.lower()), None)
        problem = Problem(
            where=where(path),
            text=f"is {escaped(require.shown(value))}",
            allowed=escaped(require.one_of([one for one in allowed if one])),
            advice=f"write {right!r}" if right else "",
        )
        fix = None if right is None else put(path, right, is_safe=True)
        self.faults.append(Fault(path, problem, fix=fix))


def is_open(text: str) -> bool:
    """Whether a text has a variable that somebody fills in later, or stands for a value.

    Args:
        text: The text.
    """
    return "$" in text or "{{" in text or text.startswith("<")


def where(path: Path) -> str:
    """The last fields of a path, as sentences name them: `livenessProbe.httpGet`.

    Args:
        path: The fields that lead to it.
    """
    parts: list[str] = []
    for step in path:
        if not isinstance(step, int) and not (parts and "." in step):
            parts.append(step)
        elif parts:
            parts[-1] += f"[{step!r}]"
    return ".".join(parts[-2:])


def _is_of(kind: str, value: object) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if kind == "number":
        return isinstance(value, (int, float))
    return isinstance(value, (int, str))


def _converted(kind: str, value: object) -> Any:
    """A value of another type as the right one; None if that is not certain."""
    if kind == "string" and isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, str):
        if kind == "integer" and value.isdecimal() and value.isascii():
            return int(value)
        if kind == "boolean" and value in ("true", "false"):
            return value == "true"
    return None


def _shown(value: object) -> str:
    """A value of another type, as it stands in the manifest."""
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, dict):
        return "a map"
    return "a list" if isinstance(value, list) else require.shown(value)


def _renamed(path: Path, key: object, value: object, fields: Mapping[str, Field]) -> Fix | None:
    """A field whose letters are right, but not their case."""
    plain = str(key).replace("_", "").replace("-", "").lower()
    right = next((one for one in fields if one.lower() == plain), None)
    if right is None:
        return None
    edits = (Edit(path=(*path, str(key)), value=Removed), Edit(path=(*path, right), value=value))
    return Fix(edits=edits, is_safe=False)
