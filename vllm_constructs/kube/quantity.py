"""Kubernetes quantities, compared as numbers, so that 1.5Gi equals 1536Mi.

Grammar: Kubernetes docs, reference "Quantity".
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse

MI = 2**20
GI = 2**30

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(m|[kMGTPE]i?|Ki|[eE][+-]?\d{1,2})?", re.ASCII)
_FACTORS = {"m": Decimal("0.001"), "": Decimal(1), "k": Decimal(1000)}
_FACTORS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
_FACTORS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


@lru_cache
def parse(text: str) -> Decimal | None:
    """The number that a quantity stands for, or None for any other string."""
    match = _QUANTITY.fullmatch(text)
    if not match or len(text) > 32:
        return None
    digits, unit = match[1], match[2] or ""
    if unit[:1] in ("e", "E") and len(unit) > 1 and unit[1:] != "i":
        return Decimal(digits) * Decimal(10) ** int(unit[1:])
    factor = _FACTORS.get(unit)
    return None if factor is None else Decimal(digits) * factor


def memory(where: str, value: object, minimum: int = MI) -> int:
    """The bytes of a memory or storage quantity such as `64Gi`."""
    amount = parse(value) if isinstance(value, str) else None
    if amount is None or amount < minimum or amount != int(amount) or str(value).endswith("m"):
        advice = ""
        if isinstance(value, str):
            tidy = re.sub(r"\s+", "", value)
            tidy = re.sub(r"(?i)([kmgtpe])i?b$", lambda match: match[1].upper() + "i", tidy)
            tidy = re.sub(r"[gtpe]i?$", lambda match: match[0][0].upper() + "i", tidy)
            if re.fullmatch(r"[0-9]{1,4}", tidy):
                tidy += "Gi"
            advice = f"write {tidy!r}" if tidy != value and parse(tidy) else ""
        elif isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10_000:
            advice = f"write '{value}Gi'"
        require.wrong(
            where, value, "a Kubernetes quantity of bytes such as '64Gi' or '500Mi'", advice
        )
    return int(amount)


def cpu(where: str, value: object) -> Decimal:
    """The cores of a CPU quantity such as `8` or `500m`."""
    amount = parse(value) if isinstance(value, str) else None
    if amount is None or not Decimal("0.001") <= amount <= 4096 or amount * 1000 % 1:
        require.wrong(
            where, value, "a Kubernetes quantity of cores as a string, such as '8' or '500m'"
        )
    return amount


def pair(where: str, value: object) -> tuple[str, str]:
    """CPU or memory as (request, limit); one quantity stands for both.

    Args:
        where: Name of the option, which ends with `cpu` or `memory`.
        value: Its value.

    Raises:
        VllmConstructsError: A malformed quantity, or a request above the limit.
    """
    amount = memory if where.endswith("memory") else cpu
    both = (value, value) if isinstance(value, str) else value
    allowed = "one quantity, or (request, limit)"
    if isinstance(both, int) and not isinstance(both, bool) and 0 < both <= 4096:
        advice = f"write '{both}'"
        if amount is memory:
            advice = f"write '{both}Gi'" if both < 200 else f"write '{both}Mi' or '{both}Gi'"
        require.wrong(where, value, allowed, advice)
    parts = require.items(where, both, allowed)
    if len(parts) != 2:
        require.wrong(where, value, allowed)
    request, limit = (amount(where, part) for part in parts)
    if request > limit:
        refuse(
            Problem(
                where=where,
                text=f"has a request of {parts[0]!r} above its limit of {parts[1]!r}",
                value=require.shown(value),
                advice="lower the request, or raise the limit",
            )
        )
    return str(parts[0]), str(parts[1])


def gibibytes(size: int) -> str:
    """A size in bytes as a quantity, rounded up to an integer number of Gi."""
    return f"{-(-size // GI)}Gi"
