"""Values of flags: what the parser of a release accepts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped, refuse

if TYPE_CHECKING:
    from vllm_constructs.releases.release import Field, Flag

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

# These patterns are strings, compiled on first use, since compiling takes time at every start.
# A size, as `flag_parsing` reads it. Decimals only with the decimal units: vLLM rejects "1.5K".
SIZE = r"([0-9]+)([kKmMgGtT]?)|([0-9]+\.[0-9]+)([kmgt])"
# Keys that were renamed too much to look alike.
_RENAMED_KEYS = {"level": "mode"}
# Alternatives of a type, but not those inside of a list.
_BAR = r"\|(?![^\[]*\])"
_LIST = r"list\[(.+)\]"
_WORDS = {
    "any": "any JSON",
    "bool": "True or False",
    "dict": "a dict",
    "float": "a number",
    "int": "an integer",
    "list": "a list",
    "str": "a string",
}
_TRUTHS = ("0", "1", "f", "false", "n", "no", "off", "on", "t", "true", "y", "yes")
_UNSAYABLE = re.compile(r"[\x00\ud800-\udfff]")
_DEEPEST = 20


def check_json(where: str, value: object, depth: int = 0) -> None:
    """Reject what JSON cannot represent, such as NaN and infinity."""
    if depth > _DEEPEST:
        text, allowed = f"is nested more than {_DEEPEST} levels deep", f"at most {_DEEPEST} levels"
        refuse(Problem(where=where, text=text, allowed=allowed))
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_key(where, key)
            check_json(f"{where}[{require.shown(key)}]", item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_json(where, item, depth + 1)
    else:
        _check_leaf(where, value)


def _check_key(where: str, key: object) -> None:
    try:
        require.text("", key)
    except VllmConstructsError as error:
        text = f"has the key {escaped(error.problem.value)}"
        refuse(replace(error.problem, where=where, text=text))


def _check_leaf(where: str, value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        require.wrong(where, value, "a finite number")
    if isinstance(value, int) and abs(value) > 2**64:
        require.wrong(where, value, "a number of at most 64 bits")
    if isinstance(value, str) and _UNSAYABLE.search(value):
        require.wrong(where, value, "a string without control characters")
    if value is not None and not isinstance(value, (bool, int, float, str)):
        require.wrong(where, value, "a string, number, Boolean, list or dict")


def plain(value: Any) -> Any:
    """The value in JSON's own types, dicts sorted: no subclass, such as a member of an enum."""
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value) if isinstance(value, int) else float(value)
    return value


def check_value(where: str, flag: Flag, value: object) -> None:
    """Reject a value that the flag does not accept."""
    kind = flag.get("type", "")
    if not kind:
        check_json(where, value)
    elif flag.get("nargs") == "+" or (flag.get("append") and not isinstance(value, str)):
        items = require.items(where, value, "a list")
        if not items:
            require.wrong(where, value, "a list with at least one entry", "otherwise leave it out")
        for item in items:
            _check_scalar(where, kind, item)
            _check_choice(where, flag.get("choices"), item)
    elif kind == "json" or (kind == "json-or-str" and not isinstance(value, str)):
        check_json(where, value)
        if not isinstance(value, (Mapping, list, tuple)):
            allowed = "a dict" if fields_of(flag) else "a dict (or list)"
            require.wrong(where, value, f"{allowed}, which becomes the flag's JSON")
        _check_object(where, fields_of(flag), value)
    elif is_level(flag):
        levels = list(map(int, flag.get("known", ())))
        if isinstance(value, bool) or value not in levels:
            require.wrong(where, value, require.one_of(levels))
    else:
        _check_scalar(where, kind, value)
        _check_choice(where, flag.get("choices"), value)


def fields_of(flag: Flag) -> Mapping[str, Field] | None:
    """The keys of a flag's JSON; None if any are accepted."""
    return flag.get("fields") or flag.get("engine_fields")


def is_level(flag: Flag) -> bool:
    """Whether a flag is a numeric level, though its parser accepts a string."""
    default = flag.get("default")
    return flag.get("type") == "str" and isinstance(default, int) and bool(flag.get("known"))


def _check_choice(where: str, choices: Sequence[str | int | None] | None, value: object) -> None:
    options = [one for one in choices or () if one is not None]
    if options and (value not in options or isinstance(value, bool)):
        near = require.nearest(value, map(str, options))
        require.wrong(where, value, require.one_of(options), near)


