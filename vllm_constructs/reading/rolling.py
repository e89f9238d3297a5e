"""Rolling: how many pods a rollout adds, and how many it takes away, at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .fields import mapping


def surge(strategy: Mapping[str, Any], replicas: int) -> int:
    """Additional pods of a Deployment during a rollout, rounded up as its controller does.

    Args:
        strategy: Its `spec.strategy`.
        replicas: Its pods.
    """
    if strategy.get("type") == "Recreate":
        return 0
    found = count(mapping(strategy, "rollingUpdate").get("maxSurge"), replicas, "25%", is_up=True)
    return found or 0


def unavailable(strategy: Mapping[str, Any], replicas: int) -> int:
    """Pods of a Deployment that may be missing during a rollout, rounded as its controller does.

    That is rounded down, but 1 where the rollout could not begin otherwise.

    Args:
        strategy: Its `spec.strategy`.
        replicas: Its pods.
    """
    if strategy.get("type") == "Recreate":
        return replicas
    given = mapping(strategy, "rollingUpdate").get("maxUnavailable")
    found = count(given, replicas, "25%", is_up=False) or 0
    if not found and not surge(strategy, replicas):
        found = 1
    return min(found, replicas)


def count(value: object, replicas: int, default: int | str, *, is_up: bool) -> int | None:
    """The pods that a number or a percentage stands for; None if it is neither.

    Args:
        value: The number or percentage; None for the default.
        replicas: The pods of which it is a part.
        default: What stands for None.
        is_up: Whether percentages are rounded up, otherwise down.
    """
    text = str(default if value is None else value)
    if text.endswith("%") and text[:-1].isdecimal():
        part = int(text[:-1]) * replicas
        return math.ceil(part / 100) if is_up else part // 100
    return int(text) if text.isdecimal() else None
