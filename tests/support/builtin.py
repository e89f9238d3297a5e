"""The schemas of Kubernetes' own kinds, one set for each release."""

import functools
import json
from importlib.resources import files
from typing import Any

from .engine import Strict, formats
from .syntax import words

ALL_RELEASES = tuple(f"1.{minor}" for minor in range(27, 38))
NEWEST = ALL_RELEASES[-1]

CLUSTER_SCOPED = words(
    """
    APIService CertificateSigningRequest ClusterRole ClusterRoleBinding ClusterTrustBundle
    CSIDriver CSINode CustomResourceDefinition DeviceClass FlowSchema IngressClass IPAddress
    MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration Namespace
    Node PersistentVolume PriorityClass PriorityLevelConfiguration ResourceSlice RuntimeClass
    ServiceCIDR StorageClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
    ValidatingWebhookConfiguration VolumeAttachment VolumeAttributesClass
    """,
)


def _read(release: str, name: str) -> Any:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{release}.0-local-strict"
    return json.loads((folder / name).read_text(encoding="utf-8"))


def _resolved(node: Any, targets: dict[str, dict[str, Any]]) -> Any:
    # References become shared objects: a lookup per reference is what costs the 10-30 ms.
    if isinstance(node, list):
        return [_resolved(item, targets) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        return targets[reference.rpartition("/")[2]]
    return {
        key: _resolved(item, targets)
        for key, item in node.items()
        if not (key == "description" and isinstance(item, str))
    }


@functools.cache
def _definitions(release: str) -> dict[str, dict[str, Any]]:
    raw: dict[str, Any] = _read(release, "_definitions.json")["$defs"]
    targets: dict[str, dict[str, Any]] = {name: {} for name in raw}
    for name, body in raw.items():
        targets[name].update(_resolved(body, targets), **{"x-definition": name})
    return targets


def definition(name: str, release: str = NEWEST) -> dict[str, Any]:
    """Return the schema of a type by the end of its name, such as `core.v1.PodSpec`."""
    found = [body for key, body in _definitions(release).items() if key.endswith(f".{name}")]
    if len(found) != 1:
        raise LookupError(f"{len(found)} definitions end in {name!r} in {release}")
    return found[0]


@functools.cache
def schema(release: str, api_version: str, kind: str) -> dict[str, Any] | None:
    """Return the schema of a kind in a release, or None where the release has no such kind."""
    group, _, version = api_version.rpartition("/")
    stem = "-".join(filter(None, (kind.lower(), group.partition(".")[0], version)))
    try:
        raw = _read(release, f"{stem}.json")
    except (FileNotFoundError, OSError):
        return None
    # The file name has neither the group's domain nor the kind's capitals.
    known = raw.get("x-kubernetes-group-version-kind", [])
    if {"group": group, "version": version, "kind": kind} not in known:
        return None
    found: dict[str, Any] = _resolved(raw, _definitions(release))
    for keyword in ("$id", "$schema"):
        found.pop(keyword, None)
    return {**found, "x-definition": f"{api_version}.{kind}"}


@functools.cache
def validator(release: str, api_version: str, kind: str) -> Any:
    """Return the compiled validator of a kind in a release, or None."""
    found = schema(release, api_version, kind)
    return None if found is None else Strict(found, format_checker=formats)


def newest_schema(api_version: str, kind: str) -> dict[str, Any] | None:
    """Return the schema of a kind in the newest release that has it."""
    found = (schema(release, api_version, kind) for release in reversed(ALL_RELEASES))
    return next((one for one in found if one is not None), None)
