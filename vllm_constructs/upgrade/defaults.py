"""The defaults that the API server writes into objects, by group and kind.

Kubernetes 1.37, pkg/apis/*/v1/defaults.go; LeaderWorkerSet 0.10, its webhook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.pods import pods_of

from .objects import group_kind
from .pod_defaults import complete_claim, complete_pod, mappings

_GroupKind: TypeAlias = "tuple[str, str]"

_RBAC = "rbac.authorization.k8s.io"
_ROLLING = {"type": "RollingUpdate"}
# By group and kind, the fields that lead to a mapping, and its defaults.
_DEFAULTS: dict[_GroupKind, tuple[tuple[tuple[str, ...], dict[str, Any]], ...]] = {
    ("", "PersistentVolume"): (
        (
            ("spec",),
            {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
        ),
        (("spec", "hostPath"), {"type": ""}),
    ),
    ("", "ReplicationController"): ((("spec",), {"replicas": 1}),),
    ("", "Secret"): (((), {"type": "Opaque"}),),
    ("", "Service"): ((("spec",), {"type": "ClusterIP", "sessionAffinity": "None"}),),
    ("apps", "DaemonSet"): (
        (("spec",), {"revisionHistoryLimit": 10}),
        (("spec", "updateStrategy"), _ROLLING),
    ),
    ("apps", "Deployment"): (
        (("spec",), {"progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10}),
        (("spec", "strategy"), _ROLLING),
    ),
    ("apps", "ReplicaSet"): ((("spec",), {"replicas": 1}),),
    ("apps", "StatefulSet"): (
        (
            ("spec",),
            {
                "podManagementPolicy": "OrderedReady",
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "serviceName": "",
            },
        ),
        (("spec", "updateStrategy"), _ROLLING),
        (
            ("spec", "persistentVolumeClaimRetentionPolicy"),
            {"whenDeleted": "Retain", "whenScaled": "Retain"},
        ),
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): ((("spec",), {"minReplicas": 1}),),
    ("batch", "CronJob"): (
        (
            ("spec",),
            {
                "concurrencyPolicy": "Allow",
                "failedJobsHistoryLimit": 1,
                "successfulJobsHistoryLimit": 3,
                "suspend": False,
            },
        ),
    ),
    ("batch", "Job"): (
        (
            ("spec",),
            {"completionMode": "NonIndexed", "manualSelector": False, "suspend": False},
        ),
    ),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): (
        (("spec",), {"replicas": 1}),
        (
            ("spec", "leaderWorkerTemplate"),
            {"restartPolicy": "RecreateGroupOnPodRestart", "size": 1},
        ),
        (("spec", "networkConfig"), {"subdomainPolicy": "Shared"}),
        (("spec", "rolloutStrategy"), _ROLLING),
        (
            ("spec", "rolloutStrategy", "rollingUpdateConfiguration"),
            {"maxSurge": 0, "maxUnavailable": 1, "partition": 0},
        ),
    ),
    (_RBAC, "ClusterRoleBinding"): ((("roleRef",), {"apiGroup": _RBAC}),),
    (_RBAC, "RoleBinding"): ((("roleRef",), {"apiGroup": _RBAC}),),
    ("scheduling.k8s.io", "PriorityClass"): (
        ((), {"globalDefault": False, "preemptionPolicy": "PreemptLowerPriority"}),
    ),
    ("storage.k8s.io", "CSIDriver"): (
        (
            ("spec",),
            {
                "attachRequired": True,
                "fsGroupPolicy": "ReadWriteOnceWithFSType",
                "podInfoOnMount": False,
                "preventPodSchedulingIfMissing": False,
                "requiresRepublish": False,
                "seLinuxMount": False,
                "storageCapacity": False,
                "volumeLifecycleModes": ["Persistent"],
            },
        ),
    ),
    ("storage.k8s.io", "StorageClass"): (
        ((), {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
    ),
}
# Mappings that have defaults, but only if they are there.
_OPTIONAL = ("hostPath", "roleRef", "spec")


def complete(body: dict[str, Any]) -> None:
    """Write the defaults into an object.

    Args:
        body: The object, which is changed.
    """
    manifest = Manifest(body)
    for path, values in _DEFAULTS.get(group_kind(manifest), ()):
        place = _place(body, path)
        for key, value in values.items():
            place.setdefault(key, value)
    for pod in pods_of(manifest):
        if pod.is_whole:
            template = manifest.at(*pod.path[:-1])
            for field in ("metadata", "spec"):
                template.setdefault(field, {})
            complete_pod(mapping(template["spec"]))
    if (own := _COMPLETE.get(group_kind(manifest))) is not None:
        own(body)


def has_defaults(manifest: Manifest) -> bool:
    """Whether the defaults of an object's kind are known.

    Args:
        manifest: The object.
    """
    return group_kind(manifest) in _KNOWN


def _place(body: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The mapping at a path, which is made if it has to be there; another one if it is not."""
    place = body
    for step in path:
        if step not in place and step not in _OPTIONAL:
            place[step] = {}
        place = mapping(place.get(step))
    return place


