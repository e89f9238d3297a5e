"""Whether a manifest is one that a cluster of each release would take."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

# Importing these hangs their rules on the types.
from . import rules_meta, rules_objects, rules_pod  # noqa: F401
from .builtin import ALL_RELEASES, CLUSTER_SCOPED, definition, newest_schema, schema, validator
from .crds import crd, crds_available, defaulted
from .engine import Strict, formats, problems
from .provider_schemas import SPECS, provider_schema
from .rules_crds import embedded_problems, webhook_problems
from .syntax import (
    dns_1035_problems,
    dns_label_problems,
    dns_subdomain_problems,
    path_segment_problems,
)
from .tables import gate_problems
from .walk import nodes, rule_problems

Manifest = dict[str, Any]

WITHOUT_SCHEMA = frozenset(SPECS)

_NAMES = {
    "ClusterRole": path_segment_problems,
    "ClusterRoleBinding": path_segment_problems,
    "LeaderWorkerSet": dns_1035_problems,
    "Namespace": dns_label_problems,
    "Role": path_segment_problems,
    "RoleBinding": path_segment_problems,
    # A digit in front is legal only in the newest releases.
    "Service": dns_1035_problems,
}
# What is added to these names has to fit beside them into a label of 63 characters.
_NAME_LIMITS = {"CronJob": 52, "Job": 63, "StatefulSet": 52}


def validate(
    manifest: Manifest,
    *,
    releases: Iterable[str] = ALL_RELEASES,
    require_namespace: bool = True,
) -> list[str]:
    """Check one object as strictly as a cluster, its admission and its controllers do.

    Args:
        manifest: The object.
        releases: The Kubernetes releases that must take it, such as "1.31".
        require_namespace: Whether a namespaced object must say its namespace.

    Returns:
        One sentence for each problem; nothing for a valid object.
    """
    found = [*_plain_problems(manifest, "")]
    if found:
        return found
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return ["apiVersion and kind: both are needed"]
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return ["metadata.name: an object needs a name"]
    checks = {
        "built in": lambda: _builtin_problems(manifest, tuple(releases)),
        "custom": lambda: _custom_problems(manifest),
        "provider": lambda: _provider_problems(manifest),
    }
    check = checks.get(_origin(api_version, kind))
    if check is None:
        return [f"no schema is at hand for {kind} of {api_version}"]
    found = [*check(), *_name_problems(manifest), *_scope_problems(manifest, require_namespace)]
    return list(dict.fromkeys(found))


def assert_valid(
    *manifests: Manifest,
    releases: Iterable[str] = ALL_RELEASES,
    require_namespace: bool = True,
) -> None:
    """Fail with every problem of some objects.

    Where the CRDs are not at hand the other objects are still checked, then the test is skipped.
    """
    releases = tuple(releases)
    report, unseen = [], []
    for one in manifests:
        name = f"{one.get('kind')}/{one.get('metadata', {}).get('name')}"
        origin = _origin(str(one.get("apiVersion")), str(one.get("kind")))
        if not crds_available() and origin == "unknown":
            unseen.append(name)
            continue
        found = validate(one, releases=releases, require_namespace=require_namespace)
        report += [f"{name}: {problem}" for problem in found]
    assert not report, "\n".join(report)
    if unseen:
        pytest.skip(f"the CRDs are not at hand, so these are unchecked: {', '.join(unseen)}")


@functools.cache
def _origin(api_version: str, kind: str) -> str:
    if newest_schema(api_version, kind) is not None:
        return "built in"
    if (api_version, kind) in WITHOUT_SCHEMA:
        return "provider"
    try:
        return "custom" if crd(api_version, kind) is not None else "unknown"
    except LookupError:
        return "custom"


# Helm takes a null for "without the chart's own value" (Helm, "Deleting a default key").
_HELM_VALUES = (".spec.values.", ".spec.source.helm.valuesObject.")


def _plain_problems(value: Any, path: str) -> Iterator[str]:
    where = path.lstrip(".") or "the object"
    if value is None:
        if not path.startswith(_HELM_VALUES):
            yield f"{where}: null"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: {value} is not a number of JSON"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _plain_problems(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _plain_problems(item, f"{path}.{key}")
            else:
                yield f"{where}: the key {key!r} is not a text"
    elif not isinstance(value, str | int | float):
        yield f"{where}: a {type(value).__name__} is not a value of JSON"


def _builtin_problems(manifest: Manifest, releases: tuple[str, ...]) -> Iterator[str]:
    api_version, kind = manifest["apiVersion"], manifest["kind"]
    by_problem: dict[str, list[str]] = {}
    for release in releases:
        if release not in ALL_RELEASES:
            raise ValueError(f"{release!r} is not one of {', '.join(ALL_RELEASES)}")
        for problem in _release_problems(manifest, release):
            by_problem.setdefault(problem, []).append(release)
    for problem, where in by_problem.items():
        yield problem if len(where) == len(releases) else f"{problem} (in {', '.join(where)})"
    # Rules look into fields by their type: on an object of another shape they would stumble.
    newest = newest_schema(api_version, kind)
    if newest is not None and not by_problem:
        yield from rule_problems(manifest, newest)


def _release_problems(manifest: Manifest, release: str) -> list[str]:
    api_version, kind = manifest["apiVersion"], manifest["kind"]
    known = schema(release, api_version, kind)
    if known is None:
        return [f"apiVersion: no {kind} of {api_version}"]
    found = problems(validator(release, api_version, kind), manifest)
    if not found:
        found = [one for node in nodes(manifest, known) for one in gate_problems(node, release)]
    return found


def _custom_problems(manifest: Manifest) -> Iterator[str]:
    try:
        known = crd(manifest["apiVersion"], manifest["kind"])
    except LookupError as error:
        yield f"apiVersion: {error}"
        return
    assert known is not None
    # The API server fills in defaults before it checks, and CEL rules rely on them.
    whole = defaulted(manifest, known.schema)
    found = problems(known.strict, whole) or problems(known.rules, whole)
    yield from found
    if not found:
        yield from rule_problems(manifest["metadata"], definition("meta.v1.ObjectMeta"), "metadata")
        yield from embedded_problems(manifest)
        yield from webhook_problems(manifest)


def _provider_problems(manifest: Manifest) -> Iterator[str]:
    metadata = definition("meta.v1.ObjectMeta")
    known = provider_schema(manifest["apiVersion"], manifest["kind"], metadata)
    found = problems(Strict(known, format_checker=formats), manifest)
    yield from found
    if not found:
        yield from rule_problems(manifest["metadata"], metadata, "metadata")


def _name_problems(manifest: Manifest) -> Iterator[str]:
    name, kind = manifest["metadata"]["name"], manifest["kind"]
    for problem in _NAMES.get(kind, dns_subdomain_problems)(name):
        yield f"metadata.name: {problem}"
    limit = _NAME_LIMITS.get(kind)
    if limit is not None and len(name) > limit:
        yield f"metadata.name: {len(name)} characters are more than {limit}"


def _scope_problems(manifest: Manifest, require_namespace: bool) -> Iterator[str]:  # noqa: FBT001
    kind, has = manifest["kind"], "namespace" in manifest["metadata"]
    if _is_cluster_scoped(manifest["apiVersion"], kind):
        if has:
            yield f"metadata.namespace: a {kind} lies in no namespace"
    elif require_namespace and not has:
        yield f"metadata.namespace: a {kind} needs one"


@functools.cache
def _is_cluster_scoped(api_version: str, kind: str) -> bool:
    origin = _origin(api_version, kind)
    if origin == "built in":
        return kind in CLUSTER_SCOPED
    try:
        known = crd(api_version, kind) if origin == "custom" else None
    except LookupError:
        return False
    return known is not None and known.cluster_scoped
