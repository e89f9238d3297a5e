"""API versions: those that are gone, what came in their place, and those that never were."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped

from .kind_tables import tables

# Groups that the API server itself has; in others a kind may be anybody's.
_BUILT_IN = ("", "apps", "autoscaling", "batch", "extensions", "policy")
_DOMAIN = "k8s.io"
# By API version, the first minor release without it, and what came in its place for some kinds.
_GONE: Mapping[str, tuple[int, Mapping[str, str]]] = {
    "apiextensions.k8s.io/v1beta1": (
        22,
        {"CustomResourceDefinition": "apiextensions.k8s.io/v1"},
    ),
    "admissionregistration.k8s.io/v1beta1": (
        22,
        dict.fromkeys(
            ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
            "admissionregistration.k8s.io/v1",
        ),
    ),
    "apps/v1beta1": (16, dict.fromkeys(("Deployment", "StatefulSet"), "apps/v1")),
    "apps/v1beta2": (
        16,
        dict.fromkeys(("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"), "apps/v1"),
    ),
    "autoscaling/v2beta1": (25, {"HorizontalPodAutoscaler": "autoscaling/v2"}),
    "autoscaling/v2beta2": (26, {"HorizontalPodAutoscaler": "autoscaling/v2"}),
    "batch/v1beta1": (25, {"CronJob": "batch/v1"}),
    "batch/v2alpha1": (21, {"CronJob": "batch/v1"}),
    "coordination.k8s.io/v1beta1": (22, {"Lease": "coordination.k8s.io/v1"}),
    "discovery.k8s.io/v1beta1": (25, {"EndpointSlice": "discovery.k8s.io/v1"}),
    "extensions/v1beta1": (
        16,
        {
            **dict.fromkeys(("DaemonSet", "Deployment", "ReplicaSet"), "apps/v1"),
            **dict.fromkeys(("Ingress", "NetworkPolicy"), "networking.k8s.io/v1"),
        },
    ),
    "networking.k8s.io/v1beta1": (
        22,
        dict.fromkeys(("Ingress", "IngressClass"), "networking.k8s.io/v1"),
    ),
    "node.k8s.io/v1beta1": (25, {"RuntimeClass": "node.k8s.io/v1"}),
    "policy/v1beta1": (25, {"PodDisruptionBudget": "policy/v1", "PodSecurityPolicy": ""}),
    "rbac.authorization.k8s.io/v1alpha1": (
        22,
        dict.fromkeys(
            ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
            "rbac.authorization.k8s.io/v1",
        ),
    ),
    "rbac.authorization.k8s.io/v1beta1": (
        22,
        dict.fromkeys(
            ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
            "rbac.authorization.k8s.io/v1",
        ),
    ),
    "scheduling.k8s.io/v1beta1": (22, {"PriorityClass": "scheduling.k8s.io/v1"}),
    "storage.k8s.io/v1beta1": (
        22,
        dict.fromkeys(("CSIDriver", "CSINode", "StorageClass"), "storage.k8s.io/v1"),
    ),
}
# Those of operators, whose newest releases do not serve them.
_GONE_OF_OPERATORS = {
    ("keda.k8s.io/v1alpha1", "ScaledObject"): ("KEDA 2.0", "keda.sh/v1alpha1"),
    ("keda.k8s.io/v1alpha1", "TriggerAuthentication"): ("KEDA 2.0", "keda.sh/v1alpha1"),
    ("inference.networking.x-k8s.io/v1alpha2", "InferencePool"): (
        "Gateway API Inference Extension 1.5",
        "inference.networking.k8s.io/v1",
    ),
}
# The new version has the same fields.
_SAME = ("autoscaling/v2beta2", "batch/v1beta1", "scheduling.k8s.io/v1beta1")


def wrong_version(api_version: str, kind: str) -> tuple[Problem, str] | None:
    """Why the cluster does not have a kind in a version, and the right one, which may be empty.

    None if it may have it.

    Args:
        api_version: The API version.
        kind: The kind.
    """
    release, others = _GONE.get(api_version, (0, {}))
    if kind in others:
        since = f"Kubernetes 1.{release}"
        return _gone(api_version, kind, since, others[kind]), others[kind]
    if (api_version, kind) in _GONE_OF_OPERATORS:
        since, right = _GONE_OF_OPERATORS[api_version, kind]
        return _gone(api_version, kind, since, right), right
    group = api_version.rpartition("/")[0]
    known = _versions().get(kind, ())
    is_built_in = group in _BUILT_IN or group.endswith(f".{_DOMAIN}")
    # A group may have other versions of a kind, and anybody's group a kind of the same name.
    if not known or not is_built_in or group in {one.rpartition("/")[0] for one in known}:
        return None
    text = f"is {escaped(require.shown(api_version))}, which has no {kind}"
    problem = Problem(where="apiVersion", text=text, allowed=" or ".join(map(repr, known)))
    return problem, known[0] if len(known) == 1 else ""


def _gone(api_version: str, kind: str, since: str, right: str) -> Problem:
    text = f"is {api_version}, whose {kind} is gone since {since}"
    advice = f"write {right}, and see whether its fields are the same" if right else "leave it out"
    if api_version in _SAME:
        advice = f"write {right}, which has the same fields"
    return Problem(where="apiVersion", text=text, advice=advice)


def has_same_fields(api_version: str) -> bool:
    """Whether the version that came in the place of one that is gone has the same fields.

    Args:
        api_version: The version that is gone.
    """
    return api_version in _SAME


@cache
def _versions() -> dict[str, tuple[str, ...]]:
    """The versions of each built-in kind."""
    found: dict[str, list[str]] = {}
    read = tables()
    for key in read.kinds:
        api_version, _, kind = key.partition(" ")
        if api_version.rpartition("/")[0] not in read.owners:
            found.setdefault(kind, []).append(api_version)
    return {kind: tuple(versions) for kind, versions in found.items()}
