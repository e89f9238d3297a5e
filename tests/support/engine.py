"""JSON Schema as the API server applies it: strict types, formats, list keys, CEL rules."""

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import cel
import jsonschema
from jsonschema import Draft202012Validator, FormatChecker, validators

from .syntax import is_base64, twice, words

type_checker = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer",
    lambda _checker, value: isinstance(value, int) and not isinstance(value, bool),
)
formats = FormatChecker(formats=())

# Keywords that CEL keeps for itself: the API server escapes fields of these names.
_CEL_WORDS = words(
    "true false null in as break const continue else for function if import let loop package "
    "namespace return var void while",
)
_MESSAGE_LIMIT = 240


def _bits(count: int) -> Any:
    limit = 1 << (count - 1)
    return lambda value: not isinstance(value, int) or -limit <= value < limit


def _parses(parse: Any) -> Any:
    def check(value: object) -> bool:
        if isinstance(value, str):
            parse(value)
        return True

    return check


formats.checks("int32")(_bits(32))
formats.checks("int64")(_bits(64))
formats.checks("byte")(lambda value: not isinstance(value, str) or is_base64(value))
formats.checks("date-time", raises=ValueError)(_parses(datetime.fromisoformat))
formats.checks("ipv4", raises=ValueError)(_parses(IPv4Address))
formats.checks("ipv6", raises=ValueError)(_parses(IPv6Address))


def _pattern(
    _validator: Any,
    pattern: str,
    instance: Any,
    _schema: Any,
) -> Iterator[jsonschema.ValidationError]:
    if not isinstance(instance, str):
        return
    # Python's $ also matches before a last line break, RE2's does not.
    if not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _list_type(
    _validator: Any,
    list_type: str,
    instance: Any,
    schema: Any,
) -> Iterator[jsonschema.ValidationError]:
    if not isinstance(instance, list):
        return
    if list_type == "set":
        again = twice(instance)
    elif list_type == "map":
        keys = schema.get("x-kubernetes-list-map-keys", [])
        items = [item for item in instance if isinstance(item, dict)]
        again = twice([{key: item.get(key) for key in keys} for item in items])
    else:
        return
    if again:
        yield jsonschema.ValidationError(f"{again[0]!r} stands in the list twice")


@functools.cache
def _program(rule: str) -> cel.Program:
    return cel.compile(rule)


def _escape(name: str) -> str:
    if name in _CEL_WORDS:
        return f"__{name}__"
    name = name.replace("__", "__underscores__").replace(".", "__dot__")
    return name.replace("-", "__dash__").replace("/", "__slash__")


def _cel_value(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_cel_value(item, schema.get("items", {})) for item in value]
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        other = rest if isinstance(rest, dict) else {}
        return {
            _escape(key) if key in fields else key: _cel_value(item, fields.get(key, other))
            for key, item in value.items()
        }
    return float(value) if schema.get("type") == "number" else value


def _cel(
    _validator: Any,
    rules: list[dict[str, str]],
    instance: Any,
    schema: Any,
) -> Iterator[jsonschema.ValidationError]:
    context = cel.Context(
        variables={"self": _cel_value(instance, schema)},
        functions={"split": lambda text, separator: text.split(separator)},
    )
    for rule in rules:
        # Transition rules compare with the stored object: nothing to compare with here.
        if "oldSelf" in rule["rule"]:
            continue
        said = rule.get("message", rule["rule"])
        try:
            holds = _program(rule["rule"].strip()).execute(context)
        except Exception as error:  # noqa: BLE001 - the binding raises many types, all refusals
            yield jsonschema.ValidationError(f"{said} (the rule could not be evaluated: {error})")
            continue
        if holds is not True:
            yield jsonschema.ValidationError(said)


Strict = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={"pattern": _pattern, "x-kubernetes-list-type": _list_type},
    type_checker=type_checker,
)

# A class of its own, because the API server evaluates CEL only on what its schema accepts.
Rules = validators.create(
    meta_schema={},
    validators={
        "properties": Draft202012Validator.VALIDATORS["properties"],
        "additionalProperties": Draft202012Validator.VALIDATORS["additionalProperties"],
        "items": Draft202012Validator.VALIDATORS["items"],
        "x-kubernetes-validations": _cel,
    },
    type_checker=type_checker,
)


def dotted(path: Any) -> str:
    """Write the path of a field as kubectl does."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "the object"


def problems(validator: Any, instance: Any) -> list[str]:
    """Return one sentence for each error that a validator finds."""
    return [
        f"{dotted(error.absolute_path)}: {_shortened(error.message)}"
        for error in validator.iter_errors(instance)
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[:_MESSAGE_LIMIT]} ..."
