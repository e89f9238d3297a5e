"""Validators of values.

Each takes `where`, the option as users write it, such as `Drain.seconds`. It raises
`VllmConstructsError` for what is not allowed, and otherwise returns the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from os.path import commonprefix
from typing import NoReturn, TypeVar

from vllm_constructs.errors import Problem, refuse

T = TypeVar("T")

# Not in YAML either: C1 controls, and characters that end a line there or are none.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


# Tokens of Hugging Face and others, keys of APIs and HTTP's, and passwords in addresses. Upper case
# or "_" after the prefix, so that no valid name of a Secret matches.
_SECRET = re.compile(
    r"hf_(?!transfer\b)[A-Za-z0-9]{8,}"
    r"|(?<![\w-])sk-(?=\S*[A-Z_])[^\s'\"]{8,}|Bearer +(?!\$)[^\s'\"]+"
    r"|Basic +[A-Za-z0-9+/]{8,}=*|://[^/\s:@]*:(?!\$)[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abp]-[\w-]{10,}"
    r"|[?&](?:password|passwd|pwd|secret|token|api[-_]?key|access_key|sig|signature)=(?!\$)[^&\s]+"
    r"|nvapi-[\w-]{16,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}"
)


def has_control(text: str) -> bool:
    """Whether a string has control characters, which YAML and Kubernetes do not accept."""
    return bool(_CONTROL.search(text))


def has_secret(value: object) -> bool:
    """Whether a string or bytes look like a token or key, or hold one."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return isinstance(value, str) and bool(_SECRET.search(value))


def shown(value: object) -> str:
    """The value for a sentence: its `repr` on one line, in at most 80 characters.

    What looks like a token or key is not shown.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a broken __repr__ must not hide the sentence
        text = f"<{type(value).__name__}>"
    text = _SECRET.sub("(not shown)", _CONTROL.sub("?", text))
    return text if len(text) <= 80 else f"{text[:77]}..."


def wrong(where: str, value: object, allowed: str, advice: str = "") -> NoReturn:
    """Reject a value, in a sentence such as `port is 0; expected a port from 1 to 65535.`."""
    refuse(Problem(where=where, value=shown(value), allowed=allowed, advice=advice))


def nearest(name: object, options: Iterable[str]) -> str:
    """`did you mean 'x'?` for the option closest to `name`; empty if none is close.

    An option that differs only in case and separators comes first, then one that contains the name.
    One with other numbers is never close: `fp8` is another type than `fp16`.
    """
    from difflib import SequenceMatcher

    if not isinstance(name, str):
        return ""
    plain = _plain(name)
    numbers = re.findall(r"[0-9]+", plain)
    best = ""
    least = (3, 0.0)
    for option in sorted(options):
        other = _plain(option)
        ratio = SequenceMatcher(None, plain, other).ratio()
        if plain == other or _short_for(plain, other):
            found = (0, -ratio)
        elif len(plain) > 1 and plain in other:
            found = (1, -ratio)
        elif ratio >= (0.75 if len(plain) >= 8 else 0.8) and (
            numbers == re.findall(r"[0-9]+", other)
        ):
            found = (2, -ratio)
        else:
            continue
        if found < least:
            best, least = option, found
    return f"did you mean {best!r}?" if best else ""


def is_one_letter_off(name: str, other: str) -> bool:
    """Whether a letter of a name is missing, superfluous, another or in its neighbour's place.

    Capitals do not matter if they are all that differs.

    Args:
        name: The name.
        other: Another one.
    """
    if name.lower() == other.lower():
        return True
    start = len(commonprefix([name, other]))  # noqa: RUF071  # letters are what is compared
    left, right = name[start:], other[start:]
    end = len(commonprefix([left[::-1], right[::-1]]))  # noqa: RUF071  # as above
    left, right = left[: len(left) - end], right[: len(right) - end]
    return (len(left) <= 1 and len(right) <= 1) or (len(left) == 2 and left == right[::-1])


def _plain(name: str) -> str:
    """A name without case and separators."""
    return re.sub(r"[-_. ]", "", name.lower())


def _short_for(name: str, option: str) -> bool:
    """Whether a name leaves letters of a word out, as `bf16` does of `bfloat16`."""
    parts = re.fullmatch(r"([a-z]{2})([0-9]{1,2})", name)
    return parts is not None and re.fullmatch(rf"{parts[1]}[a-z]+{parts[2]}", option) is not None


_AMOUNT = re.compile(r"([0-9]{1,6}) ?(seconds?|sec|s|minutes?|min|m|hours?|h|k)")
_SECONDS = {"seconds": 1, "minutes": 60}


def integer(
    where: str, value: object, low: int, high: int, unit: str = "", *, advice: str = ""
) -> int:
    """An integer from `low` to `high`; `True` and `1.0` are rejected, perhaps with advice."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        what = f"an integer{' of ' + unit if unit else ''} from {low} to {high}"
        wrong(where, value, what, advice or _as_number(value, unit))
    return int(value)


