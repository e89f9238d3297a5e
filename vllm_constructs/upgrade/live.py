"""Objects of a cluster, as `kubectl get -o yaml` shows them, without what others have added.

An apply removes a field only if it was applied before. What was is in `managedFields` and in the
annotation of client-side apply. An object without either keeps what the cluster is known to add;
of custom resources, whose defaults are not known, everything that the manifest leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.pods import pods_of

from .changes import names_of
from .defaults import has_defaults
from .objects import group_kind
from .stored import encoded

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Managers of clients that apply without server-side apply.
_CLIENTS = {"Helm", "argocd-controller", "helm", "kubectl-client-side-apply", "kubectl-create"}
_Owned: TypeAlias = "dict[str, Any]"

# Items of lists that every pod gets as it is admitted; their names begin so.
_ADMITTED = (
    "kube-api-access-",
    "node.kubernetes.io/",
    "/var/run/secrets/kubernetes.io/serviceaccount",
)
_DEFAULT_NUMBERS = (
    {"maxSurge": "25%", "maxUnavailable": "25%"},
    {"maxSurge": 0, "maxUnavailable": 1},
    {"partition": 0},
    {"maxUnavailable": 1, "partition": 0},
)
# By group and kind, the fields that the cluster sets.
_SET_BY_CLUSTER: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    ("", "Namespace"): (("spec",),),
    ("", "PersistentVolume"): (("spec", "claimRef"), ("spec", "nodeAffinity")),
    ("", "PersistentVolumeClaim"): (
        ("spec", "dataSource"),
        ("spec", "dataSourceRef"),
        ("spec", "storageClassName"),
        ("spec", "volumeName"),
    ),
    ("", "ReplicationController"): (("spec", "replicas"),),
    ("", "Service"): (
        ("spec", "clusterIP"),
        ("spec", "clusterIPs"),
        ("spec", "healthCheckNodePort"),
        ("spec", "ipFamilies"),
        ("spec", "ipFamilyPolicy"),
        ("spec", "loadBalancerClass"),
    ),
    ("", "ServiceAccount"): (("secrets",), ("imagePullSecrets",)),
    ("apps", "Deployment"): (("spec", "replicas"),),
    ("apps", "ReplicaSet"): (("spec", "replicas"),),
    ("apps", "StatefulSet"): (("spec", "replicas"),),
    ("batch", "Job"): (
        ("spec", "selector"),
        ("spec", "suspend"),
        ("spec", "template", "metadata", "labels", "batch.kubernetes.io/controller-uid"),
        ("spec", "template", "metadata", "labels", "batch.kubernetes.io/job-name"),
        ("spec", "template", "metadata", "labels", "controller-uid"),
        ("spec", "template", "metadata", "labels", "job-name"),
    ),
    ("networking.k8s.io", "Ingress"): (("spec", "ingressClassName"),),
}
_SET_BY_ANYBODY = (
    ("metadata", "annotations"),
    ("metadata", "finalizers"),
    ("metadata", "labels"),
    ("metadata", "ownerReferences"),
    # Of `kubectl rollout restart`.
    ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"),
)


def is_live(manifest: Manifest) -> bool:
    """Whether an object was read from a cluster.

    Args:
        manifest: The object.
    """
    metadata = mapping(manifest.body.get("metadata"))
    return any(metadata.get(key) for key in ("managedFields", "resourceVersion", "uid"))


def is_bare(manifest: Manifest) -> bool:
    """Whether an object of a cluster does not tell who has set its fields.

    Args:
        manifest: The object.
    """
    return is_live(manifest) and not _owned_fields(manifest)


def without_additions(old: Manifest, new: Manifest) -> dict[str, Any]:
    """An object of a cluster without what others than the manifests have put there.

    Args:
        old: The object before; one of a file is as it was applied.
        new: The manifest that is applied next.
    """
    if not is_live(old):
        return old.body
    # Any version of an object may be shown.
    body: dict[str, Any] = {**old.body, "apiVersion": new.body.get("apiVersion")}
    after = encoded(new.body)
    owned = _owned_fields(old)
    if owned or not has_defaults(old):
        found: dict[str, Any] = _kept(
            body, after, owned or {"metadata": {}}, has_items=not has_defaults(old)
        )
        return found
    for path in (*_SET_BY_ANYBODY, *_SET_BY_CLUSTER.get(group_kind(old), ())):
        body = _without(body, after, path)
    if group_kind(old) == ("", "Service"):
        body = _without_node_ports(body, new)
    return body


def owned_part(old: Manifest, kept: dict[str, Any]) -> dict[str, Any]:
    """What has been applied of an object, without defaults that an apply leaves there.

    Args:
        old: The object before.
        kept: The object without what others have put there.
    """
    if not is_bare(old):
        return kept
    for pod in pods_of(Manifest(kept)):
        # The API server writes this name of the account, and never takes it back.
        kept = _without(kept, {}, (*map(str, pod.path), "serviceAccount"))
    spec = mapping(kept.get("spec"))
    for field in ("strategy", "updateStrategy"):
        strategy = mapping(spec.get(field))
        if strategy.get("rollingUpdate") in _DEFAULT_NUMBERS:
            # Nobody writes them out.
            own = {key: one for key, one in strategy.items() if key != "rollingUpdate"}
            spec = {**spec, field: own}
    return {**kept, "spec": spec} if spec else kept


def _owned_fields(old: Manifest) -> _Owned:
    """What has been applied of an object; nothing if it does not tell."""
    return (
        _managed(old, is_applied=True)
        or _last_applied(old)
        or _managed(old, is_applied=False)
        or {}
    )


def _last_applied(old: Manifest) -> _Owned | None:
    """What client-side apply has written about the last manifest."""
    text = old.annotations.get(LAST_APPLIED)
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return encoded(found) if isinstance(found, dict) else None


def _managed(old: Manifest, *, is_applied: bool) -> _Owned:
    """What clients own that apply manifests, by `managedFields`.

    Args:
        old: The object.
        is_applied: Whether they use server-side apply.
    """
    owned: dict[str, Any] = {}
    entries = map(mapping, items(mapping(old.body.get("metadata")).get("managedFields")))
    for entry in entries:
        if entry.get("subresource"):
            continue
        is_client = entry.get("operation") == "Apply" or (
            not is_applied and str(entry.get("manager")) in _CLIENTS
        )
        if is_client:
            fields = mapping(entry.get("fieldsV1"))
            owned = _merged(owned, _owned(old.body, fields, is_known=has_defaults(old)))
    return owned


def _owned(value: object, fields: Mapping[str, Any], *, is_known: bool) -> Any:
    """The part of a value that a set of fields names.

    A mapping or list with one owner has defaults in it, which nobody has applied. Where they are
    not known, only the field itself is owned.
    """
    fields = {str(key): inner for key, inner in fields.items()}
    if not fields:
        is_whole = is_known or not isinstance(value, (dict, list))
        return value if is_whole else type(value)()
    if isinstance(value, dict):
        return {
            key[2:]: _owned(value[key[2:]], mapping(inner), is_known=is_known)
            for key, inner in fields.items()
            if key.startswith("f:") and key[2:] in value
        }
    if isinstance(value, list) and any(key.startswith("k:") for key in fields):
        return [
            {**_owned(item, mapping(inner), is_known=is_known), **keys}
            for key, inner in fields.items()
            if key.startswith("k:") and (keys := _json(key[2:])) is not None
            for item in value
            if isinstance(item, dict) and keys.items() <= item.items()
        ]
    return value


def _json(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _merged(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict):
        return {
            key: _merged(first.get(key), second[key]) if key in second else first[key]
            for key in dict.fromkeys((*first, *second))
        }
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *second]
    return second


def _kept(old: Any, new: object, owned: object, *, has_items: bool) -> Any:
    """A value without the fields that neither the manifest nor the last one has.

    Args:
        old: The value.
        new: What the manifest has.
        owned: What the last one had, as far as it is known.
        has_items: Whether items of lists are kept of which it is not known who has put them there.
    """
    if isinstance(old, dict):
        after, before = mapping(new), mapping(owned)
        return {
            key: _kept(one, after.get(key), before.get(key), has_items=has_items)
            for key, one in old.items()
            if after.get(key) is not None or key in before
        }
    if not isinstance(old, list):
        return old
    after_items, before_items = items(new), items(owned)
    if not all(isinstance(item, dict) for item in (*old, *after_items, *before_items)):
        return old
    names = names_of(old, after_items, before_items) or [
        [str(i) for i in range(len(one))] for one in (old, after_items, before_items)
    ]
    named_after = dict(zip(names[1], after_items, strict=True))
    named_before = dict(zip(names[2], before_items, strict=True))
    return [
        _kept(item, named_after.get(name), named_before.get(name), has_items=has_items)
        if name in named_after or name in named_before
        else item
        for name, item in zip(names[0], old, strict=True)
        if name in named_after
        or name in named_before
        or (has_items and not before_items and not name.startswith(_ADMITTED))
    ]


def _without(old: Any, new: object, path: tuple[str, ...]) -> Any:
    """A value without the field at a path, or the keys of a map there, that the manifest lacks."""
    if not isinstance(old, dict):
        return old
    step, *rest = path
    if step not in old:
        return old
    after = mapping(new)
    if rest:
        return {**old, step: _without(old[step], after.get(step), tuple(rest))}
    if step in ("annotations", "labels"):
        kept = {key: one for key, one in mapping(old[step]).items() if key in mapping(after, step)}
        return {**old, step: kept}
    return old if step in after else {key: one for key, one in old.items() if key != step}


def _without_node_ports(body: dict[str, Any], new: Manifest) -> dict[str, Any]:
    """A Service without the ports on nodes that the manifest does not choose."""
    ports, after = items(mapping(body, "spec").get("ports")), items(new.spec.get("ports"))
    names = names_of(ports, after)
    if names is None:
        return body
    chosen = {name for name, port in zip(names[1], after, strict=True) if "nodePort" in port}
    kept = [
        port
        if name in chosen
        else {key: one for key, one in mapping(port).items() if key != "nodePort"}
        for name, port in zip(names[0], ports, strict=True)
    ]
    return {**body, "spec": {**mapping(body, "spec"), "ports": kept}}
