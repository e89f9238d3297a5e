"""The checks that values share, each answering with one readable sentence.

Every helper takes `where` (the name the user knows, such as `Drain.seconds`), refuses what is
not allowed with `VllmConstructsError`, and gives the value back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, TypeVar

from vllm_constructs.errors import refuse

T = TypeVar("T")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def shown(value: object) -> str:
    """The value as it may stand in a sentence: one line, and short."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a broken __repr__ must not hide the sentence
        text = f"<{type(value).__name__}>"
    text = _CONTROL.sub("?", text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def wrong(where: str, value: object, allowed: str, advice: str = "") -> NoReturn:
    """Refuse `value` with the sentence that all checks share."""
    end = f"; {advice}" if advice else ""
    refuse(f"{where} is {shown(value)}; it takes {allowed}{end}{'' if end.endswith('?') else '.'}")


def nearest(name: object, options: Iterable[str]) -> str:
    """`did you mean 'x'?` for the option closest to `name`, or nothing where none is close.

    An option that contains the name comes first: `H100` is short for `NVIDIA-H100-NVL`.
    """
    from difflib import SequenceMatcher

    if not isinstance(name, str):
        return ""
    wanted = name.lower()

    def distance(option: str) -> tuple[bool, float, str]:
        ratio = SequenceMatcher(None, wanted, option.lower()).ratio()
        return (wanted not in option.lower(), -ratio, option)

    best = min(((*distance(option), option) for option in options), default=None)
    if best is None or len(wanted) < 2 or (best[0] and best[1] > -0.5):
        return ""
    return f"did you mean {best[3]!r}?"


_AMOUNT = re.compile(r"([0-9]{1,6}) ?(seconds?|sec|s|minutes?|min|m|hours?|h|k)")
_SECONDS = {"seconds": 1, "minutes": 60}


def integer(where: str, value: object, low: int, high: int, unit: str = "") -> int:
    """A whole number from `low` to `high`; `True` and `1.0` are none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        what = f"a whole number{' of ' + unit if unit else ''} from {low} to {high}"
        wrong(where, value, what, _as_number(value, unit))
    return int(value)


def _as_number(value: object, unit: str) -> str:
    """How to write a number that was given as a text."""
    if not isinstance(value, str) or len(value) > 12:
        return ""
    if re.fullmatch(r"[0-9]{1,9}", value):
        return f"write {int(value)} without quotes"
    found = _AMOUNT.fullmatch(value.lower())
    if found is None:
        return ""
    amount, suffix = int(found[1]), found[2][0]
    if unit == "tokens" and suffix == "k":
        return f"write {amount * 1000} and leave the unit out"
    if unit in _SECONDS and suffix != "k":
        seconds = amount * {"s": 1, "m": 60, "h": 3600}[suffix]
        return f"write {-(-seconds // _SECONDS[unit])} and leave the unit out"
    return ""


def number(where: str, value: object, low: float, high: float, unit: str = "") -> float:
    """A finite number above `low` and not above `high`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low < value <= high:
        what = f"a number{' of ' + unit if unit else ''} above {low:g} and up to {high:g}"
        wrong(where, value, what)
    return value


def ratio(where: str, value: object) -> float:
    """A share of a whole: above 0, not above 1."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 2 <= value <= 100:
        advice = f"write {value / 100:g} for {value:g} %"
        wrong(where, value, "a ratio above 0 and up to 1", advice)
    return number(where, value, 0, 1)


def boolean(where: str, value: object) -> bool:
    """`True` or `False`, nothing that is merely true."""
    if not isinstance(value, bool):
        wrong(where, value, "True or False")
    return bool(value)


def text(where: str, value: object, allowed: str = "a text that is not empty") -> str:
    """A text of one line without control characters, not empty."""
    if not isinstance(value, str) or not value.strip() or _CONTROL.search(value) or "\n" in value:
        wrong(where, value, allowed)
    return str(value)


def matching(where: str, value: object, pattern: re.Pattern[str], allowed: str) -> str:
    """A text that `pattern` matches from beginning to end."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        wrong(where, value, allowed)
    return str(value)


def choice(where: str, value: object, options: Sequence[str]) -> str:
    """One of `options`; the nearest one is named where there is one."""
    if not isinstance(value, str) or value not in options:
        wrong(where, value, one_of(options), nearest(value, options))
    return str(value)


def one_of(options: Sequence[object]) -> str:
    """`one of 'a', 'b'`; of many options only the first ones."""
    names = [repr(option) for option in options]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"one of {', '.join(names[:12])}{more}"


def instance(where: str, value: object, kinds: type[T] | tuple[type[T], ...], allowed: str) -> T:
    """An object of one of `kinds`."""
    if not isinstance(value, kinds):
        wrong(where, value, allowed)
    return value


def items(where: str, value: object, allowed: str) -> tuple[object, ...]:
    """A list or tuple; a single text is no list of characters."""
    if not isinstance(value, (list, tuple)):
        wrong(where, value, allowed)
    return tuple(value)


def texts(where: str, value: object, allowed: str = "a list of texts") -> tuple[str, ...]:
    """A list or tuple of texts."""
    return tuple(text(where, item, allowed) for item in items(where, value, allowed))


def text_map(where: str, value: object, allowed: str = "a dict of texts") -> dict[str, str]:
    """A mapping of texts to texts, sorted by key, so that the order given does not matter."""
    if not isinstance(value, Mapping):
        wrong(where, value, allowed)
    found: dict[str, str] = {}
    for key, item in value.items():
        if not isinstance(item, str) or _CONTROL.search(item):
            wrong(f"{where}[{shown(key)}]", item, "a text (quote numbers and booleans)")
        found[text(f"a key of {where}", key)] = str(item)
    return dict(sorted(found.items()))


_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h)")


def duration(where: str, value: object) -> str:
    """A duration of whole seconds, minutes or hours, such as `30s` or `1h`."""
    return matching(where, value, _DURATION, "a duration such as '15s', '10m' or '1h'")


def seconds(value: str) -> int:
    """The seconds of a duration that `duration` took."""
    return int(value[:-1]) * {"s": 1, "m": 60, "h": 3600}[value[-1]]
