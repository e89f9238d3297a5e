"""Makes `vllm_constructs/data/deployment-fields.json` from the schemas of Kubernetes.

Usage: python tools/deployment_fields.py

For each type that a Deployment has, it lists the fields with their types: `string`, `integer`,
`number`, `boolean`, `quantity`, `any`, the name of another type, `[type]` for a list or `{type}`
for a map. A field that came after the oldest release has its first minor release beside it.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "vllm_constructs" / "data"
MINORS = range(27, 38)
ROOT = "io.k8s.api.apps.v1.Deployment"
PLAIN = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
}


def definitions(minor: int) -> dict[str, Any]:
    """The types of a release."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v1.{minor}.0-local-strict"
    found = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))
    types: dict[str, Any] = found.get("$defs") or found.get("definitions") or found
    return types


def type_of(schema: dict[str, Any]) -> str:
    """The type of a field."""
    reference = schema.get("$ref")
    if reference:
        name = str(reference).rpartition("/")[2]
        return PLAIN.get(name, name)
    kinds = schema.get("type", "any")
    if not isinstance(kinds, str):
        # A field that may also be null.
        kinds = next(one for one in kinds if one != "null")
    if kinds == "array":
        return f"[{type_of(schema['items'])}]"
    if kinds == "object":
        more = schema.get("additionalProperties")
        return f"{{{type_of(more)}}}" if isinstance(more, dict) else "any"
    return str(kinds)


def reachable(types: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The fields of each type that a Deployment has."""
    found: dict[str, dict[str, str]] = {}
    waiting = [ROOT]
    while waiting:
        name = waiting.pop()
        if name in found or name not in types:
            continue
        fields = {
            field: type_of(schema) for field, schema in types[name].get("properties", {}).items()
        }
        found[name] = fields
        waiting += [kind.strip("[]{}") for kind in fields.values()]
    return found


def short(kind: str) -> str:
    """A type without its package."""
    name = kind.strip("[]{}")
    return kind.replace(name, name.rpartition(".")[2])


def rendered() -> str:
    """The text of the data file."""
    since: dict[tuple[str, str], int] = {}
    newest: dict[str, dict[str, str]] = {}
    for minor in MINORS:
        newest = reachable(definitions(minor))
        for name, fields in newest.items():
            for field in fields:
                since.setdefault((name, field), minor)
    data = {
        short(name): {
            field: short(kind)
            if since[name, field] == MINORS[0]
            else [short(kind), since[name, field]]
            for field, kind in sorted(fields.items())
        }
        for name, fields in sorted(newest.items())
        if fields
    }
    lines = [
        f"{json.dumps(name)}:{json.dumps(fields, separators=(',', ':'))}"
        for name, fields in data.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    (DATA / "deployment-fields.json").write_text(rendered(), encoding="utf-8")