def _rolling(field: str, **numbers: int | str) -> Callable[[dict[str, Any]], None]:
    """Completes the numbers of a rolling update."""

    def complete(body: dict[str, Any]) -> None:
        strategy = mapping(body, "spec", field)
        if strategy.get("type") == "RollingUpdate":
            rolling = mapping(strategy.setdefault("rollingUpdate", {}))
            for key, value in numbers.items():
                rolling.setdefault(key, value)

    return complete


# The second number has a default since 1.37, and older releases ignore it.
_rolling_stateful_set = _rolling("updateStrategy", partition=0, maxUnavailable=1)


def _stateful_set(body: dict[str, Any]) -> None:
    _rolling_stateful_set(body)
    for template in mappings(mapping(body.get("spec")).get("volumeClaimTemplates")):
        for field in ("apiVersion", "kind", "status"):
            template.pop(field, None)
        complete_claim(mapping(template.get("spec")))


def _labelled(body: dict[str, Any]) -> None:
    """An object without labels gets those of its pods."""
    metadata = mapping(body.get("metadata"))
    labels = mapping(body, "spec", "template", "metadata", "labels")
    if labels and not metadata.get("labels"):
        metadata["labels"] = labels


def _job(body: dict[str, Any]) -> None:
    _labelled(body)
    _complete_job(mapping(body.get("spec")))


def _controller(body: dict[str, Any]) -> None:
    _labelled(body)
    labels = mapping(body, "spec", "template", "metadata", "labels")
    spec = mapping(body.get("spec"))
    if labels and not spec.get("selector"):
        spec["selector"] = labels


def _complete_job(spec: dict[str, Any]) -> None:
    if "parallelism" not in spec:
        spec["parallelism"] = 1
        spec.setdefault("completions", 1)
    has_limit, has_policy = "backoffLimitPerIndex" in spec, "podFailurePolicy" in spec
    spec.setdefault("backoffLimit", 2**31 - 1 if has_limit else 6)
    spec.setdefault("podReplacementPolicy", "Failed" if has_policy else "TerminatingOrFailed")


def _cron_job(body: dict[str, Any]) -> None:
    spec = mapping(body, "spec", "jobTemplate", "spec")
    if spec:
        _complete_job(spec)
        for key, value in _DEFAULTS["batch", "Job"][0][1].items():
            spec.setdefault(key, value)


def _service(body: dict[str, Any]) -> None:
    spec = mapping(body.get("spec"))
    for port in mappings(spec.get("ports")):
        port.setdefault("protocol", "TCP")
        if "port" in port and not port.get("targetPort"):
            port["targetPort"] = port["port"]
    addresses = items(spec.get("clusterIPs"))
    if spec.get("clusterIP"):
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    elif addresses:
        spec["clusterIP"] = addresses[0]
    if spec.get("sessionAffinity") == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
    else:
        spec.pop("sessionAffinityConfig", None)
    kind = spec.get("type")
    is_open = kind in ("NodePort", "LoadBalancer")
    for field, value, is_needed in (
        ("externalTrafficPolicy", "Cluster", is_open or bool(spec.get("externalIPs"))),
        ("internalTrafficPolicy", "Cluster", kind != "ExternalName"),
        ("allocateLoadBalancerNodePorts", True, kind == "LoadBalancer"),
    ):
        if is_needed:
            spec.setdefault(field, value)
        elif spec.get(field) == value:
            # What follows from the type goes with it.
            del spec[field]