def _check_object(where: str, fields: Mapping[str, Field] | None, value: object) -> None:
    """Reject what vLLM's own class rejects: an unknown key, or a value of another type."""
    if not fields:
        return
    if not isinstance(value, Mapping):
        require.wrong(where, value, "a dict, which becomes the flag's JSON")
    options = sorted(name for name, field in fields.items() if not field.get("internal"))
    for key, item in value.items():
        if key not in options:
            renamed = _RENAMED_KEYS.get(str(key), "")
            near = f"write {renamed!r}" if renamed in options else require.nearest(key, options)
            refuse(
                Problem(
                    where=where,
                    text=f"has the unknown key {escaped(require.shown(key))}",
                    value=require.shown(key),
                    allowed="" if near else require.one_of(options),
                    advice=near,
                )
            )
        _check_field(f"{where}[{key!r}]", fields[key], item)


def _check_field(where: str, field: Field, value: object) -> None:
    kinds = re.split(_BAR, field.get("type", "any"))
    # Members of an enum, by their number or by their name in any case.
    members = field.get("known", [])
    # Without a default in the data the default is None, which vLLM accepts, whatever the type is.
    if value is None and (members or "default" not in field):
        return
    inner = field.get("fields")
    if inner and value is not None:
        _check_object(where, inner, value)
        return
    if not any(_has_type(kind, value) for kind in kinds):
        require.wrong(where, value, " or ".join(_in_words(one) for one in kinds if one != "null"))
    if value is None:
        return
    _check_choice(where, field.get("choices"), value)
    for item in value if isinstance(value, (list, tuple)) else ():
        _check_choice(where, field.get("items"), item)
    known = {one.upper() if isinstance(one, str) else one for one in members}
    if known and (value.upper() if isinstance(value, str) else value) not in {*known, "AUTO"}:
        near = require.nearest(value, map(str, members))
        require.wrong(where, value, require.one_of(members), near)


def _in_words(kind: str) -> str:
    """A type of the data files in words."""
    inner = re.fullmatch(_LIST, kind)
    return f"a list, each entry {_in_words(inner[1])}" if inner else _WORDS.get(kind, kind)


def _has_type(kind: str, value: object) -> bool:
    """Whether pydantic accepts a value, as vLLM uses it: `"3"` is a number, 1 is true."""
    inner = re.fullmatch(_LIST, kind)
    if inner or kind == "list":
        kinds = inner[1].split("|") if inner else ["any"]
        items = value if isinstance(value, (list, tuple)) else ()
        is_list = isinstance(value, (list, tuple))
        return is_list and all(any(_has_type(one, item) for one in kinds) for item in items)
    if kind in ("int", "float"):
        return is_number(value, whole=kind == "int")
    if kind == "bool":
        return value in (0, 1) or (isinstance(value, str) and value.lower() in _TRUTHS)
    if kind == "null":
        return value is None
    types: dict[str, type] = {"str": str, "dict": Mapping}
    return kind == "any" or isinstance(value, types.get(kind, ()))


def is_number(value: object, *, whole: bool) -> bool:
    """Whether pydantic accepts a value as a number."""
    if not isinstance(value, (int, float, str)):
        return False
    try:
        number = float(value)
    except ValueError:
        return False
    return number.is_integer() if whole else not math.isnan(number)


def _check_integer(where: str, value: object) -> None:
    """Reject what is not an integer; the bounds are left out of that sentence."""
    if isinstance(value, bool) or not isinstance(value, int):
        is_text = isinstance(value, str) and value.isascii() and value.isdecimal()
        advice = f"write {value} without quotes" if is_text else ""
        require.wrong(where, value, "an integer", advice)
    require.integer(where, value, -(2**63), 2**63)


def _check_scalar(where: str, kind: str, value: object) -> None:
    if kind == "bool":
        require.boolean(where, value)
    elif kind == "int":
        _check_integer(where, value)
    elif kind.startswith("human-readable-int"):
        auto = kind.endswith("-or-auto") and value == "auto"
        if not auto and not (isinstance(value, str) and re.fullmatch(SIZE, value)):
            require.integer(where, value, -1, 2**63)
    elif kind == "float":
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            require.wrong(where, value, "a number")
        _check_leaf(where, value)
    elif "|" in kind and isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_leaf(where, value)
    elif not isinstance(value, str) or not value:
        require.wrong(where, value, "a non-empty string")
    elif value.startswith("-"):
        require.wrong(where, value, "a string without a leading '-', which vLLM reads as a flag")
    else:
        _check_leaf(where, value)
