"""The wording of changes: each on one line, short, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from vllm_constructs import require

from .changes import WIDEST, Absent, Change, Order, Steps, Words

_SECRET_NAME = re.compile(
    r"(?i)(token|secret|password|passwd|passphrase|credentials?|_key|apikey|[-_.]pass)$|secret_key"
)
_SECRET_FIELD = re.compile(r"(?i)^(password|token|apiKey|secretKey|accessKey|privateKey)$")
_SECRET_FLAG = re.compile(r"(?i)^--?[\w-]*(api[-_]key|token|secret|password|passwd)$")
_HIDDEN = " changes (not shown)"
# In the text of a script.
_SECRET_WORD = re.compile(
    r"(?i)([\w-]*(?:api[-_]?key|token|secret|password|passwd)\b['\"]?\s*[=:]\s*"
    r"|--[\w-]*(?:api[-_]key|token|secret|password|passwd)\s+)(?!\$)\S+"
)


def sentence(change: Change, *, is_secret: bool = False) -> str:
    """The change on one line, without secrets.

    Args:
        change: The change.
        is_secret: Whether all values are secrets. Default: those that look like it.
    """
    secret = is_secret or _is_secret(change.path)
    if Absent in (change.old, change.new):
        value, how = change.old, "removed"
        if change.old is Absent:
            value, how = change.new, "added"
        shown = _shown(value, secret=secret)
        if isinstance(value, Words):
            return f"{change.field}: {shown} {'is' if len(value) == 1 else 'are'} {how}"
        return f"{change.field} is {how}: {shown}"
    if secret:
        return f"{change.field}{_HIDDEN}"
    if isinstance(change.old, Order):
        return f"{change.field} has another order"
    if isinstance(change.old, str) and isinstance(change.new, str):
        return f"{change.field}{_contrast(change.old, change.new)}"
    return f"{change.field}: {_shown(change.old)} -> {_shown(change.new)}"


def _is_secret(path: Steps) -> bool:
    """Whether the value at a path is a variable's or field's that is named like a secret."""
    if path[-1:] == ("value",) and path[-3:-2] == ("env",):
        return bool(_SECRET_NAME.search(path[-2][1:-1]))
    return bool(path) and path[-1] != "key" and bool(_SECRET_FIELD.search(path[-1]))


def _shown(value: object, *, secret: bool = False) -> str:
    """A value on one line, without secrets."""
    if secret:
        return "(not shown)"
    if isinstance(value, Words):
        return " ".join(_words_shown(value))
    if isinstance(value, (dict, list)):
        return require.shown(_masked(value))
    if isinstance(value, str):
        value = _SECRET_WORD.sub(r"\1(not shown)", value)
    return require.shown(value)


def _words_shown(words: Words) -> Iterator[str]:
    """Words of a command line, without those that are secrets."""
    hides_next = False
    for word in words:
        text = _shown(word)
        flag, is_given, _ = word.partition("=") if isinstance(word, str) else ("", "", "")
        if hides_next:
            text = "(not shown)"
        elif is_given and (_SECRET_FLAG.match(flag) or _SECRET_NAME.search(flag)):
            text = f"{flag}=(not shown)"
        hides_next = not is_given and bool(_SECRET_FLAG.match(flag))
        yield text


def _masked(value: Any) -> Any:
    """A value, without those of variables that are named like secrets."""
    if isinstance(value, dict):
        is_secret = "value" in value and bool(_SECRET_NAME.search(str(value.get("name"))))
        return {
            key: "(not shown)"
            if (is_secret and key == "value") or _SECRET_FIELD.search(str(key))
            else _masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        if all(isinstance(one, str) for one in value):
            return [word.strip("'\"") for word in _words_shown(Words(value))]
        return [_masked(item) for item in value]
    return value


def _contrast(old: str, new: str) -> str:
    """Where two texts differ."""
    if "\n" not in old + new:
        whole = _cut(old, new)
        return _HIDDEN if whole[0] == whole[1] else f": {' -> '.join(map(_shown, whole))}"
    before, after = old.splitlines(), new.splitlines()
    count = max(len(before), len(after))
    lines = [(_line(before, i), _line(after, i)) for i in range(count)]
    differing = [i for i, both in enumerate(lines) if both[0] != both[1]]
    if not differing:
        return " changes in its line breaks"
    first, *others = differing
    cut = _cut(*(one or "" for one in lines[first]))
    if cut[0] == cut[1]:
        return f"{_HIDDEN} in line {first + 1}"
    shown = [
        "nothing" if line is None else _shown(part)
        for line, part in zip(lines[first], cut, strict=True)
    ]
    more = f", and in {len(others)} more" if others else ""
    return f" changes in line {first + 1}: {' -> '.join(shown)}{more}"


def _line(lines: Sequence[str], number: int) -> str | None:
    return lines[number].strip() if number < len(lines) else None


def _cut(old: str, new: str) -> tuple[str, str]:
    """The part of two texts that differs, with some words before it, if they are long."""
    # Secrets first: a part of one is not known for what it is.
    old, new = (_SECRET_WORD.sub(r"\1(not shown)", one) for one in (old, new))
    start = next((i for i, both in enumerate(zip(old, new, strict=False)) if both[0] != both[1]), 0)
    if max(len(old), len(new)) <= WIDEST or start < WIDEST // 2:
        return old, new
    start = old.rfind(" ", 0, max(0, start - 20)) + 1
    return f"...{old[start:]}", f"...{new[start:]}"
