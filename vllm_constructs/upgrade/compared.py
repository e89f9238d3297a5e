"""Compared: an object before and after as the API server stores it, and what differs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from vllm_constructs.dataclass import dataclass
from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

from .applied import applied, with_families
from .changes import Absent, Change, Steps, changes, names_of
from .live import is_live, owned_part, without_additions
from .objects import group_kind
from .stored import encoded, stored, written


class Compared:
    """An object before and after.

    Attributes:
        old: The object before.
        new: The manifest after.
        graphs: All objects before, and all after.
        kind: Its group and kind.
    """

    def __init__(self, old: Manifest, new: Manifest, graphs: tuple[Graph, Graph]) -> None:
        """Keep both.

        Args:
            old: The object before.
            new: The manifest after.
            graphs: All objects before, and all after.
        """
        self.old = old
        self.new = new
        self.graphs = graphs
        self.kind = group_kind(new)

    @cached_property
    def is_live(self) -> bool:
        """Whether the object before was read from a cluster."""
        return is_live(self.old)

    @property
    def sides(self) -> tuple[Manifest, Manifest]:
        """The object before, and after."""
        return self.old, self.new

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What the object before has of its manifests."""
        return without_additions(self.old, self.new)

    @cached_property
    def before(self) -> dict[str, Any]:
        """What the cluster has, as far as an apply may change it."""
        return stored(self.kept)

    @cached_property
    def after(self) -> dict[str, Any]:
        """What the cluster has after an apply."""
        owned = owned_part(self.old, self.kept)
        found: dict[str, Any] = applied(self.before, owned, written(self.new.body))
        if self.kind == ("", "Service"):
            found = with_families(self.before, found)
        return stored(found)

    @cached_property
    def stays(self) -> list[Steps]:
        """The fields that stay as they are, though the manifest leaves them out from now on."""
        if self.old.body == self.new.body:
            return []
        last = encoded(self.kept)
        return [
            one.path
            for one in changes(stored(self.new.body), self.after)
            if one.old is Absent and _is_in(last, one.path)
        ]

    @cached_property
    def changes(self) -> list[Change]:
        """What differs."""
        if self.old.body == self.new.body:
            return []
        return changes(self.before, self.after)

    @property
    def status(self) -> dict[str, Any]:
        """The `status` of an object of a cluster; empty for one of a file."""
        return mapping(self.old.body.get("status")) if self.is_live else {}

    def both(self, *path: str) -> tuple[Any, Any]:
        """What stands at a path before and after; `Absent` where nothing does.

        Args:
            *path: Keys that lead to it.
        """
        return _at(self.before, path), _at(self.after, path)

    def sets(self, *path: str) -> bool:
        """Whether an apply sets a field: it has it now, or had it before.

        Args:
            *path: Keys that lead to it.
        """
        return any(_at(body, path) is not Absent for body in (self.new.body, self.kept))

    def changed(self, *path: str) -> list[Change]:
        """What differs at a path and below it.

        Args:
            *path: Keys that lead to it.
        """
        return [one for one in self.changes if one.starts_with(*path) or _has(one, path)]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A change of an object that is refused, and the object with it.

    Args:
        manifest: The object after.
        change: The change.
        reason: Why it is refused.
        advice: What to do.
        unless: What the manifests do not tell, and makes it accepted. Default: nothing does.
        by: Who refuses it. Default: the API server itself.
    """

    manifest: Manifest
    change: Change
    reason: str
    advice: str
    unless: str = ""
    by: str = "API server"

    @property
    def is_certain(self) -> bool:
        """Whether the manifests tell that it is refused."""
        return not self.unless


def _is_in(value: Any, path: Steps) -> bool:
    """Whether a field is in a manifest, by what leads to it."""
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
            continue
        names = names_of(value) if isinstance(value, list) else None
        if names is None or step[1:-1] not in names[0]:
            return False
        value = value[names[0].index(step[1:-1])]
    return True


def _has(change: Change, path: tuple[str, ...]) -> bool:
    """Whether a field that is added or removed has another one in it."""
    if path[: len(change.path)] != change.path or Absent not in (change.old, change.new):
        return False
    value = change.new if change.old is Absent else change.old
    return _at({"": value}, ("", *path[len(change.path) :])) is not Absent


def _at(body: dict[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = body
    for step in path:
        if not isinstance(found, dict) or step not in found:
            return Absent
        found = found[step]
    return found
