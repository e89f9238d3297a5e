"""Text: a report for people, object by object, with the lines that are wrong."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby

from .report import Entry, Report, counted

_CODES = {"error": "1;31", "warning": "1;33", "title": "1", "frame": "34", "place": "36"}
# Of a longer line, the part around the field is shown.
_WIDEST = 120


def text(report: Report, *, colour: bool = False) -> str:
    """A report as text.

    Args:
        report: The report.
        colour: Whether it has the escapes of a terminal. Default: False.
    """
    paint = _Paint(colour=colour)
    blocks = []
    for _, entries in groupby(report.entries, key=lambda one: one.finding.manifest.number):
        of_object = list(entries)
        title = of_object[0].finding.manifest.title
        blocks.append(
            "\n".join(
                [paint("title", title), *(_entry(one, paint, report.secret) for one in of_object)]
            )
        )
    blocks += [f"{paint('error', 'unread')}: {one.sentence()}" for one in report.unread]
    return "\n\n".join([*blocks, summary(report)])


def summary(report: Report) -> str:
    """The last line: how much was found, and where more about it is."""
    objects = counted(report.objects, "object")
    if not report.objects:
        return "No Kubernetes object found, so nothing was checked."
    if not report.entries:
        return f"No mistake found in {objects}."
    found = [counted(report.errors, "error")] if report.errors else []
    found += [counted(report.warnings, "warning")] if report.warnings else []
    ids = sorted({entry.finding.rule.id for entry in report.entries})
    more = f"vllm-constructs explain {ids[0]} tells more about {ids[0]}."
    safe = sum(_is_safe(entry) for entry in report.entries)
    fixable = f" --fix mends {safe} of them." if safe else ""
    return f"Found {' and '.join(found)} in {objects}.{fixable} {more}"


class _Paint:
    """Colours for a terminal, or none."""

    def __init__(self, *, colour: bool) -> None:
        self.colour = colour

    def __call__(self, name: str, words: str) -> str:
        return f"\x1b[{_CODES[name]}m{words}\x1b[0m" if self.colour else words


def _is_safe(entry: Entry) -> bool:
    return entry.finding.fix is not None and entry.finding.fix.is_safe


def _entry(entry: Entry, paint: _Paint, secret: Collection[tuple[str, int]]) -> str:
    finding = entry.finding
    head = paint(finding.level, f"{finding.level} {finding.rule.id}")
    lines = [f"  {paint('place', entry.place)}: {head}: {entry.sentence}"]
    position, line = entry.position, entry.line
    if position is not None and line is not None:
        number = str(position.line)
        pad = " " * len(number)
        column = position.column - 1
        shown, at = _part(line, column)
        width = position.end_column - position.column if position.end_line == position.line else 1
        marks = "^" * max(1, min(width, len(shown) - at))
        bar = paint("frame", "|")
        if (entry.origin.file, position.line) in secret:
            return "\n".join([*lines, f"  {number} {bar} {entry.field} (not shown)"])
        lines += [
            f"  {pad} {bar}",
            f"  {paint('frame', number)} {bar} {shown}",
            f"  {pad} {bar} {' ' * at}{paint(finding.level, marks)} {entry.field}",
        ]
    return "\n".join(lines)


def _part(line: str, column: int) -> tuple[str, int]:
    """The part of a line around a column, and the column in it."""
    # A tab is as wide as a blank in the line of marks.
    line = "".join(one if one.isprintable() else " " for one in line)
    if len(line) <= _WIDEST:
        return line, column
    first = max(0, min(column - 20, len(line) - _WIDEST))
    return line[first : first + _WIDEST], column - first
