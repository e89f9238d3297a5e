"""Texts of flags: what stands on a command line, as a value of the flag's own type.

The rules are those of vllm/utils/argparse_utils.py and vllm/engine/arg_utils.py.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import refuse

from .flag_types import SIZE, is_level

if TYPE_CHECKING:
    from vllm_constructs.releases.release import Flag

_WHOLE = re.compile(r"-?\d+", re.ASCII)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def amount(where: str, value: object, *, least: int = 1) -> int:
    """A number as vLLM reads it: `32k` is 32,000 and `32K` is 32,768.

    Args:
        where: Name of the number, for the sentence.
        value: The number, or its text.
        least: The smallest one that is taken.
    """
    if isinstance(value, str):
        found = re.fullmatch(SIZE, value)
        if not found:
            require.wrong(where, value, "a whole number, such as 32768, 32k or 32K")
        number, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
        value = int(Decimal(number) * _UNITS[unit])
    return require.integer(where, value, least, 2**62)


def value_of(name: str, flag: Flag, text: str) -> Any:
    """A flag's text in the flag's own type; None where it is left out."""
    if is_level(flag):
        return _number(name, "int", text)
    is_nothing = text in ("", "None") and text not in flag.get("choices", ())
    if is_nothing and (flag.get("optional") or flag.get("default") == text):
        return None
    if not text:
        refuse(f"{name} has an empty value; give one, or leave the flag out.")
    # Only where the parser itself makes the class, it takes numbers with units.
    text = _expanded(text) if flag.get("fields") else text
    found = _converted(name, flag.get("type", ""), text)
    if flag.get("engine_fields") and isinstance(found, dict):
        # The engine, which makes the class of it, takes dashes as well.
        return {str(key).replace("-", "_"): value for key, value in found.items()}
    return found


def _converted(name: str, kind: str, text: str) -> Any:
    if kind.startswith("human-readable-int"):
        if kind.endswith("-or-auto") and text.lower() in ("auto", "-1"):
            return "auto"
        return amount(name, int(text) if _WHOLE.fullmatch(text) else text, least=-1)
    if kind == "json" or (kind == "json-or-str" and re.fullmatch(r"\s*\{.*\}\s*", text, re.DOTALL)):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, (dict, list)):
            require.wrong(name, text, "JSON", _hint(name, text))
        return found
    if kind.startswith("comma-list"):
        return int(text) if text.isdecimal() and text.isascii() else text
    if kind in ("int", "float"):
        return _number(name, kind, text)
    return text.lower().replace("-", "_") if kind.startswith("str(") else text


def _expanded(text: str) -> str:
    """JSON in which numbers outside of texts may have a unit, such as `{"bytes": 80g}`."""
    parts = re.split(r'("(?:[^"\\\\]|\\\\.)*")', text)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(
            r"\b[0-9]+(\.[0-9]+)?[kKmMgGtT]\b",
            lambda one: str(amount("a number", one[0], least=0)),
            parts[at],
        )
    return "".join(parts)


def dotted(text: str) -> Any:
    """The value of `--flag.key value`: JSON, a number with a unit, or a text."""
    try:
        return json.loads(text)
    except ValueError:
        return amount("a number", text, least=0) if re.fullmatch(SIZE, text) else text


def _number(name: str, kind: str, text: str) -> int | float:
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        return require.wrong(name, text, "a whole number" if kind == "int" else "a number")


def _hint(name: str, text: str) -> str:
    if name == "--compilation-config" and text.isdecimal():
        return f'write -O{text}, or {name} {{"mode": {text}}}'
    key, is_pair, value = text.partition("=")
    return f'write {name} {{"{key}": {value}}}' if is_pair and key.isidentifier() else ""