def _as_number(value: object, unit: str) -> str:
    """The advice for a number that was given as a string."""
    if not isinstance(value, str) or len(value) > 12:
        return ""
    if re.fullmatch(r"[0-9]{1,9}", value):
        return f"write {int(value)} without quotes"
    match = _AMOUNT.fullmatch(value.lower())
    if match is None:
        return ""
    amount, suffix = int(match[1]), match[2][0]
    if unit == "tokens" and suffix == "k":
        return f"write {amount * 1000} and leave the unit out"
    if unit in _SECONDS and suffix != "k":
        seconds = amount * {"s": 1, "m": 60, "h": 3600}[suffix]
        return f"write {-(-seconds // _SECONDS[unit])} and leave the unit out"
    return ""


def number(where: str, value: object, low: float, high: float, unit: str = "") -> float:
    """A finite number above `low` and up to `high`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low < value <= high:
        what = f"a number{' of ' + unit if unit else ''} above {low:g} and up to {high:g}"
        wrong(where, value, what)
    return value


def ratio(where: str, value: object) -> float:
    """A ratio above 0 and up to 1."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 2 <= value <= 100:
        advice = f"write {value / 100:g} for {value:g} %"
        wrong(where, value, "a ratio above 0 and up to 1", advice)
    return number(where, value, 0, 1)


def boolean(where: str, value: object) -> bool:
    """`True` or `False`; truthy values are rejected."""
    if not isinstance(value, bool):
        wrong(where, value, "True or False")
    return bool(value)


def text(where: str, value: object, allowed: str = "a non-empty string") -> str:
    """A non-empty string on one line, without control characters."""
    if not isinstance(value, str) or not value.strip() or _CONTROL.search(value) or "\n" in value:
        wrong(where, value, allowed)
    return str.__str__(value)


def matching(where: str, value: object, pattern: re.Pattern[str], allowed: str) -> str:
    """A string that `pattern` matches as a whole."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        wrong(where, value, allowed)
    return str.__str__(value)


def choice(where: str, value: object, options: Sequence[str]) -> str:
    """One of `options`; the error names the nearest one."""
    if not isinstance(value, str) or value not in options:
        wrong(where, value, one_of(options), nearest(value, options))
    return str.__str__(value)


def one_of(options: Sequence[object]) -> str:
    """`one of 'a', 'b'`; at most twelve options are named."""
    names = [repr(option) for option in options]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"one of {', '.join(names[:12])}{more}"


def instance(where: str, value: object, kinds: type[T] | tuple[type[T], ...], allowed: str) -> T:
    """An object of one of `kinds`."""
    if not isinstance(value, kinds):
        wrong(where, value, allowed)
    return value


def items(where: str, value: object, allowed: str) -> tuple[object, ...]:
    """A list or tuple; a string is rejected, though it is a sequence of characters."""
    if not isinstance(value, (list, tuple)):
        wrong(where, value, allowed)
    return tuple(value)


def instances(
    where: str, value: object, kinds: type[T] | tuple[type[T], ...], allowed: str
) -> tuple[T, ...]:
    """A list or tuple of objects of one of `kinds`."""
    found = items(where, value, allowed)
    return tuple(
        instance(f"{where}[{at}]", one, kinds, allowed.removeprefix("a list of "))
        for at, one in enumerate(found)
    )


def texts(where: str, value: object, allowed: str = "a list of strings") -> tuple[str, ...]:
    """A list or tuple of strings."""
    return tuple(text(where, item, allowed) for item in items(where, value, allowed))


def text_map(where: str, value: object, allowed: str = "a dict of strings") -> dict[str, str]:
    """A mapping of strings to strings, sorted by key for stable output."""
    if not isinstance(value, Mapping):
        wrong(where, value, allowed)
    strings: dict[str, str] = {}
    for key, item in value.items():
        if not isinstance(item, str) or _CONTROL.search(item):
            wrong(f"{where}[{shown(key)}]", item, "a string (quote numbers and Booleans)")
        if has_secret(item):
            what = "looks like a credential (not shown), which would be written into the manifests"
            advice = "put it into a Secret and refer to that"
            refuse(Problem(where=f"{where}[{shown(key)}]", text=what, advice=advice))
        strings[text(f"a key of {where}", key)] = str.__str__(item)
    return dict(sorted(strings.items()))


_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h)")


def duration(where: str, value: object) -> str:
    """A duration in seconds, minutes or hours, such as `30s` or `1h`."""
    return matching(where, value, _DURATION, "a duration such as '15s', '10m' or '1h'")


def seconds(value: str) -> int:
    """The seconds of a duration that `duration` accepted."""
    return int(value[:-1]) * {"s": 1, "m": 60, "h": 3600}[value[-1]]
