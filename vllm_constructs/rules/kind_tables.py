"""Tables of kinds: their fields, since which release, of which type, and with which values.

The tables are of Kubernetes 1.27 to 1.37 and of the custom kinds beside vLLM (tools/kind_fields.py
and tools/deployment_fields.py). Gates are those of pkg/features/kube_features.go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from vllm_constructs.kube.kubernetes import NEWEST

NEVER = 99
"""The gate of fields that no known release keeps by default."""
# The release in which the API server begins to keep a field, where that is later than its first.
_GATES = {
    ("Container", "resizePolicy"): 33,
    ("Container", "restartPolicy"): 29,
    ("Container", "restartPolicyRules"): 35,
    ("EmptyDirVolumeSource", "mode"): NEVER,
    ("EnvVarSource", "fileKeyRef"): 35,
    ("HPAScalingRules", "tolerance"): 35,
    ("LifecycleHandler", "sleep"): 30,
    ("PersistentVolumeClaimSpec", "volumeAttributesClassName"): 34,
    ("PodSecurityContext", "supplementalGroupsPolicy"): 33,
    ("PodSpec", "hostUsers"): 33,
    ("PodSpec", "hostnameOverride"): 35,
    ("PodSpec", "resourceClaims"): 34,
    ("PodSpec", "resources"): 34,
    ("ResourceRequirements", "claims"): 34,
    ("RollingUpdateStatefulSetStrategy", "maxUnavailable"): 35,
    ("ServiceSpec", "trafficDistribution"): 31,
    ("Volume", "image"): 35,
    ("VolumeMount", "recursiveReadOnly"): 31,
}
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_VALUES = {
    ("Container", "imagePullPolicy"): ("Always", "IfNotPresent", "Never"),
    ("Container", "terminationMessagePolicy"): ("File", "FallbackToLogsOnError"),
    ("ContainerPort", "protocol"): _PROTOCOLS,
    ("CronJobSpec", "concurrencyPolicy"): ("Allow", "Forbid", "Replace"),
    ("DaemonSetUpdateStrategy", "type"): ("RollingUpdate", "OnDelete"),
    ("DeploymentStrategy", "type"): ("RollingUpdate", "Recreate"),
    ("HPAScalingPolicy", "type"): ("Pods", "Percent"),
    ("HPAScalingRules", "selectPolicy"): ("Max", "Min", "Disabled"),
    ("HTTPGetAction", "scheme"): ("HTTP", "HTTPS"),
    ("HTTPIngressPath", "pathType"): ("Exact", "Prefix", "ImplementationSpecific"),
    ("JobSpec", "completionMode"): ("NonIndexed", "Indexed"),
    ("LabelSelectorRequirement", "operator"): ("In", "NotIn", "Exists", "DoesNotExist"),
    ("MetricSpec", "type"): ("Resource", "ContainerResource", "Pods", "Object", "External"),
    ("MetricTarget", "type"): ("Utilization", "AverageValue", "Value"),
    ("NetworkPolicyPort", "protocol"): _PROTOCOLS,
    ("NodeSelectorRequirement", "operator"): ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
    ("PersistentVolumeClaimSpec", "volumeMode"): ("Filesystem", "Block"),
    ("PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy"): ("AlwaysAllow", "IfHealthyBudget"),
    ("PodSecurityContext", "fsGroupChangePolicy"): ("OnRootMismatch", "Always"),
    ("PodSpec", "dnsPolicy"): ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    ("PodSpec", "preemptionPolicy"): ("PreemptLowerPriority", "Never"),
    ("PodSpec", "restartPolicy"): ("Always", "OnFailure", "Never"),
    ("SeccompProfile", "type"): ("RuntimeDefault", "Unconfined", "Localhost"),
    ("ServicePort", "protocol"): _PROTOCOLS,
    ("ServiceSpec", "externalTrafficPolicy"): ("Cluster", "Local"),
    ("ServiceSpec", "internalTrafficPolicy"): ("Cluster", "Local"),
    ("ServiceSpec", "sessionAffinity"): ("None", "ClientIP"),
    ("ServiceSpec", "type"): ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    ("StatefulSetSpec", "podManagementPolicy"): ("OrderedReady", "Parallel"),
    ("StatefulSetUpdateStrategy", "type"): ("RollingUpdate", "OnDelete"),
    ("Toleration", "effect"): ("", "NoSchedule", "PreferNoSchedule", "NoExecute"),
    ("TopologySpreadConstraint", "whenUnsatisfiable"): ("DoNotSchedule", "ScheduleAnyway"),
}
_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_VALUES |= {("PersistentVolumeClaimSpec", "accessModes"): _MODES}
_VALUES |= {("NetworkPolicySpec", "policyTypes"): ("Ingress", "Egress")}
# Types of which only the names are newer than 1.27.
_RENAMED = ("VolumeResourceRequirements",)
# Fields that the tables of Deployments call quantities.
_INT_OR_STRING = ("maxSurge", "maxUnavailable", "port")


class Field(NamedTuple):
    """A field of a type.

    Args:
        shape: `[` for a list, `{` for a map, otherwise empty.
        kind: Type of the field, or of the entries: a plain one, or the name of another type.
        first: Its first minor release; 0 for all.
        gate: The first release that keeps it by default; 0 for all that have it.
        values: The strings that it may be; none for any.
    """

    shape: str
    kind: str
    first: int
    gate: int
    values: tuple[str, ...]


Load: TypeAlias = Callable[[str], "tuple[Mapping[str, Any], Sequence[str]] | None"]


class Types:
    """Types by their names, each made when it is first asked for.

    Attributes:
        release: The minor release that has them.
    """

    def __init__(self, load: Load, release: int) -> None:
        """Keep where they come from.

        Args:
            load: Returns the fields of a type with their types, and those that are required.
            release: The minor release that has them.
        """
        self._load = load
        self._made: dict[str, tuple[dict[str, Field], Sequence[str]] | None] = {}
        self.release = release

    def get(self, name: str) -> tuple[dict[str, Field], Sequence[str]] | None:
        """The fields of a type and those that are required; None if the name is of none.

        Args:
            name: Its name.
        """
        if name not in self._made:
            loaded = self._load(name)
            own = short(name)
            self._made[name] = loaded and (
                {key: _field(own, key, one) for key, one in loaded[0].items()},
                loaded[1],
            )
        return self._made[name]


def short(name: str) -> str:
    """The name of a built-in type without its package; that of a custom one as it is.

    Args:
        name: Its name.
    """
    is_built_in = name.startswith(("io.", "autoscaling.", "resource."))
    return name.rpartition(".")[2] if is_built_in else name


def _field(owner: str, name: str, declared: str | Sequence[Any]) -> Field:
    text, first = (declared, 0) if isinstance(declared, str) else (declared[0], int(declared[1]))
    first = 0 if owner in _RENAMED else first
    shape = text[0] if text[0] in "[{" else ""
    kind, _, values = text.strip("[]{}").partition(":")
    if kind == "quantity" and name in _INT_OR_STRING:
        kind = "int-or-string"
    allowed = tuple(values.split("|")) if values else _VALUES.get((owner, name), ())
    return Field(shape, kind, first, _GATES.get((owner, name), 0), allowed)


class Tables(NamedTuple):
    """The tables of this library: types by kind, owners of custom groups, and types."""

    kinds: Mapping[str, str]
    owners: Mapping[str, str]
    types: Types


@cache
def tables() -> Tables:
    """The tables, read once and only when needed."""
    folder = Path(__file__).parents[1] / "data"
    read = json.loads((folder / "kind-fields.json").read_text(encoding="utf-8"))
    pods = json.loads((folder / "deployment-fields.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {**read["types"], **pods}

    def load(name: str) -> tuple[Mapping[str, Any], Sequence[str]] | None:
        return (found[name], ()) if name in found else None

    return Tables(read["kinds"], read["owners"], Types(load, NEWEST[1]))
