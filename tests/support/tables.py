"""Enumerations, bounds and feature gates that Kubernetes' published schemas leave out."""

from collections.abc import Iterator

from .syntax import words
from .walk import Node, rule

_POLICY = words("Honor Ignore")
_PROTOCOL = words("TCP UDP SCTP")
_UPDATE = words("RollingUpdate OnDelete")
_SELECTORS = words("In NotIn Exists DoesNotExist")
_EFFECTS = words("NoSchedule PreferNoSchedule NoExecute")
_ACCESS_MODES = words("ReadWriteOnce ReadOnlyMany ReadWriteMany ReadWriteOncePod")
_PULL = words("Always IfNotPresent Never")

ENUMS: dict[str, dict[str, frozenset[str]]] = {
    "AppArmorProfile": {"type": words("RuntimeDefault Localhost Unconfined")},
    "Container": {
        "imagePullPolicy": _PULL,
        "restartPolicy": words("Always OnFailure Never"),
        "terminationMessagePolicy": words("File FallbackToLogsOnError"),
    },
    "ContainerPort": {"protocol": _PROTOCOL},
    "CronJobSpec": {"concurrencyPolicy": words("Allow Forbid Replace")},
    "DaemonSetUpdateStrategy": {"type": _UPDATE},
    "DeploymentStrategy": {"type": words("Recreate RollingUpdate")},
    "ExactDeviceRequest": {"allocationMode": words("ExactCount All")},
    "HPAScalingPolicy": {"type": words("Pods Percent")},
    "HPAScalingRules": {"selectPolicy": words("Max Min Disabled")},
    "HTTPGetAction": {"scheme": words("HTTP HTTPS")},
    "HTTPIngressPath": {"pathType": words("Exact Prefix ImplementationSpecific")},
    "HostPathVolumeSource": {
        "type": words(
            "DirectoryOrCreate Directory FileOrCreate File Socket CharDevice BlockDevice",
        ),
    },
    "ImageVolumeSource": {"pullPolicy": _PULL},
    "JobSpec": {
        "completionMode": words("NonIndexed Indexed"),
        "podReplacementPolicy": words("TerminatingOrFailed Failed"),
    },
    "LabelSelectorRequirement": {"operator": _SELECTORS},
    "MetricSpec": {"type": words("Object Pods Resource ContainerResource External")},
    "MetricTarget": {"type": words("Utilization Value AverageValue")},
    "NetworkPolicyPort": {"protocol": _PROTOCOL},
    "NetworkPolicySpec": {"policyTypes": words("Ingress Egress")},
    "NodeSelectorRequirement": {"operator": _SELECTORS | words("Gt Lt")},
    "PersistentVolumeClaimSpec": {
        "accessModes": _ACCESS_MODES,
        "volumeMode": words("Filesystem Block"),
    },
    "PersistentVolumeSpec": {
        "accessModes": _ACCESS_MODES,
        "persistentVolumeReclaimPolicy": words("Retain Recycle Delete"),
        "volumeMode": words("Filesystem Block"),
    },
    "PodDisruptionBudgetSpec": {
        "unhealthyPodEvictionPolicy": words("IfHealthyBudget AlwaysAllow"),
    },
    "PodSecurityContext": {
        "fsGroupChangePolicy": words("OnRootMismatch Always"),
        "supplementalGroupsPolicy": words("Merge Strict"),
        "seLinuxChangePolicy": words("Recursive MountOption"),
    },
    "PodSpec": {
        "dnsPolicy": words("ClusterFirst ClusterFirstWithHostNet Default None"),
        "preemptionPolicy": words("PreemptLowerPriority Never"),
        "restartPolicy": words("Always OnFailure Never"),
    },
    "PriorityClass": {"preemptionPolicy": words("PreemptLowerPriority Never")},
    "SeccompProfile": {"type": words("RuntimeDefault Localhost Unconfined")},
    "SecurityContext": {"procMount": words("Default Unmasked")},
    "ServicePort": {"protocol": _PROTOCOL},
    "ServiceSpec": {
        "externalTrafficPolicy": words("Cluster Local"),
        "internalTrafficPolicy": words("Cluster Local"),
        "ipFamilies": words("IPv4 IPv6"),
        "ipFamilyPolicy": words("SingleStack PreferDualStack RequireDualStack"),
        "sessionAffinity": words("ClientIP None"),
        "trafficDistribution": words("PreferClose PreferSameZone PreferSameNode"),
        "type": words("ClusterIP NodePort LoadBalancer ExternalName"),
    },
    "StatefulSetSpec": {"podManagementPolicy": words("OrderedReady Parallel")},
    "StatefulSetUpdateStrategy": {"type": _UPDATE},
    "StorageClass": {
        "reclaimPolicy": words("Retain Delete"),
        "volumeBindingMode": words("Immediate WaitForFirstConsumer"),
    },
    "Taint": {"effect": _EFFECTS},
    "Toleration": {"effect": _EFFECTS, "operator": words("Exists Equal")},
    "TopologySpreadConstraint": {
        "nodeAffinityPolicy": _POLICY,
        "nodeTaintsPolicy": _POLICY,
        "whenUnsatisfiable": words("DoNotSchedule ScheduleAnyway"),
    },
    "VolumeMount": {
        "mountPropagation": words("None HostToContainer Bidirectional"),
        "recursiveReadOnly": words("Disabled IfPossible Enabled"),
    },
}

