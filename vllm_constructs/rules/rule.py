"""Rule and Finding: a known mistake, and where manifests have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem
from vllm_constructs.reading.edits import Removed
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path

Level: TypeAlias = Literal["error", "warning"]
LEVELS: tuple[Level, ...] = ("error", "warning")
"""The levels, the worst one first. An error breaks, or loses requests; a warning works for now."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change of one field.

    Args:
        path: The fields that lead to it.
        value: Its new value; `Removed` removes it.
    """

    path: Path
    value: Any


@dataclass(frozen=True, kw_only=True)
class Fix:
    """How an object is mended.

    Args:
        edits: The changes, in their order.
        is_safe: Whether they follow from the manifest alone and change nothing that works. Others
            are shown, not applied.
    """

    edits: tuple[Edit, ...]
    is_safe: bool


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a rule has found.

    Args:
        manifest: The object.
        path: The fields that lead to what is wrong; to where a missing field belongs.
        problem: What is wrong.
        level: Its level, if it is not that of the rule. Default: the rule's.
        fix: How the object is mended. Default: nothing that follows from the manifests.
    """

    manifest: Manifest
    path: Path
    problem: Problem
    level: Level | None = None
    fix: Fix | None = None


Check: TypeAlias = Callable[[Graph], Iterator[Found]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A known mistake.

    Args:
        id: Its id, such as `P01`.
        level: Its level.
        title: The mistake in a few words.
        check: Returns what it finds in a graph.
    """

    id: str
    level: Level
    title: str
    check: Check


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A mistake in an object.

    Args:
        rule: The rule.
        level: Its level here.
        manifest: The object.
        path: The fields that lead to what is wrong.
        problem: What is wrong.
        fix: How the object is mended; None if that does not follow from the manifests.
    """

    rule: Rule
    level: Level
    manifest: Manifest
    path: Path
    problem: Problem
    fix: Fix | None = None


def rule(id: str, level: Level, title: str) -> Callable[[Check], Rule]:
    """Make a rule of its check.

    Args:
        id: Its id, such as `P01`.
        level: Its level.
        title: The mistake in a few words.
    """

    def make(check: Check) -> Rule:
        return Rule(id=id, level=level, title=title, check=check)

    return make


def put(path: Path, value: object, *, is_safe: bool = False) -> Fix:
    """A fix that sets one field.

    Args:
        path: The fields that lead to it.
        value: Its new value.
        is_safe: Whether it follows from the manifest alone. Default: False, so that it is shown.
    """
    return Fix(edits=(Edit(path=path, value=value),), is_safe=is_safe)


def remove(path: Path, *, is_safe: bool = False) -> Fix:
    """A fix that removes one field.

    Args:
        path: The fields that lead to it.
        is_safe: Whether it follows from the manifest alone. Default: False, so that it is shown.
    """
    return put(path, Removed, is_safe=is_safe)
