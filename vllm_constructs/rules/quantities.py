"""Quantities of manifests: units that Kubernetes does not have, and thousandths of a byte."""

from __future__ import annotations

import re
from functools import lru_cache

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.kube import quantity

# Bytes; other amounts may be small.
_BYTES = ("memory", "storage", "ephemeral-storage", "sizeLimit")
# As apimachinery parses them; `quantity.parse` has what values of this library may be.
_QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?", re.ASCII)


def wrong_quantity(where: str, value: object, name: str) -> tuple[Problem | None, str]:
    """Why a value is no quantity, or no amount of bytes, and what is meant; None if it is right.

    Args:
        where: What it is called in the sentence.
        value: The value.
        name: Name of the field or resource, by which bytes are told.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        problem = Problem(
            where=where, text="is not a quantity", allowed="a quantity such as '8' or '64Gi'"
        )
        return problem, ""
    if "$" in value or "{{" in value or value.startswith("<"):
        return None, ""
    text, allowed, right = _wrong(value, name)
    if not text:
        return None, ""
    advice = f"write {right!r}" if right else ""
    return Problem(where=where, text=escaped(text), allowed=allowed, advice=advice), right


@lru_cache(maxsize=4096)
def _wrong(value: str, name: str) -> tuple[str, str, str]:
    """What is wrong, what is allowed, and what is meant."""
    is_bytes = name in _BYTES or name.startswith(("requests.", "limits.", "hugepages-"))
    shown = require.shown(value)
    if not _QUANTITY.fullmatch(value):
        allowed = "a quantity such as '64Gi' or '500Mi'" if is_bytes else "a quantity such as '8'"
        return f"is {shown}, which is not a quantity", allowed, _meant(value) if is_bytes else ""
    amount = quantity.parse(value)
    if not is_bytes or not amount or "cpu" in name:
        return "", "", ""
    if value.endswith("m"):
        text = f"is {shown}, {amount.normalize():f} bytes: m is a thousandth of a byte"
        return text, "a quantity such as '64Gi' or '500Mi'", f"{value[:-1]}M"
    if value.isdecimal() and amount < quantity.MI and name == "memory":
        return f"is {shown}, {value} bytes", "a quantity such as '64Gi' or '500Mi'", _meant(value)
    return "", "", ""


def _meant(value: str) -> str:
    """The quantity that a string stands for; empty if that is not certain."""
    try:
        quantity.memory("", value)
    except VllmConstructsError as error:
        found = re.fullmatch(r"write '([\w.]+)'", error.problem.advice)
        return found[1] if found else ""
    return ""