def _claim(body: dict[str, Any]) -> None:
    complete_claim(mapping(body.get("spec")))


def _namespace(body: dict[str, Any]) -> None:
    metadata = mapping(body.get("metadata"))
    labels = mapping(metadata.setdefault("labels", {}))
    labels.setdefault("kubernetes.io/metadata.name", metadata.get("name"))


def _binding(body: dict[str, Any]) -> None:
    for subject in mappings(body.get("subjects")):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", _RBAC)


def _policy(body: dict[str, Any]) -> None:
    spec = mapping(body.get("spec"))
    if spec and not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for direction in ("ingress", "egress"):
        for rule in mappings(spec.get(direction)):
            for port in mappings(rule.get("ports")):
                port.setdefault("protocol", "TCP")


def _scaler(body: dict[str, Any]) -> None:
    behavior = mapping(body, "spec", "behavior")
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    rules: dict[str, list[dict[str, Any]]] = {
        "scaleUp": [{"type": "Pods", "value": 4, "periodSeconds": 15}, percent],
        "scaleDown": [percent],
    }
    for direction, policies in rules.items() if behavior else ():
        rule = behavior.setdefault(direction, {})
        if isinstance(rule, dict):
            rule.setdefault("selectPolicy", "Max")
            rule.setdefault("policies", policies)
            if direction == "scaleUp":
                rule.setdefault("stabilizationWindowSeconds", 0)


def _devices(body: dict[str, Any]) -> None:
    spec = mapping(body.get("spec"))
    for one in (spec, mapping(spec.get("spec"))):
        for request in mappings(mapping(one, "devices").get("requests")):
            exactly = request.get("exactly")
            for part in (exactly, *mappings(request.get("firstAvailable"))):
                if isinstance(part, dict):
                    part.setdefault("allocationMode", "ExactCount")
                    if part["allocationMode"] == "ExactCount":
                        part.setdefault("count", 1)


def _class(body: dict[str, Any]) -> None:
    parameters = mapping(body, "spec", "parameters")
    if parameters:
        parameters.setdefault("scope", "Cluster")


_COMPLETE = {
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Namespace"): _namespace,
    ("", "ReplicationController"): _controller,
    ("", "Service"): _service,
    ("apps", "DaemonSet"): _rolling("updateStrategy", maxSurge=0, maxUnavailable=1),
    ("apps", "Deployment"): _rolling("strategy", maxSurge="25%", maxUnavailable="25%"),
    ("apps", "StatefulSet"): _stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): _scaler,
    ("batch", "CronJob"): _cron_job,
    ("batch", "Job"): _job,
    ("networking.k8s.io", "IngressClass"): _class,
    ("networking.k8s.io", "NetworkPolicy"): _policy,
    (_RBAC, "ClusterRoleBinding"): _binding,
    (_RBAC, "RoleBinding"): _binding,
    ("resource.k8s.io", "ResourceClaim"): _devices,
    ("resource.k8s.io", "ResourceClaimTemplate"): _devices,
}
_WITHOUT_DEFAULTS = {
    ("", "ConfigMap"),
    ("", "Endpoints"),
    ("", "LimitRange"),
    ("", "ResourceQuota"),
    ("", "ServiceAccount"),
    ("networking.k8s.io", "Ingress"),
    ("node.k8s.io", "RuntimeClass"),
    ("policy", "PodDisruptionBudget"),
    (_RBAC, "ClusterRole"),
    (_RBAC, "Role"),
    ("resource.k8s.io", "DeviceClass"),
}
_KNOWN = {*_DEFAULTS, *_COMPLETE, *_WITHOUT_DEFAULTS}
