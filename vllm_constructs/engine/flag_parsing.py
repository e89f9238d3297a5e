"""Parsing of flags: words of a command line, as values of the flags' own types.

The rules are those of vllm/utils/argparse_utils.py and vllm/engine/arg_utils.py.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

from .flag_types import SIZE, is_level

if TYPE_CHECKING:
    from vllm_constructs.releases.release import Flag

_INTEGER = re.compile(r"-?\d+", re.ASCII)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def amount(where: str, value: object, *, least: int = 1) -> int:
    """An integer as vLLM reads it: `32k` is 32,000 and `32K` is 32,768.

    Args:
        where: Name of the option, for the error.
        value: The integer, or a string of it.
        least: The lowest value that is accepted. Default 1.

    Raises:
        VllmConstructsError: The value is not such an integer.
    """
    if isinstance(value, str):
        match = re.fullmatch(SIZE, value)
        if not match:
            require.wrong(where, value, "an integer, such as 32768, 32k or 32K")
        number, unit = (match[1], match[2]) if match[1] else (match[3], match[4])
        value = int(Decimal(number) * _UNITS[unit])
    return require.integer(where, value, least, 2**62)


def value_of(name: str, flag: Flag, text: str) -> Any:
    """A word in the flag's own type; None if the word stands for no value.

    Args:
        name: Name of the flag with its dashes, for the error.
        flag: The flag's entry in the data file.
        text: The word.

    Raises:
        VllmConstructsError: The word is empty, or not of the flag's type.
    """
    if is_level(flag):
        return _number(name, "int", text)
    is_nothing = text in ("", "None") and text not in flag.get("choices", ())
    if is_nothing and (flag.get("optional") or flag.get("default") == text):
        return None
    if not text:
        advice = "give one, or leave the flag out"
        refuse(Problem(where=name, text="has an empty value", advice=advice))
    # Only a parser that makes the class itself accepts numbers with units.
    text = _expanded(name, text) if flag.get("fields") else text
    value = _converted(name, flag.get("type", ""), text)
    if flag.get("engine_fields") and isinstance(value, dict):
        # The engine, which makes the class here, accepts dashes as well.
        return {str(key).replace("-", "_"): item for key, item in value.items()}
    return value


def _converted(name: str, kind: str, text: str) -> Any:
    if kind.startswith("human-readable-int"):
        if kind.endswith("-or-auto") and text.lower() in ("auto", "-1"):
            return "auto"
        return amount(name, int(text) if _INTEGER.fullmatch(text) else text, least=-1)
    if kind == "json" or (kind == "json-or-str" and re.fullmatch(r"\s*\{.*\}\s*", text, re.DOTALL)):
        try:
            value = json.loads(text)
        except (RecursionError, ValueError):
            value = None
        if not isinstance(value, (dict, list)):
            require.wrong(name, text, "JSON", escaped(_hint(name, text)))
        return value
    if kind.startswith("comma-list"):
        return int(text) if text.isdecimal() and text.isascii() else text
    if kind in ("int", "float"):
        return _number(name, kind, text)
    return text.lower().replace("-", "_") if kind.startswith("str(") else text


def _expanded(name: str, text: str) -> str:
    """JSON with its units resolved, outside of strings, such as `80g` in `{"bytes": 80g}`."""
    parts = re.split(r'("(?:[^"\\\\]|\\\\.)*")', text)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(
            r"\b[0-9]+(\.[0-9]+)?[kKmMgGtT]\b",
            lambda match: str(amount(f"a number in {name}", match[0], least=0)),
            parts[at],
        )
    return "".join(parts)


def dotted(name: str, text: str) -> Any:
    """The value of `--flag.key value`: JSON, an integer with a unit, or a string.

    Args:
        name: What the number is called in the error.
        text: The word.
    """
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return amount(name, text, least=0) if re.fullmatch(SIZE, text) else text


def _number(name: str, kind: str, text: str) -> int | float:
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        return require.wrong(name, text, "an integer" if kind == "int" else "a number")


def _hint(name: str, text: str) -> str:
    if name == "--compilation-config" and text.isdecimal():
        return f'write -O{text}, or {name} {{"mode": {text}}}'
    key, is_pair, value = text.partition("=")
    return f'write {name} {{"{key}": {value}}}' if is_pair and key.isidentifier() else ""
