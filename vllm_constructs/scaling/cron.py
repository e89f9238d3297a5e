"""Cron expressions and time zones, as KEDA's cron scaler parses them.

Grammar: robfig/cron's standard parser, five fields.
"""

from __future__ import annotations

import re

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

_EXPRESSION = re.compile(r"\S+( \S+){4}")
_PART = re.compile(r"(?:([*?])|(\w{1,9})(?:-(\w{1,9}))?)(?:/([1-9][0-9]?))?", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Name, lowest and highest number, and the names of the numbers from the lowest on.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def check_cron(where: str, value: object) -> str:
    """A cron expression of five fields, each with the numbers and names that it allows."""
    allowed = "a cron expression of five fields, such as '0 9 * * *'"
    expression = require.matching(where, value, _EXPRESSION, allowed)
    for text, field in zip(expression.split(" "), _FIELDS, strict=True):
        for part in text.split(","):
            reason = _reason(part, *field)
            if reason:
                shown, wrong = require.shown(value), require.shown(part)
                refuse(
                    Problem(
                        where=where,
                        text=escaped(f"is {shown}, whose {field[0]} {wrong} {reason}"),
                        value=shown,
                        advice="write it as in '0 9 * * 1-5'",
                    )
                )
    return expression


def _reason(part: str, name: str, low: int, high: int, names: tuple[str, ...]) -> str:
    """Why one part of a field is invalid, or an empty string where it is valid."""
    match = _PART.fullmatch(part)
    words = [word for word in (match[2], match[3]) if word] if match else []
    ends = [_number(word, low, names) for word in words]
    if match is None or any(end is None or not low <= end <= high for end in ends):
        named = f" or a {name} such as {names[1]}" if names else ""
        return f"is not a number from {low} to {high}{named}"
    numbers = [end for end in ends if end is not None]
    if numbers != sorted(numbers):
        return "is a range that ends before it begins"
    return ""


def _number(word: str, low: int, names: tuple[str, ...]) -> int | None:
    if word.isdecimal():
        return int(word)
    return names.index(word.lower()) + low if word.lower() in names else None


def check_zone(where: str, value: object) -> str:
    """The name of a time zone; any name is accepted where no time zone data is installed."""
    allowed = "an IANA time zone such as 'Asia/Shanghai'"
    name = require.matching(where, value, _ZONE, allowed)
    if not _zone_exists(name):
        require.wrong(where, value, allowed)
    return name


def _zone_exists(name: str) -> bool:
    from zoneinfo import ZoneInfo

    for zone in (name, "Etc/UTC"):
        try:
            ZoneInfo(zone)
        except (LookupError, OSError, ValueError):
            continue
        return zone == name
    return True
