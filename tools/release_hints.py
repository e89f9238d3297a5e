"""Turns the type hints and defaults of a config class into plain data.

Used by `release_reader.py`, in the environment that has pydantic.
"""

from __future__ import annotations

import dataclasses
import enum
import pathlib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from release_standins import StandIn

_SCALARS = {bool: "bool", int: "int", float: "float", str: "str", type(None): "null"}
_TEXTS = (pathlib.PurePath,)
_SEQUENCES = (list, tuple, set, frozenset)
# Below this, classes of the engine's own begin.
DEEPEST = 2


def literal(value: Any) -> Any:
    """A value as JSON, or None where it is none that a release's text could state."""
    if isinstance(value, enum.Enum):
        value = value.value if isinstance(value.value, (int, str)) else value.name
    if isinstance(value, _TEXTS):
        value = str(value)
    if isinstance(value, Mapping):
        return {str(key): literal(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        return [literal(item) for item in value]
    return value if isinstance(value, (bool, int, float, str)) else None


def _members(hint: Any) -> Iterator[Any]:
    """The alternatives of a hint, without annotations."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        yield from _members(typing.get_args(hint)[0])
    elif origin in (typing.Union, types.UnionType):
        for one in typing.get_args(hint):
            yield from _members(one)
    elif isinstance(hint, typing.TypeVar):
        yield Any
    elif hasattr(hint, "__value__"):
        yield from _members(hint.__value__)
    else:
        yield hint


def _name(hint: Any) -> str:
    """The name of one alternative, in the words of JSON where it has one."""
    origin = typing.get_origin(hint) or hint
    if origin in _SCALARS:
        return _SCALARS[origin]
    if origin is typing.Literal:
        kinds = {_SCALARS.get(type(option), "str") for option in typing.get_args(hint)}
        return "|".join(sorted(kinds))
    if not isinstance(origin, type) or issubclass(origin, StandIn):
        return "any"
    if issubclass(origin, _SEQUENCES):
        inner = [one for one in typing.get_args(hint) if one is not Ellipsis]
        return f"list[{_names(inner[0])}]" if inner else "list"
    if dataclasses.is_dataclass(origin) or issubclass(origin, Mapping):
        return "dict"
    return "str" if issubclass(origin, (enum.Enum, *_TEXTS)) else "any"


def _names(hint: Any) -> str:
    """All alternatives of a hint, `null` last."""
    found = sorted({name for one in _members(hint) for name in _name(one).split("|")})
    if "any" in found:
        return "any"
    return "|".join([name for name in found if name != "null"] + ["null"] * ("null" in found))


def _choices(hint: Any) -> list[Any]:
    """The values that a hint allows, where all of its alternatives are listed."""
    found: list[Any] = []
    for one in _members(hint):
        if typing.get_origin(one) is typing.Literal:
            found += typing.get_args(one)
        elif one is not type(None):
            return []
    return sorted(dict.fromkeys(found), key=str)


def _accepted(config: type, name: str, hint: Any) -> list[Any]:
    """The names of an enum that the class takes for this field: it may take names or values."""
    enums = [one for one in _members(hint) if isinstance(one, type) and issubclass(one, enum.Enum)]
    if len(enums) != 1 or issubclass(enums[0], StandIn):
        return []
    adapter: TypeAdapter[Any] = TypeAdapter(config)
    found = []
    for member in enums[0]:
        for option in dict.fromkeys((member.name, member.value)):
            if not isinstance(option, (str, int)):
                continue
            try:
                adapter.validate_python({name: option})
            except ValidationError as error:
                if any(not one["loc"] or one["loc"][0] == name for one in error.errors()):
                    continue
            except Exception:  # noqa: BLE001, S112  (the class cannot be made here at all)
                continue
            found.append(option)
    return sorted(set(found), key=str)


def _default(field: dataclasses.Field[Any]) -> Any:
    """The default of a field, or None."""
    default: Any = field.default
    factory: Any = field.default_factory
    if isinstance(default, FieldInfo):
        default, factory = default.default, default.default_factory or dataclasses.MISSING
    if factory is not dataclasses.MISSING:
        try:
            default = factory()
        except Exception:  # noqa: BLE001  (it needs what is stood in for)
            return None
    return literal(default)


def _is_constructor_field(field: dataclasses.Field[Any]) -> bool:
    default = field.default
    if isinstance(default, FieldInfo) and default.init is False:
        return False
    return field.init


def dataclass_in(hint: Any) -> type | None:
    """The one config class among the alternatives of a hint."""
    found = [one for one in _members(hint) if isinstance(one, type) and _is_config(one)]
    return found[0] if len(found) == 1 else None


def _is_config(one: type) -> bool:
    return dataclasses.is_dataclass(one) and not issubclass(one, StandIn)


def fields_of(config: type, depth: int = 0) -> dict[str, Any]:
    """The fields of a config class that JSON may name, with type, choices and default."""
    try:
        hints = typing.get_type_hints(config, include_extras=True)
    except Exception:  # noqa: BLE001  (a hint that only a type checker can resolve)
        hints = {}
    found = {}
    for field in dataclasses.fields(config):
        hint = hints.get(field.name, field.type)
        one: dict[str, Any] = {"type": _names(hint)}
        if not _is_constructor_field(field):
            # A field of the class all the same, but JSON that names it is refused.
            found[field.name] = one | {"internal": True}
            continue
        choices = _choices(hint)
        if choices:
            one["choices"] = choices
        known = _accepted(config, field.name, hint)
        if known:
            # Not all: the class's own validators may also take "auto" or lower case.
            kinds = {_SCALARS[type(option)] for option in known}
            one["known"] = known
            one["type"] = "|".join([*sorted(kinds), *["null"] * ("null" in one["type"])])
        items = [
            choice
            for part in _members(hint)
            if typing.get_origin(part) in _SEQUENCES
            for choice in _choices(typing.get_args(part)[0])
        ]
        if items:
            one["items"] = items
        inner = dataclass_in(hint)
        if inner and depth < DEEPEST:
            one["fields"] = fields_of(inner, depth + 1)
        default = _default(field)
        if default is not None and "fields" not in one:
            one["default"] = default
        found[field.name] = one
    return found
