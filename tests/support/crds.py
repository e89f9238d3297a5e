"""The schemas of custom resources, from CRDs that lie beside the repository."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .builtin import definition
from .engine import Rules, Strict, formats

_FOLDER = Path(__file__).parents[2].parent / "shared" / "crds"
_BRANCHES = frozenset({"anyOf", "oneOf", "allOf", "not"})


class Crd(NamedTuple):
    """One served version of a custom resource, ready to validate with."""

    cluster_scoped: bool
    schema: dict[str, Any]
    strict: Any
    rules: Any


def crds_available() -> bool:
    """Tell whether the CRDs are at hand: a checkout on its own has none."""
    return any(_FOLDER.glob("*_*.yaml"))


def _closed(node: Any, *, branch: bool = False) -> Any:
    if isinstance(node, list):
        return [_closed(item, branch=branch) for item in node]
    if not isinstance(node, dict):
        return node
    maps = {"properties", "patternProperties"}
    found: dict[str, Any] = {
        key: {name: _closed(body) for name, body in item.items()}
        if key in maps
        else _closed(item, branch=key in _BRANCHES)
        if key in _BRANCHES | {"items", "additionalProperties"}
        else item
        for key, item in node.items()
    }
    # A branch only narrows what its parent declares: closing it would refuse the parent's fields.
    if branch:
        return found
    if found.get("x-kubernetes-int-or-string") and "anyOf" not in found:
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if found.get("x-kubernetes-embedded-resource"):
        top = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
        found["properties"] = {**top, **found.get("properties", {})}
    is_object = found.get("type") == "object" or "properties" in found
    is_open = found.get("x-kubernetes-preserve-unknown-fields") is True
    if is_object and not is_open and "additionalProperties" not in found:
        found["additionalProperties"] = False
    return found


def _files(group: str, kind: str) -> list[Path]:
    stem = kind.lower()
    plurals = (f"{stem}s", f"{stem}es", f"{stem[:-1]}ies")
    paths = (_FOLDER / f"{group}_{plural}.yaml" for plural in plurals)
    return [path for path in paths if path.is_file()]


def _load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return document


@functools.cache
def crd(api_version: str, kind: str) -> Crd | None:
    """Return the custom resource of this version and kind, or None.

    Raises:
        LookupError: If the resource is there and does not serve this version.
    """
    group, _, version = api_version.rpartition("/")
    for path in _files(group, kind):
        spec = _load(path)["spec"]
        if spec["group"] != group or spec["names"]["kind"] != kind:
            continue
        served = {one["name"]: one["schema"] for one in spec["versions"] if one["served"]}
        if version not in served:
            raise LookupError(f"{group} serves {', '.join(served)} of {kind}, not {version}")
        schema = _closed(served[version]["openAPIV3Schema"])
        schema["properties"]["metadata"] = definition("meta.v1.ObjectMeta")
        return Crd(
            cluster_scoped=spec["scope"] == "Cluster",
            schema=schema,
            strict=Strict(schema, format_checker=formats),
            rules=Rules(schema),
        )
    return None


def defaulted(value: Any, schema: dict[str, Any]) -> Any:
    """Return a copy of a value with the defaults that the API server would fill in."""
    if isinstance(value, list):
        return [defaulted(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    fields = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    other = rest if isinstance(rest, dict) else {}
    filled = {
        name: body["default"]
        for name, body in fields.items()
        if "default" in body and name not in value
    }
    return {
        name: defaulted(item, fields.get(name, other)) for name, item in {**filled, **value}.items()
    }