_HUGE = 2**31 - 1
_DAY = 24 * 60 * 60
_BOUNDS: dict[str, dict[str, tuple[int, int]]] = {
    "CronJobSpec": {
        "failedJobsHistoryLimit": (0, _HUGE),
        "startingDeadlineSeconds": (0, _HUGE),
        "successfulJobsHistoryLimit": (0, _HUGE),
    },
    "DeploymentSpec": {
        "minReadySeconds": (0, _HUGE),
        "progressDeadlineSeconds": (1, _HUGE),
        "replicas": (0, _HUGE),
        "revisionHistoryLimit": (0, _HUGE),
    },
    "GRPCAction": {"port": (1, 65535)},
    "HorizontalPodAutoscalerSpec": {"maxReplicas": (1, _HUGE), "minReplicas": (1, _HUGE)},
    "HPAScalingPolicy": {"periodSeconds": (1, 1800), "value": (1, _HUGE)},
    "HPAScalingRules": {"stabilizationWindowSeconds": (0, 3600)},
    "JobSpec": {
        "activeDeadlineSeconds": (1, _HUGE),
        "backoffLimit": (0, _HUGE),
        "completions": (0, _HUGE),
        "parallelism": (0, _HUGE),
        "ttlSecondsAfterFinished": (0, _HUGE),
    },
    "MetricTarget": {"averageUtilization": (1, _HUGE)},
    "PodSecurityContext": {
        "fsGroup": (0, _HUGE),
        "runAsGroup": (0, _HUGE),
        "runAsUser": (0, _HUGE),
    },
    "PodSpec": {"activeDeadlineSeconds": (1, _HUGE), "terminationGracePeriodSeconds": (0, _HUGE)},
    "PreferredSchedulingTerm": {"weight": (1, 100)},
    "Probe": {
        "failureThreshold": (1, _HUGE),
        "initialDelaySeconds": (0, _HUGE),
        "periodSeconds": (1, _HUGE),
        "successThreshold": (1, _HUGE),
        "terminationGracePeriodSeconds": (1, _HUGE),
        "timeoutSeconds": (1, _HUGE),
    },
    "SecurityContext": {"runAsGroup": (0, _HUGE), "runAsUser": (0, _HUGE)},
    "ClientIPConfig": {"timeoutSeconds": (1, _DAY)},
    "SleepAction": {"seconds": (1, _HUGE)},
    "StatefulSetSpec": {
        "minReadySeconds": (0, _HUGE),
        "replicas": (0, _HUGE),
        "revisionHistoryLimit": (0, _HUGE),
    },
    "TopologySpreadConstraint": {"maxSkew": (1, _HUGE), "minDomains": (1, _HUGE)},
    "WeightedPodAffinityTerm": {"weight": (1, 100)},
}

# The schema has a field from its alpha on; clusters accept it from the release where its gate is
# on by default.
_ON_BY_DEFAULT: dict[str, dict[str, int]] = {
    "Container": {"restartPolicy": 29, "restartPolicyRules": 35},
    "HPAScalingRules": {"tolerance": 35},
    "JobSpec": {"backoffLimitPerIndex": 29, "podReplacementPolicy": 29, "successPolicy": 31},
    "LifecycleHandler": {"sleep": 30},
    "PodSecurityContext": {"appArmorProfile": 30, "supplementalGroupsPolicy": 33},
    "PodSpec": {"hostUsers": 33, "resourceClaims": 34, "resources": 34},
    "ServiceSpec": {"trafficDistribution": 31},
    "Volume": {"image": 35},
    "VolumeMount": {"recursiveReadOnly": 31},
}


def _outside(value: object, allowed: frozenset[str]) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if one not in allowed:
            yield f"{one!r} is not one of {', '.join(sorted(allowed))}"


@rule(*ENUMS)
def _enum(node: Node) -> Iterator[str]:
    for name, allowed in ENUMS[node.type].items():
        if name in node.value:
            yield from node.say(_outside(node.value[name], allowed), name)


@rule(*_BOUNDS)
def _bound(node: Node) -> Iterator[str]:
    for name, (low, high) in _BOUNDS[node.type].items():
        value = node.get(name)
        if isinstance(value, int) and not low <= value <= high:
            yield f"{node.at(name)}: {value} is outside {low}..{high}"


def gate_problems(node: Node, release: str) -> Iterator[str]:
    """Yield the fields of a value that a release has only behind a gate that is off."""
    minor = int(release.partition(".")[2])
    for name, first in _ON_BY_DEFAULT.get(node.type, {}).items():
        if isinstance(node.value, dict) and name in node.value and minor < first:
            yield f"{node.at(name)}: off by default before 1.{first}"
