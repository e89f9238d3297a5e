"""One object of each kind with all sorts of fields, and what may be added to it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from .nodes import Manifest

Step = str | int
Path = tuple[Step, ...]
RBAC = "rbac.authorization.k8s.io"

LABELS = {"app": "qwen"}
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def container(**fields: Any) -> dict[str, Any]:
    """A container that a restricted namespace admits."""
    return {
        "name": "vllm",
        "image": "example.com/vllm:v1",
        "securityContext": deepcopy(SECURITY),
        **fields,
    }


CONTAINER = container(
    command=["vllm", "serve"],
    args=["a/b", "--max-model-len", "8192", "--port=8000"],
    env=[
        {"name": "HF_HOME", "value": "/cache"},
        {"name": "VLLM_LOGGING_LEVEL", "value": "INFO"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "key"}}},
    ],
    envFrom=[{"configMapRef": {"name": "settings"}}],
    ports=[{"name": "http", "containerPort": 8000}, {"containerPort": 9000, "protocol": "UDP"}],
    resources={
        "limits": {"nvidia.com/gpu": 1, "memory": "64Gi"},
        "requests": {"cpu": "1500m", "memory": "32Gi"},
    },
    startupProbe={"httpGet": {"path": "/health", "port": "http"}, "failureThreshold": 90},
    readinessProbe={"httpGet": {"port": 8000}, "periodSeconds": 5},
    livenessProbe={"grpc": {"port": 9000}, "initialDelaySeconds": 3},
    lifecycle={"preStop": {"exec": {"command": ["sleep", "15"]}}},
    volumeMounts=[
        {"name": "cache", "mountPath": "/cache", "readOnly": True},
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108  # a path of the pod
    ],
)
POD: dict[str, Any] = {
    "serviceAccountName": "qwen",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L40S"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
                ]
            }
        }
    },
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": LABELS},
        }
    ],
    "securityContext": {"fsGroup": 1000},
    "initContainers": [container(name="init", command=["true"])],
    "containers": [CONTAINER],
    "volumes": [
        {"name": "cache", "persistentVolumeClaim": {"claimName": "weights"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
        {"name": "files", "configMap": {"name": "settings"}},
        {"name": "tokens", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ],
}
TEMPLATE = {
    "metadata": {"labels": {**LABELS, "tier": "gpu"}, "annotations": {"example.com/a": "1"}},
    "spec": POD,
}
# What a pod needs in a restricted namespace, for kinds whose pods are like others'.
SMALL_POD: dict[str, Any] = {
    "serviceAccountName": "qwen",
    "nodeSelector": {"zone": "a"},
    "containers": [container(args=["serve"], ports=[{"containerPort": 8000}])],
}
SMALL_TEMPLATE = {"metadata": {"labels": {**LABELS, "tier": "gpu"}}, "spec": SMALL_POD}
CLAIM: dict[str, Any] = {
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "bed",
    "resources": {"requests": {"storage": "200Gi"}},
}


def made(api: str, kind: str, what: str = "", **fields: Any) -> Manifest:
    """An object with labels and an annotation; its title says what is special about it."""
    metadata: dict[str, Any] = {"name": "x", "labels": {"a": "1", "b": "2"}}
    if what:
        metadata["title"] = f"{kind} {what}"
    metadata["annotations"] = {"example.com/a": "1"}
    found: Manifest = {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}
    # Without parts that are the same object, of which a change would be a change of all.
    return dict(json.loads(json.dumps(found)))


SAMPLES: dict[str, Manifest] = {
    one["metadata"].pop("title", one["kind"]): one
    for one in (
        made(
            "apps/v1",
            "Deployment",
            spec={
                "replicas": 0,
                "selector": {"matchLabels": LABELS},
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "minReadySeconds": 1,
                "template": TEMPLATE,
            },
        ),
        made(
            "apps/v1",
            "Deployment",
            "of defaults",
            spec={
                "replicas": 0,
                "selector": {"matchLabels": LABELS},
                "template": {
                    "metadata": {"labels": LABELS},
                    "spec": {
                        "containers": [
                            container(
                                env=[{"name": "A", "value": "1"}],
                                startupProbe={"httpGet": {"path": "/health", "port": 8000}},
                                readinessProbe={"tcpSocket": {"port": 8000}},
                                lifecycle={"preStop": {"httpGet": {"path": "/a", "port": 8000}}},
                                volumeMounts=[{"name": "files", "mountPath": "/a"}],
                            )
                        ],
                        "volumes": [
                            {"name": "files", "configMap": {"name": "settings"}},
                            {"name": "keys", "secret": {"secretName": "key"}},
                            {"name": "scratch"},
                            {"name": "shm", "emptyDir": {}},
                            {"name": "host", "hostPath": {"path": "/a"}},
                        ],
                    },
                },
            },
        ),
        made(
            "apps/v1",
            "StatefulSet",
            "of defaults",
            spec={
                "replicas": 0,
                "serviceName": "qwen",
                "selector": {"matchLabels": LABELS},
                "template": {
                    "metadata": {"labels": LABELS},
                    "spec": {"containers": [container()]},
                },
            },
        ),
        made(
            "apps/v1",
            "StatefulSet",
            spec={
                "replicas": 0,
                "serviceName": "qwen",
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": LABELS},
                "updateStrategy": {"rollingUpdate": {"partition": 0}},
                "template": TEMPLATE,
                "volumeClaimTemplates": [
                    {"metadata": {"name": "data", "labels": {"c": "1"}}, "spec": CLAIM}
                ],
            },
        ),
        made(
            "apps/v1",
            "DaemonSet",
            spec={"selector": {"matchLabels": LABELS}, "template": SMALL_TEMPLATE},
        ),
        made(
            "apps/v1",
            "ReplicaSet",
            spec={
                "replicas": 0,
                "selector": {"matchLabels": LABELS},
                "template": SMALL_TEMPLATE,
            },
        ),
        made(
            "v1",
            "ReplicationController",
            spec={"replicas": 0, "selector": LABELS, "template": SMALL_TEMPLATE},
        ),
        made(
            "batch/v1",
            "Job",
            spec={
                "completions": 2,
                "parallelism": 0,
                "backoffLimit": 3,
                "activeDeadlineSeconds": 600,
                "ttlSecondsAfterFinished": 60,
                "template": {
                    "metadata": TEMPLATE["metadata"],
                    "spec": {**POD, "restartPolicy": "Never"},
                },
                "podFailurePolicy": {
                    "rules": [
                        {
                            "action": "FailJob",
                            "onExitCodes": {"operator": "In", "values": [1, 2]},
                        }
                    ]
                },
            },
        ),
        made(
            "batch/v1",
            "CronJob",
            spec={
                "schedule": "0 3 * * *",
                "jobTemplate": {
                    "spec": {
                        "backoffLimit": 1,
                        "template": {"spec": {**SMALL_POD, "restartPolicy": "Never"}},
                    }
                },
            },
        ),
        made("v1", "Pod", spec={**POD, "activeDeadlineSeconds": 600}),
        made(
            "v1",
            "Service",
            spec={
                "selector": LABELS,
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "http"},
                    {"name": "metrics", "port": 9000},
                ],
                "sessionAffinity": "ClientIP",
            },
        ),
        made(
            "v1",
            "Service",
            "headless",
            spec={"clusterIP": "None", "selector": LABELS, "ports": [{"port": 80}]},
        ),
        made(
            "v1",
            "Service",
            "load balancer",
            spec={
                "type": "LoadBalancer",
                "loadBalancerClass": "example.com/nlb",
                "externalTrafficPolicy": "Local",
                "ipFamilyPolicy": "RequireDualStack",
                "ipFamilies": ["IPv4", "IPv6"],
                "selector": LABELS,
                "ports": [{"port": 80}],
            },
        ),
        made(
            "v1",
            "Service",
            "elsewhere",
            spec={"type": "ExternalName", "externalName": "llm.example.com"},
        ),
        made("v1", "ConfigMap", "immutable", immutable=True, data={"a": "1"}),
        made("v1", "Secret", "immutable", immutable=True, stringData={"a": "1"}),
        made(
            "batch/v1",
            "Job",
            "suspended",
            spec={
                "suspend": True,
                "template": {
                    "metadata": TEMPLATE["metadata"],
                    "spec": {**POD, "restartPolicy": "Never"},
                },
            },
        ),
        made(
            "batch/v1",
            "Job",
            "indexed",
            spec={
                "completionMode": "Indexed",
                "completions": 2,
                "parallelism": 2,
                "suspend": True,
                "template": {"spec": {**SMALL_POD, "restartPolicy": "Never"}},
            },
        ),
        made(
            "v1",
            "Pod",
            "gated",
            spec={
                **SMALL_POD,
                "affinity": POD["affinity"],
                "schedulingGates": [{"name": "example.com/a"}, {"name": "example.com/b"}],
            },
        ),
        made(
            "v1",
            "PersistentVolume",
            "of a server",
            spec={
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteMany"],
                "nfs": {"server": "127.0.0.1", "path": "/weights"},
            },
        ),
        made("v1", "ConfigMap", data={"a": "1", "b": "x: 1\ny: 2\n"}, binaryData={"c": "AAAA"}),
        made("v1", "Secret", type="Opaque", data={"a": "YQ=="}, stringData={"b": "c"}),
        made("v1", "PersistentVolumeClaim", spec=CLAIM),
        made(
            "v1",
            "PersistentVolume",
            spec={
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteMany"],
                "mountOptions": ["ro"],
                "storageClassName": "by-hand",
                "csi": {
                    "driver": "csi.example.com",
                    "volumeHandle": "a",
                    "volumeAttributes": {"b": "c"},
                },
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {"key": "zone", "operator": "In", "values": ["a"]}
                                ]
                            }
                        ]
                    }
                },
            },
        ),
        made("v1", "ServiceAccount", automountServiceAccountToken=False),
        made("v1", "ResourceQuota", spec={"hard": {"pods": "10"}, "scopes": ["NotTerminating"]}),
        made(
            "v1",
            "LimitRange",
            spec={"limits": [{"type": "Pod", "max": {"memory": "1Ti"}, "min": {"cpu": "1m"}}]},
        ),
        made(
            "networking.k8s.io/v1",
            "Ingress",
            spec={
                "ingressClassName": "nginx",
                "tls": [{"hosts": ["llm.example.com"], "secretName": "tls"}],
                "rules": [
                    {
                        "host": "llm.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/v1",
                                    "pathType": "Prefix",
                                    "backend": {
                                        "service": {"name": "qwen", "port": {"number": 80}}
                                    },
                                }
                            ]
                        },
                    }
                ],
            },
        ),
        made(
            "networking.k8s.io/v1",
            "IngressClass",
            spec={
                "controller": "example.com/nginx",
                "parameters": {"kind": "ConfigMap", "name": "nginx"},
            },
        ),
        made(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            spec={
                "podSelector": {"matchLabels": LABELS},
                "ingress": [
                    {"from": [{"podSelector": {"matchLabels": LABELS}}], "ports": [{"port": 8000}]}
                ],
                "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
            },
        ),
        made(
            "policy/v1",
            "PodDisruptionBudget",
            spec={"minAvailable": 1, "selector": {"matchLabels": LABELS}},
        ),
        made(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            spec={
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"},
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "AverageValue", "averageValue": "500m"},
                        },
                    }
                ],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}},
            },
        ),
        made(
            RBAC + "/v1",
            "Role",
            rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        ),
        made(
            RBAC + "/v1",
            "ClusterRole",
            rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
        ),
        made(
            RBAC + "/v1",
            "RoleBinding",
            roleRef={"kind": "Role", "name": "x", "apiGroup": RBAC},
            subjects=[{"kind": "ServiceAccount", "name": "qwen"}],
        ),
        made(
            RBAC + "/v1",
            "ClusterRoleBinding",
            roleRef={"kind": "ClusterRole", "name": "view", "apiGroup": RBAC},
            subjects=[{"kind": "User", "name": "somebody"}],
        ),
        made(
            "storage.k8s.io/v1",
            "StorageClass",
            provisioner="csi.example.com",
            parameters={"type": "fast"},
            mountOptions=["ro"],
        ),
        made("storage.k8s.io/v1", "CSIDriver", spec={"attachRequired": False}),
        made(
            "storage.k8s.io/v1",
            "VolumeAttributesClass",
            driverName="csi.example.com",
            parameters={"iops": "100"},
        ),
        made("scheduling.k8s.io/v1", "PriorityClass", value=1000, description="of models"),
        made("node.k8s.io/v1", "RuntimeClass", handler="nvidia"),
        made(
            "resource.k8s.io/v1",
            "ResourceClaim",
            spec={
                "devices": {
                    "requests": [
                        {
                            "name": "gpu",
                            "exactly": {
                                "deviceClassName": "gpu.nvidia.com",
                                "selectors": [{"cel": {"expression": "true"}}],
                            },
                        }
                    ]
                }
            },
        ),
        made(
            "resource.k8s.io/v1",
            "ResourceClaimTemplate",
            spec={
                "spec": {
                    "devices": {
                        "requests": [
                            {
                                "name": "gpu",
                                "exactly": {"deviceClassName": "gpu.nvidia.com", "count": 2},
                            }
                        ]
                    }
                }
            },
        ),
        made(
            "resource.k8s.io/v1",
            "DeviceClass",
            spec={"selectors": [{"cel": {"expression": "true"}}]},
        ),
        made(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            addressType="IPv4",
            endpoints=[{"addresses": ["10.1.2.3"]}],
            ports=[{"name": "http", "port": 8000}],
        ),
        made("apps/v1", "ControllerRevision", revision=1, data={"a": 1}),
        made(
            "gateway.networking.k8s.io/v1",
            "GatewayClass",
            spec={"controllerName": "example.com/gateway", "description": "of models"},
        ),
        made(
            "gateway.networking.k8s.io/v1",
            "HTTPRoute",
            spec={
                "parentRefs": [{"name": "edge"}],
                "hostnames": ["llm.example.com"],
                "rules": [{"backendRefs": [{"name": "qwen", "port": 80}]}],
            },
        ),
        made(
            "keda.sh/v1alpha1",
            "ScaledObject",
            spec={
                "scaleTargetRef": {"name": "qwen"},
                "minReplicaCount": 1,
                "maxReplicaCount": 3,
                "triggers": [
                    {"type": "cpu", "metadata": {"value": "50"}, "metricType": "Utilization"}
                ],
            },
        ),
    )
}
GLOBAL = {
    "CSIDriver",
    "ClusterRole",
    "ClusterRoleBinding",
    "DeviceClass",
    "GatewayClass",
    "IngressClass",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "VolumeAttributesClass",
}
CONTAINER_0: Path = ("spec", "template", "spec", "containers", 0)
VOLUMES: Path = ("spec", "template", "spec", "volumes")
FIELD = {"fieldRef": {"fieldPath": "metadata.name"}}
# Fields that the samples lack, with values.
ADDED: dict[str, tuple[tuple[Path, Any], ...]] = {
    "Deployment": (
        (("spec", "paused"), True),
        (("spec", "paused"), False),
        (("spec", "strategy"), {"type": "Recreate"}),
        (("spec", "selector", "matchLabels", "tier"), "gpu"),
        (("spec", "selector", "matchExpressions"), [{"key": "tier", "operator": "Exists"}]),
        (("spec", "template", "spec", "hostNetwork"), False),
        (("spec", "template", "spec", "affinity"), {}),
        (("spec", "template", "spec", "priorityClassName"), ""),
        (("spec", "template", "spec", "containers", 0, "stdin"), False),
        (("spec", "template", "spec", "containers", 0, "env", 0, "value"), ""),
        (("spec", "template", "spec", "containers", 0, "volumeMounts", 1, "readOnly"), False),
        (("spec", "template", "spec", "containers", 0, "resources", "limits", "memory"), "65536Mi"),
        (("spec", "template", "spec", "containers", 0, "resources", "limits", "cpu"), "8"),
        (("spec", "template", "spec", "containers", 0, "resources", "requests", "cpu"), 1.5),
        (("spec", "template", "spec", "containers", 0, "resources", "requests", "cpu"), "1.5"),
        (("spec", "template", "spec", "containers", 0, "securityContext", "privileged"), False),
        (("spec", "template", "spec", "volumes", 1, "emptyDir"), {}),
        (("spec", "template", "spec", "volumes", 2, "configMap", "optional"), False),
        (("spec", "template", "metadata", "labels", "app"), "other"),
        (("spec", "template", "metadata", "labels", "version"), "2"),
    ),
    "Deployment of defaults": (
        (("spec", "strategy"), {"type": "Recreate"}),
        (("spec", "strategy"), {"type": "Recreate", "rollingUpdate": None}),
        (("spec", "strategy", "rollingUpdate"), {"maxSurge": 0, "maxUnavailable": 1}),
        ((*CONTAINER_0, "image"), "example.com/vllm:latest"),
        ((*CONTAINER_0, "image"), "example.com/vllm"),
        ((*CONTAINER_0, "env", 0), {"name": "A", "valueFrom": FIELD}),
        ((*CONTAINER_0, "startupProbe"), {"exec": {"command": ["true"]}}),
        ((*CONTAINER_0, "startupProbe"), {"httpGet": {"port": 8001}}),
        ((*CONTAINER_0, "readinessProbe"), {"httpGet": {"port": 8000}}),
        ((*CONTAINER_0, "readinessProbe"), {"grpc": {"port": 8000}}),
        ((*CONTAINER_0, "lifecycle"), {"preStop": {"sleep": {"seconds": 5}}}),
        ((*VOLUMES, 0), {"name": "files", "secret": {"secretName": "key"}}),
        ((*VOLUMES, 0), {"name": "files", "emptyDir": {}}),
        ((*VOLUMES, 1), {"name": "keys", "configMap": {"name": "settings"}}),
        ((*VOLUMES, 2), {"name": "scratch", "configMap": {"name": "settings"}}),
        ((*VOLUMES, 2), {"name": "scratch", "configMap": {"name": "settings"}, "emptyDir": None}),
        ((*VOLUMES, 2), {"name": "scratch", "emptyDir": {"medium": "Memory"}}),
        ((*VOLUMES, 3), {"name": "shm", "configMap": {"name": "settings"}}),
        ((*VOLUMES, 4), {"name": "host", "emptyDir": {}}),
    ),
    "StatefulSet of defaults": (
        (("spec", "updateStrategy"), {"type": "OnDelete"}),
        (("spec", "updateStrategy"), {"type": "OnDelete", "rollingUpdate": None}),
        (("spec", "updateStrategy", "rollingUpdate"), {"partition": 1}),
    ),
    "StatefulSet": (
        (("spec", "ordinals"), {"start": 1}),
        (("spec", "updateStrategy"), {"type": "OnDelete"}),
        (("spec", "persistentVolumeClaimRetentionPolicy"), {"whenScaled": "Delete"}),
        (("spec", "persistentVolumeClaimRetentionPolicy"), {"whenScaled": "Retain"}),
        (("spec", "podManagementPolicy"), "OrderedReady"),
        (
            ("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"),
            "300Gi",
        ),
        (
            ("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"),
            "204800Mi",
        ),
        (("spec", "volumeClaimTemplates", 0, "spec", "volumeMode"), "Block"),
        (("spec", "volumeClaimTemplates", 0, "kind"), "PersistentVolumeClaim"),
        (("spec", "volumeClaimTemplates", 0, "apiVersion"), "v1"),
    ),
    "DaemonSet": (
        (("spec", "updateStrategy"), {"type": "OnDelete"}),
        (("spec", "selector", "matchLabels", "tier"), "gpu"),
    ),
    "ReplicaSet": ((("spec", "selector", "matchLabels", "tier"), "gpu"),),
    "Job": (
        (("spec", "suspend"), True),
        (("spec", "completionMode"), "Indexed"),
        (("spec", "backoffLimitPerIndex"), 1),
        (("spec", "managedBy"), "example.com/kueue"),
        (("spec", "successPolicy"), {"rules": [{"succeededCount": 1}]}),
        (("spec", "template", "metadata", "labels", "version"), "2"),
        (("spec", "template", "spec", "nodeSelector", "zone"), "a"),
    ),
    "Pod": (
        (("spec", "tolerations", 1), {"key": "more", "operator": "Exists"}),
        (("spec", "activeDeadlineSeconds"), 300),
        (("spec", "nodeSelector", "zone"), "a"),
        (("spec", "terminationGracePeriodSeconds"), 60),
        (("spec", "containers", 0, "resources", "limits", "memory"), "65536Mi"),
    ),
    "Service": (
        (("spec", "clusterIP"), "None"),
        (("spec", "clusterIP"), ""),
        (("spec", "type"), "NodePort"),
        (("spec", "type"), "LoadBalancer"),
        (("spec", "externalName"), "example.com"),
        (("spec", "ipFamilies"), ["IPv4"]),
        (("spec", "ipFamilies"), ["IPv6"]),
        (("spec", "ipFamilyPolicy"), "PreferDualStack"),
        (("spec", "publishNotReadyAddresses"), False),
        (("spec", "publishNotReadyAddresses"), True),
        (("spec", "internalTrafficPolicy"), "Local"),
        (("spec", "sessionAffinity"), "None"),
    ),
    "ConfigMap": ((("immutable",), True), (("immutable",), False)),
    "Secret": (
        (("immutable",), True),
        (("type",), "example.com/other"),
        (("data", "b"), "Yw=="),
        (("data", "a"), "Yg=="),
        (("stringData", "a"), "a"),
    ),
    "PersistentVolumeClaim": (
        (("spec", "resources", "requests", "storage"), "300Gi"),
        (("spec", "resources", "requests", "storage"), "100Gi"),
        (("spec", "resources", "requests", "storage"), "204800Mi"),
        (("spec", "resources", "limits"), {"storage": "400Gi"}),
        (("spec", "storageClassName"), "bed-2"),
        (("spec", "storageClassName"), ""),
        (("spec", "accessModes"), ["ReadWriteMany"]),
        (("spec", "accessModes"), ["ReadWriteOnce", "ReadOnlyMany"]),
        (("spec", "volumeMode"), "Block"),
        (("spec", "selector"), {"matchLabels": LABELS}),
        (("spec", "volumeAttributesClassName"), "gold"),
        (("spec", "dataSource"), {"kind": "PersistentVolumeClaim", "name": "other"}),
        (("spec", "volumeName"), "other"),
        (
            ("metadata", "annotations", "volume.beta.kubernetes.io/storage-class"),
            "bed",
        ),
    ),
    "Service headless": (
        (("spec", "clusterIP"), "10.0.0.77"),
        (("spec", "clusterIPs"), ["None"]),
        (("spec", "type"), "NodePort"),
        (("spec", "ipFamilies"), ["IPv6"]),
    ),
    "Service load balancer": (
        (("spec", "type"), "ClusterIP"),
        (("spec", "type"), "NodePort"),
        (("spec", "healthCheckNodePort"), 31234),
        (("spec", "ports", 0, "nodePort"), 31235),
        (("spec", "allocateLoadBalancerNodePorts"), False),
        (("spec", "externalTrafficPolicy"), "Cluster"),
        (("spec", "ipFamilies"), ["IPv6", "IPv4"]),
    ),
    "Service elsewhere": (
        (("spec",), {"type": "ClusterIP", "ports": [{"port": 80}]}),
        (("spec",), {"clusterIP": "None", "ports": [{"port": 80}]}),
    ),
    "Secret immutable": ((("data",), {"a": "MQ=="}), (("stringData", "b"), "1")),
    "ConfigMap immutable": ((("data", "b"), "1"), (("binaryData",), {"b": "AAAA"})),
    "Job suspended": (
        (("spec", "suspend"), False),
        (("spec", "template", "metadata", "labels", "version"), "2"),
        (("spec", "template", "spec", "nodeSelector", "zone"), "a"),
        (("spec", "template", "spec", "containers", 0, "resources", "limits", "memory"), "96Gi"),
        (("spec", "template", "spec", "priorityClassName"), "system-node-critical"),
    ),
    "Job indexed": (
        (("spec", "completions"), 3),
        (("spec", "parallelism"), 3),
    ),
    "Pod gated": (
        (("spec", "nodeSelector", "more"), "a"),
        (("spec", "schedulingGates"), []),
        (("spec", "tolerations"), [{"key": "more", "operator": "Exists"}]),
    ),
    "PersistentVolume of a server": (
        (
            ("spec", "nodeAffinity"),
            {
                "required": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}
                    ]
                }
            },
        ),
        (("spec", "csi"), {"driver": "csi.example.com", "volumeHandle": "a"}),
        (("spec", "storageClassName"), "by-hand"),
        (("spec", "mountOptions"), ["ro"]),
    ),
    "PersistentVolume": (
        (("spec", "csi", "fsType"), "ext4"),
        (("spec", "csi", "readOnly"), False),
        (("spec", "csi", "readOnly"), True),
        (("spec", "csi", "controllerExpandSecretRef"), {"name": "a", "namespace": "b"}),
        (("spec", "persistentVolumeReclaimPolicy"), "Delete"),
        (("spec", "volumeMode"), "Block"),
        (("spec", "capacity", "storage"), "200Gi"),
        (("spec", "volumeAttributesClassName"), "gold"),
    ),
    "StorageClass": (
        (("allowVolumeExpansion",), True),
        (("reclaimPolicy",), "Retain"),
        (("volumeBindingMode",), "WaitForFirstConsumer"),
        (
            ("allowedTopologies",),
            [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}],
        ),
    ),
    "CSIDriver": (
        (("spec", "podInfoOnMount"), True),
        (("spec", "volumeLifecycleModes"), ["Ephemeral"]),
        (("spec", "fsGroupPolicy"), "File"),
        (("spec", "storageCapacity"), True),
        (("spec", "tokenRequests"), [{"audience": "a"}]),
    ),
    "PriorityClass": ((("preemptionPolicy",), "Never"), (("globalDefault",), False)),
    "RuntimeClass": (
        (("overhead",), {"podFixed": {"cpu": "1m"}}),
        (("scheduling",), {"nodeSelector": {"a": "b"}}),
    ),
    "IngressClass": ((("spec", "parameters", "scope"), "Cluster"),),
    "ResourceQuota": (
        (("spec", "scopes"), ["NotTerminating", "NotBestEffort"]),
        (("spec", "scopes"), []),
    ),
    "EndpointSlice": ((("addressType",), "IPv6"),),
    "PodDisruptionBudget": (
        (("spec", "unhealthyPodEvictionPolicy"), "AlwaysAllow"),
        (("spec", "selector"), {"matchLabels": {"app": "other"}}),
    ),
    "NetworkPolicy": (
        (("spec", "policyTypes"), ["Ingress", "Egress"]),
        (("spec", "podSelector"), {}),
    ),
    "ResourceClaim": (
        (("spec", "devices", "requests", 0, "exactly", "count"), 1),
        (("spec", "devices", "requests", 0, "exactly", "count"), 2),
    ),
    "ResourceClaimTemplate": (
        (("spec", "spec", "devices", "requests", 0, "exactly", "allocationMode"), "ExactCount"),
        (("spec", "metadata"), {"labels": {"a": "b"}}),
    ),
    "RoleBinding": ((("roleRef", "kind"), "ClusterRole"),),
    "ScaledObject": (
        (("spec", "cooldownPeriod"), 600),
        (("spec", "scaleTargetRef", "kind"), "StatefulSet"),
    ),
}
