"""Immutable fields: what the API server refuses to change, by kind.

Kubernetes 1.37, pkg/apis/*/validation; the same in 1.34 where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from vllm_constructs.reading.fields import strings

from .changes import Absent, Change
from .compared import Compared, Refusal
from .immutable_pods import job, pod
from .immutable_services import service
from .immutable_storage import claim, volume
from .leftovers import leftovers

_Judge: TypeAlias = Callable[[Compared], Iterator[Refusal]]

_RENAME = "give it another name"
_REPLACE = "delete the object first, or give it another name"
_SELECTOR = (
    "keep the selector; or give the object another name, and delete the old one when the new pods "
    "are ready"
)
_ORPHAN = (
    "delete it with kubectl delete --cascade=orphan, which leaves its pods and claims, and apply "
    "again"
)
_RECREATE = "delete the object first: kubectl replace --force does both"
_RBAC = "rbac.authorization.k8s.io"
_CEL = "API server, by a rule of the CRD"

# By group and kind, fields that cannot be changed, each with what to do.
_FIELDS: dict[tuple[str, str], tuple[tuple[tuple[str, ...], str], ...]] = {
    ("apps", "ControllerRevision"): ((("data",), _RENAME),),
    ("apps", "DaemonSet"): ((("spec", "selector"), _SELECTOR),),
    ("apps", "Deployment"): ((("spec", "selector"), _SELECTOR),),
    ("apps", "ReplicaSet"): ((("spec", "selector"), _SELECTOR),),
    ("apps", "StatefulSet"): (
        (("spec", "selector"), _SELECTOR),
        (("spec", "serviceName"), _ORPHAN),
        (("spec", "podManagementPolicy"), _ORPHAN),
        (("spec", "volumeClaimTemplates"), f"{_ORPHAN}; claims that exist stay as they are"),
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): tuple(
        (path, "a CRD of another name is needed; to delete this one deletes all its objects")
        for path in (
            ("spec", "group"),
            ("spec", "names", "kind"),
            ("spec", "names", "plural"),
            ("spec", "scope"),
        )
    ),
    ("discovery.k8s.io", "EndpointSlice"): ((("addressType",), _REPLACE),),
    ("gateway.networking.k8s.io", "GatewayClass"): ((("spec", "controllerName"), _RENAME),),
    ("networking.k8s.io", "IngressClass"): ((("spec", "controller"), _REPLACE),),
    ("node.k8s.io", "RuntimeClass"): ((("handler",), _REPLACE),),
    (_RBAC, "ClusterRoleBinding"): ((("roleRef",), _RECREATE),),
    (_RBAC, "RoleBinding"): ((("roleRef",), _RECREATE),),
    ("resource.k8s.io", "ResourceClaim"): ((("spec",), _RENAME),),
    ("resource.k8s.io", "ResourceClaimTemplate"): ((("spec",), _RENAME),),
    ("resource.nvidia.com", "ComputeDomain"): ((("spec",), _RENAME),),
    ("scheduling.k8s.io", "PriorityClass"): (
        (("value",), _REPLACE),
        (("preemptionPolicy",), _REPLACE),
    ),
    ("storage.k8s.io", "CSIDriver"): (
        (("spec", "attachRequired"), _RECREATE),
        (("spec", "volumeLifecycleModes"), _RECREATE),
    ),
    ("storage.k8s.io", "StorageClass"): tuple(
        ((field,), "give it another name; volumes that exist stay as they are")
        for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
    ),
    ("storage.k8s.io", "VolumeAttributesClass"): (
        (("driverName",), _RENAME),
        (("parameters",), _RENAME),
    ),
}
_HOOKS = ("argocd.argoproj.io/hook", "helm.sh/hook")
_SYNC = "argocd.argoproj.io/sync-options"
# Kinds whose CRD has the rule.
_BY_CRD = {("gateway.networking.k8s.io", "GatewayClass"), ("resource.nvidia.com", "ComputeDomain")}


def refusals(one: Compared) -> list[Refusal]:
    """What is refused of the changes of an object.

    Args:
        one: The object before and after.
    """
    if not one.changes:
        return []
    found = []
    for path, advice in _FIELDS.get(one.kind, ()):
        for change in one.changed(*path):
            by = _CEL if one.kind in _BY_CRD else "API server"
            found.append(
                Refusal(
                    manifest=one.new,
                    change=change,
                    reason=f"{'.'.join(path)} cannot be changed",
                    advice=advice,
                    by=by,
                )
            )
    judge = _JUDGES.get(one.kind)
    found += judge(one) if judge is not None else ()
    found += leftovers(one)
    unless = _made_again(one)
    return [replace(refusal, unless=refusal.unless or unless) for refusal in found]


def _made_again(one: Compared) -> str:
    """Why an object may be deleted and made again instead of changed; empty if it is not."""
    annotations = one.new.annotations
    if any(key in annotations for key in _HOOKS):
        return "Helm or Argo CD runs it as a hook, which deletes it before"
    if any(word in str(annotations.get(_SYNC)) for word in ("Force=true", "Replace=true")):
        return f"Argo CD replaces it ({_SYNC})"
    seconds = one.both("spec", "ttlSecondsAfterFinished")[0]
    if one.kind == ("batch", "Job") and seconds is not Absent and not one.is_live:
        return f"it has ended, and been deleted {seconds} seconds later"
    return ""


def _data(one: Compared) -> Iterator[Refusal]:
    """ConfigMaps and Secrets that are immutable; and the type of a Secret."""
    if one.kind[1] == "Secret":
        for change in one.changed("type"):
            yield _refused(one, change, "the type of a Secret cannot be changed", _REPLACE)
    if one.both("immutable")[0] is not True:
        return
    for field in ("immutable", "data", "binaryData"):
        for change in one.changed(field):
            reason = "it cannot be changed while it is immutable, nor be made mutable again"
            advice = "give it another name, and pods that name it roll to it"
            yield _refused(one, change, reason, advice)


def _quota(one: Compared) -> Iterator[Refusal]:
    before, after = (set(strings(value)) for value in one.both("spec", "scopes"))
    for change in one.changed("spec", "scopes") if before != after else ():
        yield _refused(one, change, "the scopes of a quota cannot be changed", _REPLACE)


def _group(one: Compared) -> Iterator[Refusal]:
    """The sub-groups of a LeaderWorkerSet (its webhook, release 0.10)."""
    policy = ("spec", "leaderWorkerTemplate", "subGroupPolicy")
    has = [isinstance(value, dict) for value in one.both(*policy)]
    size = () if has[0] != has[1] else ("subGroupSize",)
    for change in one.changed(*policy, *size):
        yield Refusal(
            manifest=one.new,
            change=change,
            reason="sub-groups cannot be added, removed or resized",
            advice=_REPLACE,
            by="webhook of LeaderWorkerSet",
        )


def _refused(one: Compared, change: Change, reason: str, advice: str) -> Refusal:
    return Refusal(manifest=one.new, change=change, reason=reason, advice=advice)


_JUDGES: dict[tuple[str, str], _Judge] = {
    ("", "ConfigMap"): _data,
    ("", "PersistentVolume"): volume,
    ("", "PersistentVolumeClaim"): claim,
    ("", "Pod"): pod,
    ("", "ResourceQuota"): _quota,
    ("", "Secret"): _data,
    ("", "Service"): service,
    ("batch", "Job"): job,
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): _group,
}
