"""Report: findings with the files in which they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem
from vllm_constructs.reading.files import Origin
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.positions import Position
from vllm_constructs.reading.spelling import as_fields
from vllm_constructs.rules.rule import Finding


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A finding, and where it is.

    Args:
        finding: The finding.
        origin: Where its object is.
    """

    finding: Finding
    origin: Origin

    @cached_property
    def position(self) -> Position | None:
        """Line and column of the field; None if the file has no positions."""
        return self.origin.position(self.finding.path)

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, in the spelling of manifests."""
        return self.finding.problem.sentence(as_fields)

    @property
    def field(self) -> str:
        """The field, as `kubectl explain` writes it: `spec.containers[0].args`."""
        return field_name(self.finding.path)

    @property
    def place(self) -> str:
        """File, line and column."""
        position = self.position
        return (
            self.origin.file
            if position is None
            else f"{self.origin.file}:{position.line}:{position.column}"
        )

    @property
    def line(self) -> str | None:
        """The line of the file; None if the file has no positions."""
        position, text = self.position, self.origin.text
        if position is None or text is None:
            return None
        lines = text.text.split("\n")
        number = position.line - text.first - 1
        return lines[number].rstrip("\r") if number < len(lines) else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a check has found.

    Args:
        entries: The findings.
        unread: Which files cannot be read, and why.
        objects: How many objects were read.
        secret: Files and lines with secrets in clear text, which are not shown: a report may go on
            into the log of a pipeline. Default: none.
    """

    entries: Sequence[Entry]
    unread: Sequence[Problem]
    objects: int
    secret: frozenset[tuple[str, int]] = frozenset()

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(entry.finding.level == "error" for entry in self.entries)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.entries) - self.errors


def field_name(path: Path) -> str:
    """A path as `kubectl explain` writes it, keys with dots in brackets.

    Args:
        path: Keys and indices.
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "/" in step:
            text += f"[{step!r}]"
        else:
            text += f".{step}" if text else step
    return text


def pointer(path: Path) -> str:
    """A path as a JSON pointer (RFC 6901).

    Args:
        path: Keys and indices.
    """
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
