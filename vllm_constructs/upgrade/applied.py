"""Applied: what a server-side apply makes of an object.

Fields of the manifest are set, and those that only the last manifest had are removed. What nobody
has applied stays: a default stays even if the field that it followed from is another one now.
"""

from __future__ import annotations

from typing import Any

from vllm_constructs.reading.fields import items, mapping

from .changes import names_of

# The keys by which the API server merges lists, where they are not the names.
_KEYS = {"ports": ("containerPort", "port")}


def applied(before: Any, owned: object, new: Any, field: str = "") -> Any:
    """An object after a manifest has been applied to it.

    Args:
        before: What is there, with defaults.
        owned: The part of it that was applied before.
        new: The manifest.
        field: The field that has them. Default: it is a whole object.
    """
    if isinstance(before, dict) and isinstance(new, dict):
        last = mapping(owned)
        return {
            key: applied(before[key], last.get(key), new[key], str(key))
            if key in new and key in before
            else (new if key in new else before)[key]
            for key in dict.fromkeys((*before, *new))
            if key in new or last.get(key) is None
        }
    if isinstance(before, list) and isinstance(new, list):
        return _items(before, items(owned), new, field)
    return new


def with_families(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """A Service with the families of its addresses, which stay if they are left out.

    Args:
        before: The Service before.
        after: The Service after.
    """
    spec, families = mapping(after.get("spec")), mapping(before.get("spec")).get("ipFamilies")
    if families is None or "ipFamilies" in spec or spec.get("type") == "ExternalName":
        return after
    return {**after, "spec": {**spec, "ipFamilies": families}}


def _items(before: list[Any], owned: list[Any], new: list[Any], field: str) -> list[Any]:
    """A list after another one has been applied, whose items have names."""
    names = names_of(before, owned, new, keys=_KEYS.get(field))
    if names is None:
        return new
    there = dict(zip(names[0], before, strict=True))
    last = dict(zip(names[1], owned, strict=True))
    found = [
        applied(there[name], last.get(name), item) if name in there else item
        for name, item in zip(names[2], new, strict=True)
    ]
    others = [item for name, item in there.items() if name not in last and name not in names[2]]
    return [*found, *others]
