"""Fields of manifests.

Any field may be missing or malformed; each helper then returns an empty value or a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mapping(value: object, *keys: str) -> dict[str, Any]:
    """The mapping at a path of keys; empty if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A list; empty if the value is not a list."""
    return value if isinstance(value, list) else []


def strings(value: object) -> list[str]:
    """The entries of a list as strings; empty if the value is not a list."""
    return [str(item) for item in items(value)]


def namespaced_name(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Namespace and name of an object; empty strings if it has none."""
    metadata = mapping(manifest.get("metadata"))
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def integer(value: object, default: int) -> int:
    """An integer; the default of the Kubernetes API if the value is not an integer."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return int(str(value)) if is_number else default
