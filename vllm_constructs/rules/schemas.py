"""Rule of schemas: H09.

The tables of this library know the kinds beside vLLM. With the extra `schemas` installed,
kubernetes-validate knows all built-in kinds, and the fields that they require.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vllm_constructs.errors import Problem
from vllm_constructs.kube.kubernetes import NEWEST
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

from .api_versions import has_same_fields, wrong_version
from .kind_fields import Fault, Walk
from .kind_tables import Types, tables
from .rule import Found, put, rule

_PACKAGE = "kubernetes_validate"
_SCHEMAS = "kubernetes-json-schema"


@cache
def is_available() -> bool:
    """Whether kubernetes-validate is installed, with the schemas of all built-in kinds."""
    return find_spec(_PACKAGE) is not None


@rule("H09", "error", "a field or value that Kubernetes does not have")
def schemas(graph: Graph) -> Iterator[Found]:
    """The API server rejects the object, or drops the field without a word."""
    target = graph.settings.kubernetes
    minor = None if target is None else target.minor
    for manifest in graph.manifests:
        for fault in _faults(graph, manifest, minor):
            yield Found(
                manifest=manifest,
                path=fault.path,
                problem=fault.problem,
                level=fault.level,
                fix=fault.fix,
            )


def _faults(graph: Graph, manifest: Manifest, minor: int | None) -> Iterator[Fault]:
    if not manifest.kind or not manifest.api_version:
        return
    wrong = wrong_version(manifest.api_version, manifest.kind)
    if wrong is not None:
        problem, right = wrong
        is_safe = has_same_fields(manifest.api_version)
        fix = put(("apiVersion",), right, is_safe=is_safe) if right else None
        yield Fault(("apiVersion",), problem, fix=fix)
        return
    read = tables()
    kind = read.kinds.get(f"{manifest.api_version} {manifest.kind}")
    walk = Walk(read.types, read.owners.get(manifest.group, ""), minor)
    if kind is not None:
        new = _new_kind(read.types, kind, manifest, minor)
        if new is not None:
            yield new
            return
        walk.fields(kind, manifest.body)
    else:
        _pods(graph, manifest, walk)
    found = list(walk.faults)
    if is_available():
        named = {fault.path for fault in found}
        found += [one for one in _of_package(manifest, minor) if one.path not in named]
    is_part = _is_part(graph, manifest)
    for fault in found:
        if not (fault.is_missing and is_part):
            yield fault


def _pods(graph: Graph, manifest: Manifest, walk: Walk) -> None:
    """Walk through the pods of a kind of others."""
    for pod in graph.pods_of(manifest):
        if pod.is_whole:
            walk.fields("PodSpec", pod.spec, pod.path)
            continue
        # Beside the fields of pods the kind has its own.
        for path, container in pod.all_containers:
            walk.fields("Container", container, path)


def _is_part(graph: Graph, manifest: Manifest) -> bool:
    """Whether an object is a patch of another one, which has what is missing.

    A workload that has all but its selector is meant to be whole.
    """
    return any(
        not pod.is_whole and not (pod.labels and all("image" in one for _, one in pod.containers))
        for pod in graph.pods_of(manifest)
    )


def _new_kind(types: Types, kind: str, manifest: Manifest, minor: int | None) -> Fault | None:
    """A kind that the target does not have in this version."""
    found = types.get(kind)
    first = found[0]["apiVersion"].first if found and "apiVersion" in found[0] else 0
    if minor is None or first <= minor:
        return None
    text = f"is {manifest.api_version}, which is new in Kubernetes 1.{first}, and the target is "
    problem = Problem(where="apiVersion", text=f"{text}1.{minor}", advice="raise the target")
    return Fault(("apiVersion",), problem)


def _of_package(manifest: Manifest, minor: int | None) -> Iterator[Fault]:
    """What the schemas of kubernetes-validate say beyond the tables of this library."""
    release = NEWEST[1] if minor is None else minor
    read = _package(release)
    if read is None:
        return
    types, kinds = read
    name = kinds.get((manifest.api_version, manifest.kind))
    if name is not None:
        walk = Walk(types, target=minor)
        walk.fields(name, manifest.body)
        yield from walk.faults


@cache
def _package(
    minor: int,
) -> tuple[Types, Mapping[tuple[str, str], str]] | None:
    """The types of a release, and the names of its kinds.

    `kubernetes_validate.validate` reads two megabytes for each object, and ends at the first error.
    """
    found = find_spec(_PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found else []
    try:
        path = Path(folders[0]) / _SCHEMAS / f"v1.{minor}.0-local-strict" / "_definitions.json"
        read = json.loads(path.read_text(encoding="utf-8"))
        definitions: dict[str, Any] = read["$defs"]
    except (OSError, ValueError, LookupError):
        return None
    kinds = {
        (f"{one['group']}/{one['version']}".lstrip("/"), one["kind"]): name
        for name, schema in definitions.items()
        for one in schema.get("x-kubernetes-group-version-kind", ())
    }

    def load(name: str) -> tuple[Mapping[str, Any], Sequence[str]] | None:
        schema = definitions.get(name)
        if schema is None or "properties" not in schema:
            return None
        fields = {key: _type(one) for key, one in schema["properties"].items()}
        return fields, schema.get("required", ())

    return Types(load, minor), kinds


_PLAIN = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "string",
}


def _type(schema: Mapping[str, Any]) -> str:
    """The type of a field, in the notation of the tables."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        return _PLAIN.get(name, name)
    kinds = schema.get("type", "any")
    kind = kinds if isinstance(kinds, str) else next(one for one in kinds if one != "null")
    if kind == "array":
        return f"[{_type(schema['items'])}]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"{{{_type(more)}}}" if isinstance(more, dict) else "any"
    return kind
