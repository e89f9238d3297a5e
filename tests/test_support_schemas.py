"""The harness refuses what a cluster refuses, and takes what a cluster takes."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cel
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.support import (
    ALL_RELEASES,
    WITHOUT_SCHEMA,
    assert_valid,
    crds_available,
    load_yaml,
    parse_promql,
    pod_security_problems,
    quantity,
    validate,
)
from tests.support import crds as crds_module
from tests.support.builtin import validator
from tests.support.engine import Rules

Manifest = dict[str, Any]

DROP = object()
LABELS = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "qwen"}
NEWEST = (ALL_RELEASES[-1],)
# Those that some mutation below shows to work.
# The kinds of custom resources that the library or main.py renders, and that have a CRD at hand.
RENDERED = (
    "Application",
    "ClusterIssuer",
    "ExternalSecret",
    "HTTPRoute",
    "HelmRelease",
    "HelmRepository",
    "PodMonitor",
    "PrometheusRule",
    "ScaledObject",
    "ServiceMonitor",
)
CEL_FUNCTIONS = {"contains", "duration", "endsWith", "matches", "size", "split", "startsWith"}


def crd_specs() -> Iterator[dict[str, Any]]:
    """The `spec` of each CRD that is at hand."""
    for path in sorted(crds_module._FOLDER.glob("*_*.yaml")):
        (document,) = load_yaml(path)
        yield document["spec"]


def metadata(name: str = "qwen", **fields: Any) -> Manifest:
    """Return the metadata of a sample."""
    return {"name": name, "namespace": "llm", "labels": dict(LABELS), **fields}


def pod() -> Manifest:
    """Return a pod that passes the restricted profile."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe"},
        "securityContext": {
            "fsGroup": 2000,
            "runAsNonRoot": True,
            "runAsUser": 2000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 120,
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "topologySpreadConstraints": [
            {
                "labelSelector": {"matchLabels": dict(LABELS)},
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
            },
        ],
        "containers": [
            {
                "name": "vllm",
                "image": "vllm/vllm-openai:v0.33.0",
                "imagePullPolicy": "IfNotPresent",
                "args": ["Qwen/Qwen2.5-7B-Instruct", "--port", "8000"],
                "env": [
                    {"name": "HF_HOME", "value": "/cache"},
                    {
                        "name": "HF_TOKEN",
                        "valueFrom": {"secretKeyRef": {"name": "hf-token", "key": "token"}},
                    },
                ],
                "lifecycle": {"preStop": {"exec": {"command": ["sleep", "20"]}}},
                "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
                "resources": {
                    "requests": {"cpu": "4", "memory": "32Gi", "nvidia.com/gpu": 1},
                    "limits": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": 1},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                "startupProbe": {
                    "httpGet": {"path": "/health", "port": "http"},
                    "failureThreshold": 90,
                    "periodSeconds": 10,
                },
                "volumeMounts": [
                    {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - its name
                    {"name": "cache", "mountPath": "/cache"},
                ],
            },
        ],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
            {"name": "cache", "persistentVolumeClaim": {"claimName": "model-cache"}},
        ],
    }


def sample(api_version: str, kind: str, /, **fields: Any) -> Manifest:
    """Return a manifest with the usual metadata."""
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata(), **fields}


BUILT_IN: dict[str, Manifest] = {
    "Deployment": sample(
        "apps/v1",
        "Deployment",
        spec={
            "replicas": 2,
            "progressDeadlineSeconds": 1200,
            "selector": {"matchLabels": dict(LABELS)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
            },
            "template": {"metadata": {"labels": {**LABELS, "team": "ml"}}, "spec": pod()},
        },
    ),
    "Service": sample(
        "v1",
        "Service",
        spec={
            "type": "ClusterIP",
            "selector": dict(LABELS),
            "ports": [{"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP"}],
        },
    ),
    "HorizontalPodAutoscaler": sample(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "qwen"},
            "minReplicas": 1,
            "maxReplicas": 4,
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": "vllm_num_requests_waiting"},
                        "target": {"type": "AverageValue", "averageValue": "5"},
                    },
                },
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 80},
                    },
                },
            ],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 60,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 900}],
                },
            },
        },
    ),
    "PodDisruptionBudget": sample(
        "policy/v1",
        "PodDisruptionBudget",
        spec={
            "maxUnavailable": 1,
            "selector": {"matchLabels": dict(LABELS)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    ),
    "NetworkPolicy": sample(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": {"matchLabels": dict(LABELS)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [
                        {"namespaceSelector": {"matchLabels": {"name": "web"}}},
                        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                    ],
                    "ports": [{"port": 8000, "protocol": "TCP"}],
                },
            ],
        },
    ),
    "Ingress": sample(
        "networking.k8s.io/v1",
        "Ingress",
        spec={
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["llm.example.com"], "secretName": "llm-tls"}],
            "rules": [
                {
                    "host": "llm.example.com",
                    "http": {
                        "paths": [
                            {
                                "path": "/v1",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "qwen", "port": {"number": 8000}}},
                            },
                        ],
                    },
                },
            ],
        },
    ),
    "PersistentVolumeClaim": sample(
        "v1",
        "PersistentVolumeClaim",
        spec={
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "fast-ssd",
            "resources": {"requests": {"storage": "200Gi"}},
        },
    ),
    "ConfigMap": sample("v1", "ConfigMap", data={"engine.yaml": "max-model-len: 4096\n"}),
    "Secret": sample("v1", "Secret", type="Opaque", data={"token": "aGY="}),
    "Namespace": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "llm"}},
    "Job": sample(
        "batch/v1",
        "Job",
        spec={
            "backoffLimit": 1,
            "ttlSecondsAfterFinished": 600,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "nvidia-smi",
                            "image": "nvidia/cuda:13.0.0-base-ubuntu24.04",
                            "command": ["nvidia-smi"],
                            "resources": {"limits": {"nvidia.com/gpu": "1"}},
                        },
                    ],
                },
            },
        },
    ),
}

CUSTOM: dict[str, Manifest] = {
    "ScaledObject": sample(
        "keda.sh/v1alpha1",
        "ScaledObject",
        spec={
            "scaleTargetRef": {"name": "qwen"},
            "minReplicaCount": 1,
            "maxReplicaCount": 4,
            "fallback": {"failureThreshold": 3, "replicas": 2},
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}},
                },
            },
            "triggers": [
                {
                    "type": "prometheus",
                    "name": "waiting",
                    "metricType": "AverageValue",
                    "metadata": {
                        "serverAddress": "http://prometheus.monitoring.svc:9090",
                        "query": 'sum(vllm:num_requests_waiting{model_name="qwen"})',
                        "threshold": "5",
                    },
                },
                {
                    "type": "cron",
                    "name": "day",
                    "metadata": {
                        "timezone": "Asia/Shanghai",
                        "start": "0 9 * * *",
                        "end": "0 22 * * *",
                        "desiredReplicas": "3",
                    },
                },
            ],
        },
    ),
    "HTTPRoute": sample(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        spec={
            "parentRefs": [{"name": "front", "namespace": "gateways"}],
            "hostnames": ["llm.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/qwen/"}}],
                    "filters": [
                        {
                            "type": "URLRewrite",
                            "urlRewrite": {
                                "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"},
                            },
                        },
                    ],
                    "backendRefs": [{"name": "qwen", "port": 8000}],
                    "timeouts": {"request": "1h", "backendRequest": "30m"},
                },
            ],
        },
    ),
    "Gateway": sample(
        "gateway.networking.k8s.io/v1",
        "Gateway",
        spec={
            "gatewayClassName": "envoy",
            "listeners": [
                {
                    "name": "https",
                    "port": 443,
                    "protocol": "HTTPS",
                    "hostname": "llm.example.com",
                    "tls": {"mode": "Terminate", "certificateRefs": [{"name": "llm-tls"}]},
                },
            ],
        },
    ),
    "ServiceMonitor": sample(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        spec={
            "selector": {"matchLabels": dict(LABELS)},
            "endpoints": [{"port": "http", "path": "/metrics", "interval": "15s"}],
        },
    ),
    "PrometheusRule": sample(
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        spec={
            "groups": [
                {
                    "name": "vllm",
                    "rules": [
                        {
                            "alert": "QueueIsLong",
                            "expr": 'sum(vllm:num_requests_waiting{namespace="llm"}) > 50',
                            "for": "5m",
                            "labels": {"severity": "warning"},
                            "annotations": {"summary": "Requests wait"},
                        },
                    ],
                },
            ],
        },
    ),
    "HelmRelease": sample(
        "helm.toolkit.fluxcd.io/v2",
        "HelmRelease",
        spec={
            "interval": "1h",
            "chart": {
                "spec": {
                    "chart": "keda",
                    "version": "2.20.2",
                    "sourceRef": {"kind": "HelmRepository", "name": "kedacore"},
                },
            },
            "values": {"anything": {"goes": [1, "here"]}},
        },
    ),
    "Application": sample(
        "argoproj.io/v1alpha1",
        "Application",
        spec={
            "project": "default",
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "keda"},
            "source": {
                "repoURL": "https://charts.example.com",
                "chart": "keda",
                "targetRevision": "2.20.2",
            },
        },
    ),
    "ExternalSecret": sample(
        "external-secrets.io/v1",
        "ExternalSecret",
        spec={
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"},
            "target": {"name": "hf-token"},
            "data": [{"secretKey": "token", "remoteRef": {"key": "llm/hf", "property": "token"}}],
        },
    ),
    "ClusterIssuer": {
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": "letsencrypt"},
        "spec": {
            "acme": {
                "server": "https://acme.example.com/directory",
                "privateKeySecretRef": {"name": "letsencrypt"},
                "solvers": [{"http01": {"ingress": {"ingressClassName": "nginx"}}}],
            },
        },
    },
    "InferencePool": sample(
        "inference.networking.k8s.io/v1",
        "InferencePool",
        spec={
            "selector": {"matchLabels": dict(LABELS)},
            "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {"name": "epp", "port": {"number": 9002}},
        },
    ),
    "LeaderWorkerSet": sample(
        "leaderworkerset.x-k8s.io/v1",
        "LeaderWorkerSet",
        spec={
            "leaderWorkerTemplate": {
                "size": 2,
                "workerTemplate": {"metadata": {"labels": dict(LABELS)}, "spec": pod()},
            },
        },
    ),
}

PROVIDER: dict[str, Manifest] = {
    "GCPBackendPolicy": sample(
        "networking.gke.io/v1",
        "GCPBackendPolicy",
        spec={
            "default": {"timeoutSec": 3600, "connectionDraining": {"drainingTimeoutSec": 600}},
            "targetRef": {"group": "", "kind": "Service", "name": "qwen"},
        },
    ),
    "HealthCheckPolicy": sample(
        "networking.gke.io/v1",
        "HealthCheckPolicy",
        spec={
            "default": {
                "config": {"type": "HTTP", "httpHealthCheck": {"requestPath": "/health"}},
            },
            "targetRef": {"group": "", "kind": "Service", "name": "qwen"},
        },
    ),
    "BackendConfig": sample("cloud.google.com/v1", "BackendConfig", spec={"timeoutSec": 3600}),
    "ProxySettingsPolicy": sample(
        "gateway.nginx.org/v1alpha1",
        "ProxySettingsPolicy",
        spec={
            "buffering": {"disable": True},
            "timeout": {"read": "3600s"},
            "targetRefs": [
                {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "qwen"},
            ],
        },
    ),
}

BASES = {**BUILT_IN, **CUSTOM, **PROVIDER}
POD = "spec/template/spec"
BOX = f"{POD}/containers/0"
TRIGGER = "spec/triggers/0"
RULE = "spec/rules/0"
PATH = f"{RULE}/http/paths/0"

# What is changed, to what, and a word that the refusal must have.
MUTATIONS: list[tuple[str, str, Any, str]] = [
    ("Deployment", "metadata/name", "Qwen", "DNS-1123"),
    ("Deployment", "metadata/name", "qwen.", "DNS-1123"),
    ("Deployment", "metadata/name", DROP, "name"),
    ("Deployment", "metadata/namespace", DROP, "namespace"),
    ("Deployment", "metadata/namespace", "a.b", "DNS-1123"),
    ("Deployment", "metadata/labels/model", "Qwen/Qwen2.5", "label value"),
    ("Deployment", "metadata/labels/model", "x" * 64, "label value"),
    ("Deployment", "metadata/labels/model", 7, "string"),
    ("Deployment", "metadata/labels/a~1b~1c", "x", "DNS-1123"),
    ("Deployment", "metadata/labels/-a", "x", "qualified name"),
    ("Deployment", "metadata/annotations", {"a": "x" * 262144}, "bytes"),
    ("Deployment", "metadata/annotations", {"a b": "x"}, "qualified name"),
    ("Deployment", "metadata/annotations", {"a": True}, "string"),
    ("Deployment", "metadata/uid", "x", "API server"),
    ("Deployment", "apiVersion", "apps/v1beta1", "no schema"),
    ("Deployment", "apiVersion", "apps.example.com/v1", "no schema"),
    ("Deployment", "kind", "deployment", "no schema"),
    ("Deployment", "spec/replicas", "2", "integer"),
    ("Deployment", "spec/replicas", 2.0, "integer"),
    ("Deployment", "spec/replicas", True, "integer"),
    ("Deployment", "spec/replicas", 2**31, "int32"),
    ("Deployment", "spec/replicas", -1, "outside"),
    ("Deployment", "spec/replicas", None, "null"),
    ("Deployment", "spec/replicas", float("inf"), "JSON"),
    ("Deployment", "spec/selector", {}, "empty"),
    ("Deployment", "spec/selector/matchLabels/extra", "x", "template's labels"),
    ("Deployment", "spec/progressDeadlineSeconds", 0, "outside"),
    ("Deployment", "spec/minReadySeconds", 1200, "minReadySeconds"),
    ("Deployment", "spec/strategy/type", "Rolling", "not one of"),
    ("Deployment", "spec/strategy/type", "Recreate", "Recreate"),
    ("Deployment", "spec/strategy/rollingUpdate/maxUnavailable", 0, "both"),
    ("Deployment", "spec/strategy/rollingUpdate/maxSurge", "25", "percentage"),
    ("Deployment", f"{POD}/restartPolicy", "Never", "only Always"),
    ("Deployment", f"{POD}/dnsPolicy", "Custom", "not one of"),
    ("Deployment", f"{POD}/containers", [], "needs a container"),
    ("Deployment", f"{POD}/nodeSelector/gpu", "NVIDIA A100", "label value"),
    ("Deployment", f"{POD}/tolerations/0/effect", "NoStart", "not one of"),
    ("Deployment", f"{POD}/tolerations/0/operator", "In", "not one of"),
    ("Deployment", f"{POD}/tolerations/0/value", "x", "no value"),
    ("Deployment", f"{POD}/tolerations/0/tolerationSeconds", 5, "NoExecute"),
    ("Deployment", f"{POD}/topologySpreadConstraints/0/whenUnsatisfiable", "Never", "not one of"),
    ("Deployment", f"{POD}/topologySpreadConstraints/0/maxSkew", 0, "outside"),
    ("Deployment", f"{POD}/securityContext/seccompProfile/type", "Default", "not one of"),
    ("Deployment", f"{POD}/volumes/0/name", "cache", "twice"),
    ("Deployment", f"{POD}/volumes/0/hostPath", {"path": "/dev/shm"}, "one source"),  # noqa: S108
    ("Deployment", f"{POD}/volumes/0/emptyDir/medium", "RAM", "not one of"),
    ("Deployment", f"{POD}/volumes/0/emptyDir/sizeLimit", "16GB", "quantity"),
    ("Deployment", f"{POD}/terminationGracePeriodSeconds", -1, "outside"),
    ("Deployment", f"{BOX}/name", "vLLM", "DNS-1123"),
    ("Deployment", f"{BOX}/image", DROP, "image"),
    ("Deployment", f"{BOX}/imagePullPolicy", "Sometimes", "not one of"),
    ("Deployment", f"{BOX}/args/2", 8000, "string"),
    ("Deployment", f"{BOX}/env/0/value", 1, "string"),
    ("Deployment", f"{BOX}/env/0/name", "A=B", "environment name"),
    ("Deployment", f"{BOX}/env/0/name", "HF_TOKEN", "twice"),
    ("Deployment", f"{BOX}/env/1/value", "x", "exclude"),
    ("Deployment", f"{BOX}/env/1/valueFrom", {}, "exactly one"),
    ("Deployment", f"{BOX}/env/1/valueFrom/secretKeyRef/name", DROP, "reference"),
    ("Deployment", f"{BOX}/ports/0/name", "http-metrics-port", "port name"),
    ("Deployment", f"{BOX}/ports/0/containerPort", 65536, "outside"),
    ("Deployment", f"{BOX}/ports/0/containerPort", 0, "outside"),
    ("Deployment", f"{BOX}/ports/0/protocol", "HTTP", "not one of"),
    ("Deployment", f"{BOX}/resources/limits/memory", "64GB", "quantity"),
    ("Deployment", f"{BOX}/resources/limits/memory", "64 Gi", "quantity"),
    ("Deployment", f"{BOX}/resources/limits/memory", "500m", "whole number"),
    ("Deployment", f"{BOX}/resources/limits/memory", "16Gi", "more than the limit"),
    ("Deployment", f"{BOX}/resources/limits/nvidia.com~1gpu", 2, "equal"),
    ("Deployment", f"{BOX}/resources/limits/nvidia.com~1gpu", DROP, "equal"),
    ("Deployment", f"{BOX}/resources/limits/nvidia.com~1gpu", "500m", "whole number"),
    ("Deployment", f"{BOX}/resources/limits/gpu", 1, "extended"),
    ("Deployment", f"{BOX}/resources/claims", [{"name": "gpu"}], "resource claim"),
    ("Deployment", f"{BOX}/startupProbe/httpGet/port", "metrics", "has no port"),
    ("Deployment", f"{BOX}/startupProbe/httpGet/port", 0, "outside"),
    ("Deployment", f"{BOX}/startupProbe/httpGet/scheme", "https", "not one of"),
    ("Deployment", f"{BOX}/startupProbe/tcpSocket", {"port": 8000}, "exactly one"),
    ("Deployment", f"{BOX}/startupProbe/httpGet", DROP, "exactly one"),
    ("Deployment", f"{BOX}/startupProbe/successThreshold", 2, "must be 1"),
    ("Deployment", f"{BOX}/startupProbe/periodSeconds", 0, "outside"),
    ("Deployment", f"{BOX}/lifecycle/preStop/httpGet", {"port": 8000}, "exactly one"),
    ("Deployment", f"{BOX}/lifecycle/preStop", {"sleep": {"seconds": 121}}, "grace period"),
    ("Deployment", f"{BOX}/volumeMounts/0/name", "missing", "no volume"),
    ("Deployment", f"{BOX}/volumeMounts/0/mountPath", "/cache", "twice"),
    ("Deployment", f"{BOX}/volumeMounts/0/subPath", "../x", "leaves"),
    ("Deployment", f"{BOX}/restartPolicy", "Always", "init containers"),
    ("Service", "metadata/name", "7b", "DNS-1035"),
    ("Service", "spec/type", "Cluster", "not one of"),
    ("Service", "spec/ports", [], "needs a port"),
    ("Service", "spec/ports/0/port", 70000, "outside"),
    ("Service", "spec/ports/0/targetPort", "HTTP", "port name"),
    ("Service", "spec/ports/0/nodePort", 30000, "NodePort"),
    ("Service", "spec/ports/1", {"port": 8001}, "names"),
    ("Service", "spec/selector/app", "a/b", "label value"),
    ("HorizontalPodAutoscaler", "spec/minReplicas", 5, "above maxReplicas"),
    ("HorizontalPodAutoscaler", "spec/minReplicas", 0, "outside"),
    ("HorizontalPodAutoscaler", "spec/metrics/0/type", "External", "exactly the field"),
    ("HorizontalPodAutoscaler", "spec/metrics/0/pods/target/type", "Value", "exactly the field"),
    ("HorizontalPodAutoscaler", "spec/metrics/0/pods/target/averageValue", "five", "quantity"),
    ("HorizontalPodAutoscaler", "spec/metrics/0/pods/metric/name", "a/b", "URL"),
    (
        "HorizontalPodAutoscaler",
        "spec/behavior/scaleUp/policies/0/periodSeconds",
        1801,
        "outside",
    ),
    ("HorizontalPodAutoscaler", "spec/behavior/scaleUp/selectPolicy", "Avg", "not one of"),
    ("PodDisruptionBudget", "spec/minAvailable", 1, "exactly one"),
    ("PodDisruptionBudget", "spec/maxUnavailable", "half", "percentage"),
    ("PodDisruptionBudget", "spec/unhealthyPodEvictionPolicy", "Always", "not one of"),
    ("PodDisruptionBudget", "spec/selector", {}, "empty"),
    ("NetworkPolicy", "spec/policyTypes/0", "ingress", "not one of"),
    ("NetworkPolicy", "spec/ingress/0/ports/0/port", 0, "outside"),
    ("NetworkPolicy", "spec/ingress/0/from/1/ipBlock/cidr", "10.0.0.0/33", "10.0.0.0/33"),
    ("NetworkPolicy", "spec/ingress/0/from/1/ipBlock/except/0", "11.0.0.0/8", "inside"),
    ("NetworkPolicy", "spec/ingress/0/from/1/podSelector", {}, "excludes"),
    ("NetworkPolicy", "spec/podSelector/matchLabels/a", "b c", "label value"),
    ("Ingress", f"{RULE}/host", "LLM.example.com", "DNS-1123"),
    ("Ingress", f"{PATH}/pathType", "Regex", "not one of"),
    ("Ingress", f"{PATH}/pathType", DROP, "pathType"),
    ("Ingress", f"{PATH}/path", "v1", "start with"),
    ("Ingress", f"{PATH}/path", "/v1//x", "//"),
    ("Ingress", f"{PATH}/backend/service/port/name", "http", "exactly one"),
    ("Ingress", f"{PATH}/backend/service/port", DROP, "needs a port"),
    ("Ingress", "metadata/annotations", {"nginx.ingress.kubernetes.io/x": 1}, "string"),
    ("PersistentVolumeClaim", "spec/accessModes/0", "ReadWriteAll", "not one of"),
    ("PersistentVolumeClaim", "spec/accessModes", [], "at least one"),
    ("PersistentVolumeClaim", "spec/resources/requests/storage", "200GB", "quantity"),
    ("PersistentVolumeClaim", "spec/resources/requests/storage", "-1Gi", "negative"),
    ("PersistentVolumeClaim", "spec/resources/requests", DROP, "requests.storage"),
    ("ConfigMap", "data/a b", "x", "data key"),
    ("ConfigMap", "data/n", 1, "string"),
    ("ConfigMap", "data/big", "x" * 1024 * 1024, "bytes"),
    ("Secret", "data/token", "hf_token", "byte"),
    ("Secret", "type", "kubernetes.io/tls", "tls.crt"),
    ("Namespace", "metadata/namespace", "llm", "no namespace"),
    ("Namespace", "metadata/name", "a.b", "DNS-1123"),
    ("Job", f"{POD}/restartPolicy", "Always", "Never"),
    ("Job", f"{POD}/restartPolicy", DROP, "Never"),
    ("Job", "spec/backoffLimit", -1, "outside"),
    ("Job", "metadata/name", "x" * 64, "more than 63"),
    ("ScaledObject", "spec/maxReplicaCount", 0, "minimum"),
    ("ScaledObject", "spec/minReplicaCount", 5, "less than or equal"),
    ("ScaledObject", "spec/minReplicaCount", "1", "integer"),
    ("ScaledObject", "spec/idleReplicaCount", 1, "not below"),
    ("ScaledObject", "spec/fallback/behavior", "keep", "keep"),
    ("ScaledObject", "spec/triggers", [], "non-empty"),
    ("ScaledObject", "spec/triggers/1/name", "waiting", "twice"),
    ("ScaledObject", "spec/triggers/1/metadata/desiredReplicas", "0", "desiredReplicas"),
    ("ScaledObject", "spec/triggers/1/metadata/end", "22:00", "fields"),
    ("ScaledObject", f"{TRIGGER}/metadata/threshold", 5, "string"),
    ("ScaledObject", f"{TRIGGER}/metadata/threshold", "five", "number"),
    ("ScaledObject", f"{TRIGGER}/metadata/query", "sum(a", "PromQL"),
    ("ScaledObject", f"{TRIGGER}/metadata/metricName", "x", "removed"),
    ("ScaledObject", f"{TRIGGER}/metadata/query", DROP, "query"),
    ("ScaledObject", f"{TRIGGER}/metricType", "Average", "metric type"),
    ("ScaledObject", f"{TRIGGER}/metricType", "Utilization", "utilization"),
    ("ScaledObject", "metadata/name", "x" * 55, "too long"),
    (
        "ScaledObject",
        "spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown/stabilizationWindowSeconds",
        3601,
        "outside",
    ),
    ("HTTPRoute", "apiVersion", "gateway.networking.k8s.io/v1alpha2", "serves"),
    ("HTTPRoute", "spec/hostnames/0", "LLM", "match"),
    ("HTTPRoute", "spec/parentRefs/1", {"name": "front", "namespace": "gateways"}, "unique"),
    ("HTTPRoute", f"{RULE}/backendRefs/0/port", DROP, "Must have port"),
    ("HTTPRoute", f"{RULE}/backendRefs/0/port", 0, "minimum"),
    ("HTTPRoute", f"{RULE}/backendRefs/0/kind", "", "non-empty"),
    ("HTTPRoute", f"{RULE}/timeouts/request", "1.5h", "match"),
    ("HTTPRoute", f"{RULE}/timeouts/request", "10m", "longer than"),
    ("HTTPRoute", f"{RULE}/matches/0/path/value", "qwen", "absolute"),
    ("HTTPRoute", f"{RULE}/matches/0/path/value", "/a//b", "//"),
    ("HTTPRoute", f"{RULE}/matches/0/path/value", "/a/../b", "/../"),
    ("HTTPRoute", f"{RULE}/matches/0/path/value", "/a/..", "end with"),
    ("HTTPRoute", f"{RULE}/matches/0/path/value", "/a b", "valid characters"),
    ("HTTPRoute", f"{RULE}/matches/0/path/type", "Prefix", "Prefix"),
    ("HTTPRoute", f"{RULE}/matches/0/path/type", "Exact", "PathPrefix"),
    ("HTTPRoute", f"{RULE}/filters/0/urlRewrite/path/type", "ReplaceFullPath", "replaceFullPath"),
    ("HTTPRoute", f"{RULE}/filters/0/type", "RequestRedirect", "filter.type"),
    (
        "HTTPRoute",
        f"{RULE}/filters/1",
        {"type": "URLRewrite", "urlRewrite": {"hostname": "a.example.com"}},
        "repeated",
    ),
    (
        "HTTPRoute",
        f"{RULE}/filters/0",
        {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}},
        "backendRefs",
    ),
    ("Gateway", "spec/listeners/0/protocol", "HTTP", "tls must not"),
    ("Gateway", "spec/listeners/0/tls/mode", "Passthrough", "Terminate"),
    ("Gateway", "spec/listeners/0/tls", {"mode": "Terminate"}, "certificateRefs"),
    ("Gateway", "spec/listeners/1", {"name": "https", "port": 80, "protocol": "HTTP"}, "twice"),
    (
        "Gateway",
        "spec/listeners/1",
        {**CUSTOM["Gateway"]["spec"]["listeners"][0], "name": "again"},
        "must be unique",
    ),
    ("Gateway", "spec/listeners/0/port", 65536, "maximum"),
    ("Gateway", "spec/infrastructure", {"labels": {f"{'a' * 253}/b": "c"}}, "253 characters"),
    ("Gateway", "spec/infrastructure", {"labels": {"a b": "c"}}, "prefix"),
    ("ServiceMonitor", "spec/selector", DROP, "selector"),
    ("ServiceMonitor", "spec/selector/matchLabels/a", "b/c", "label value"),
    ("ServiceMonitor", "spec/endpoints/0/interval", "15", "match"),
    ("ServiceMonitor", "spec/endpoints/0/scrapeTimeout", "30s", "longer"),
    ("ServiceMonitor", "spec/endpoints/0/scheme", "ftp", "ftp"),
    ("ServiceMonitor", "spec/endpoints/0/port", DROP, "exactly one"),
    ("PrometheusRule", "spec/groups/0/rules/0/for", "5 minutes", "match"),
    ("PrometheusRule", "spec/groups/0/rules/0/record", "a:b", "exactly one"),
    ("PrometheusRule", "spec/groups/0/rules/0/expr", "sum(a) >", "PromQL"),
    ("PrometheusRule", "spec/groups/0/rules/0/labels/severity", 1, "string"),
    ("PrometheusRule", "spec/groups/1", {"name": "vllm", "rules": []}, "twice"),
    ("HelmRelease", "spec/chart", DROP, "chart"),
    ("HelmRelease", "spec/interval", "hourly", "match"),
    ("HelmRelease", "spec/chart/spec/sourceRef/kind", "Helm", "Helm"),
    ("HelmRelease", "spec/values/anything/goes", (1, 2), "tuple"),
    ("Application", "spec/project", DROP, "project"),
    ("Application", "spec/source", DROP, "exactly one"),
    ("Application", "spec/destination/name", "in-cluster", "exactly one"),
    ("ExternalSecret", "spec/data", DROP, "dataFrom"),
    ("ExternalSecret", "spec/data/0/secretKey", "a/b", "match"),
    ("ExternalSecret", "spec/target/creationPolicy", "Always", "Always"),
    ("ExternalSecret", "spec/secretStoreRef", DROP, "secretStoreRef"),
    ("ClusterIssuer", "metadata/namespace", "llm", "no namespace"),
    ("ClusterIssuer", "spec/acme/server", DROP, "server"),
    ("ClusterIssuer", "spec/selfSigned", {}, "exactly one"),
    ("InferencePool", "spec/targetPorts/1", {"number": 8000}, "unique"),
    ("InferencePool", "spec/endpointPickerRef/port", DROP, "port is required"),
    ("InferencePool", "spec/selector/matchLabels", {}, "matchLabels"),
    ("LeaderWorkerSet", "metadata/name", "7b", "DNS-1035"),
    (
        "LeaderWorkerSet",
        "spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/imagePullPolicy",
        "Sometimes",
        "not one of",
    ),
    (
        "LeaderWorkerSet",
        "spec/leaderWorkerTemplate/workerTemplate/spec/volumes/1/name",
        "shm",
        "twice",
    ),
    ("GCPBackendPolicy", "spec/default/timeoutSec", "30s", "integer"),
    ("GCPBackendPolicy", "spec/targetRef", DROP, "targetRef"),
    ("HealthCheckPolicy", "spec/default/config/type", "TCPS", "TCPS"),
    ("HealthCheckPolicy", "spec/default/requestPath", "/health", "requestPath"),
    ("BackendConfig", "spec/timeoutSec", 0, "minimum"),
    ("BackendConfig", "metadata/labels/a", "b/c", "label value"),
    ("ProxySettingsPolicy", "spec/timeout/read", "1.5h", "match"),
    ("ProxySettingsPolicy", "spec/targetRefs/0/kind", "Service", "Service"),
]


def changed(manifest: Manifest, path: str, value: Any) -> Manifest:
    """Return a copy with one field set, or dropped."""
    result = copy.deepcopy(manifest)
    target: Any = result
    *steps, last = [step.replace("~1", "/") for step in path.split("/")]
    for step in steps:
        target = target[int(step)] if isinstance(target, list) else target.setdefault(step, {})
    if isinstance(target, list):
        target[int(last) : int(last) + 1] = [] if value is DROP else [value]
    elif value is DROP:
        del target[last]
    else:
        target[last] = value
    return result


def places(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every place of a manifest with what stands there."""
    if path:
        yield path, value
    items = enumerate(value) if isinstance(value, list) else value.items()
    for step, item in items if isinstance(value, list | dict) else ():
        text = str(step).replace("/", "~1")
        where = f"{path}/{text}" if path else text
        if isinstance(item, list | dict):
            yield from places(item, where)
        else:
            yield where, item


def rules(schema: Any) -> Iterator[str]:
    """Yield the CEL rules of a schema."""
    if isinstance(schema, dict):
        own = schema.get("x-kubernetes-validations", [])
        yield from (one["rule"].strip() for one in own)
    for item in schema.values() if isinstance(schema, dict) else ():
        yield from rules(item)


def needs_crds(kind: str) -> None:
    """Skip where a custom resource can not be checked."""
    if kind in CUSTOM and not crds_available():
        pytest.skip("the CRDs are not at hand")


@pytest.mark.parametrize("kind", BASES)
class TestBase:
    """Valid samples."""

    def test_is_taken(self, kind: str) -> None:
        """Every release takes it."""
        needs_crds(kind)

        assert validate(BASES[kind]) == []

    def test_is_left_alone(self, kind: str) -> None:
        """Checking does not change what is checked."""
        needs_crds(kind)
        before = copy.deepcopy(BASES[kind])

        validate(BASES[kind])

        assert before == BASES[kind]


@pytest.mark.parametrize(
    ("kind", "path", "value", "word"),
    [
        pytest.param(*one, id=f"{one[0]}-{one[1].rpartition('/')[2]}-{index}")
        for index, one in enumerate(MUTATIONS)
    ],
)
def test_mutation_is_refused(kind: str, path: str, value: object, word: str) -> None:
    """A single wrong field is refused, and for the right reason."""
    needs_crds(kind)

    problems = validate(changed(BASES[kind], path, value), releases=("1.30", "1.37"))

    assert any(word in problem for problem in problems), problems


# Maps with keys of the user's own, and the values of a chart.
FREE = re.compile(
    r"(labels|matchLabels|nodeSelector|selector|data|limits|requests|metadata|values|anything"
    r"|except|annotations)$",
)
CLOSED_METADATA = re.compile(r"^metadata$|template/metadata$|Template/metadata$")


@pytest.mark.parametrize("kind", BASES)
class TestEveryPlace:
    """What holds wherever in an object it happens."""

    def test_unknown_field(self, kind: str) -> None:
        """An unknown field is refused at any depth."""
        needs_crds(kind)
        base = BASES[kind]
        tried = [
            path
            for path, value in places(base)
            if isinstance(value, dict) and (not FREE.search(path) or CLOSED_METADATA.search(path))
        ]

        missed = [
            path
            for path in tried
            if not validate(changed(base, f"{path}/unknownField", "x"), releases=NEWEST)
        ]

        assert tried
        assert missed == []

    def test_null(self, kind: str) -> None:
        """A null is refused anywhere but in Helm values, where it means something."""
        needs_crds(kind)
        base = BASES[kind]

        missed = [
            path
            for path, _ in places(base)
            if not path.startswith(("spec/values/", "spec/source/helm/valuesObject/"))
            and not validate(changed(base, path, None), releases=NEWEST)
        ]

        assert missed == []

    def test_wrong_type(self, kind: str) -> None:
        """A list where a scalar belongs, and a boolean where an object belongs, are refused."""
        needs_crds(kind)
        base = BASES[kind]

        missed = [
            path
            for path, value in places(base)
            if not path.startswith("spec/values")
            and not validate(
                changed(base, path, True if isinstance(value, dict | list) else ["x"]),
                releases=NEWEST,
            )
        ]

        assert missed == []


class TestReleases:
    """Differences between releases."""

    @pytest.mark.parametrize(
        ("release", "taken"),
        [("1.28", False), ("1.29", False), ("1.30", True), ("1.37", True)],
    )
    def test_pre_stop_sleep(self, release: str, taken: bool) -> None:  # noqa: FBT001
        """The schema lacks it in 1.28, the gate is off in 1.29."""
        hook = {"sleep": {"seconds": 20}}
        manifest = changed(BASES["Deployment"], f"{BOX}/lifecycle/preStop", hook)

        assert (validate(manifest, releases=[release]) == []) is taken

    def test_says_which(self) -> None:
        """A refusal by some releases names them."""
        hook = {"sleep": {"seconds": 20}}
        manifest = changed(BASES["Deployment"], f"{BOX}/lifecycle/preStop", hook)

        problems = validate(manifest)

        assert [one for one in problems if "1.30" in one.partition("(in")[2]] == []
        assert any(one.endswith("(in 1.29)") for one in problems)

    def test_api_version_that_a_release_lacks(self) -> None:
        """Device classes came with 1.34."""
        manifest = {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "DeviceClass",
            "metadata": {"name": "gpu.example.com"},
            "spec": {},
        }

        assert validate(manifest, releases=["1.34", "1.37"]) == []
        assert "no DeviceClass" in validate(manifest, releases=["1.33"])[0]

    def test_image_volume_behind_a_gate(self) -> None:
        """The field is in the schema of 1.33, and off there."""
        volume = {"name": "shm", "image": {"reference": "models/qwen:1"}}
        manifest = changed(BASES["Deployment"], f"{POD}/volumes/0", volume)

        assert validate(manifest, releases=["1.35"]) == []
        assert "off by default before 1.35" in validate(manifest, releases=["1.33"])[0]

    def test_unknown_release(self) -> None:
        """A release without schemas is the test's mistake."""
        with pytest.raises(ValueError, match=r"1\.99"):
            validate(BASES["Service"], releases=["1.99"])


class TestEquivalence:
    """The compiled validators judge as kubernetes-validate does."""

    @pytest.mark.parametrize("release", ["1.27", "1.30", "1.34", "1.37"])
    @pytest.mark.parametrize(
        ("kind", "path", "value"),
        [
            *[(kind, "metadata/labels/a", "b") for kind in BUILT_IN],
            ("Deployment", f"{BOX}/unknown", "x"),
            ("Deployment", f"{BOX}/args/0", 1),
            ("Deployment", f"{BOX}/lifecycle/preStop", {"sleep": {"seconds": 5}}),
            ("Deployment", f"{POD}/volumes/0", {"name": "shm", "image": {"reference": "x"}}),
            ("Service", "spec/ports/0/port", "80"),
            ("Service", "spec/ports/0/port", DROP),
            ("HorizontalPodAutoscaler", "spec/behavior/scaleUp/tolerance", "0.1"),
            ("ConfigMap", "data/a", {}),
            ("Ingress", f"{PATH}/pathType", DROP),
            ("Job", "spec/template/spec/containers", DROP),
        ],
    )
    def test_verdict(self, release: str, kind: str, path: str, value: object) -> None:
        """Both take an object, or both refuse it."""
        manifest = changed(BUILT_IN[kind], path, value)
        try:
            kubernetes_validate.validate(manifest, release, strict=True)
            expected = True
        except kubernetes_validate.ValidationError:
            expected = False

        actual = validator(release, manifest["apiVersion"], kind).is_valid(manifest)

        assert expected == actual


class TestHarness:
    """The edges of the harness itself."""

    def test_unknown_kind(self) -> None:
        """A kind without a schema is a problem, not a pass."""
        assert "no schema" in validate(sample("example.com/v1", "Widget", spec={}))[0]

    def test_without_schema(self) -> None:
        """The hand-written schemas are those of the three provider kinds."""
        expected = {(one["apiVersion"], one["kind"]) for one in PROVIDER.values()}

        assert expected == WITHOUT_SCHEMA

    @pytest.mark.parametrize("manifest", [{}, {"kind": "Service"}, {"metadata": {}}])
    def test_half_an_object(self, manifest: Manifest) -> None:
        """An object without its type or name is refused and does no harm."""
        assert validate(manifest) != []

    def test_namespace_is_optional_on_request(self) -> None:
        """A chart may leave the namespace to whoever applies it."""
        manifest = changed(BASES["Service"], "metadata/namespace", DROP)

        assert validate(manifest, require_namespace=False) == []

    def test_assert_valid_names_the_object(self) -> None:
        """A failure says which object is wrong."""
        wrong = changed(BASES["Service"], "spec/ports/0/port", 0)

        with pytest.raises(AssertionError, match="Service/qwen: spec"):
            assert_valid(BASES["ConfigMap"], wrong)

    def test_assert_valid_without_crds(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        """Without CRDs the rest is checked, then the test is skipped."""
        monkeypatch.setattr(crds_module, "_FOLDER", tmp_path)
        stranger = sample("example.com/v1", "Widget", spec={})

        with pytest.raises(pytest.skip.Exception, match="Widget/qwen"):
            assert_valid(BASES["ConfigMap"], stranger)
        with pytest.raises(AssertionError):
            assert_valid(stranger, changed(BASES["ConfigMap"], "data/n", 1))

    @pytest.mark.parametrize("kind", RENDERED)
    def test_crd(self, kind: str) -> None:
        """The CRD of a kind that is rendered is found, and its rules can be evaluated."""
        needs_crds(kind)
        functions: set[str] = set()
        for spec in (spec for spec in crd_specs() if spec["names"]["kind"] == kind):
            for version in (version for version in spec["versions"] if version["served"]):
                known = crds_module.crd(f"{spec['group']}/{version['name']}", kind)
                assert known is not None
                functions.update(*(cel.compile(one).functions() for one in rules(known.schema)))

        assert {one for one in functions if one.isalpha()} <= CEL_FUNCTIONS

    def test_other_crds(self) -> None:
        """CRDs of kinds that nothing renders yet are named."""
        needs_crds("HTTPRoute")
        kinds = {spec["names"]["kind"] for spec in crd_specs()}

        assert set(RENDERED) <= kinds
        if others := sorted(kinds - set(RENDERED)):
            pytest.skip(f"nothing renders these kinds yet: {', '.join(others)}")

    def test_cel_error_is_a_refusal(self) -> None:
        """A rule that can not be evaluated never passes in silence."""
        rules = [{"rule": "self.missing > 1", "message": "too low"}]

        errors = [one.message for one in Rules({"x-kubernetes-validations": rules}).iter_errors({})]

        assert errors[0].startswith("too low (the rule could not be evaluated")


class TestQuantity:
    """Kubernetes' grammar of amounts."""

    @pytest.mark.parametrize(
        ("left", "right"),
        [("1.5Gi", "1536Mi"), ("500m", 0.5), ("2", 2), ("1e3", "1k"), (".5", "500m"), ("1E", 1e18)],
    )
    def test_equal(self, left: object, right: object) -> None:
        """Different spellings of an amount are equal."""
        assert quantity(left) == quantity(right)

    @pytest.mark.parametrize("text", ["10GB", "1 Gi", "1K", "", "Gi", "1.2.3", "1ki", "0x10", True])
    def test_refused(self, text: object) -> None:
        """What is no amount is refused."""
        with pytest.raises(ValueError, match="not a quantity"):
            quantity(text)


class TestPodSecurity:
    """The restricted profile."""

    def test_sample(self) -> None:
        """The sample pod passes."""
        assert pod_security_problems(pod()) == []

    @pytest.mark.parametrize(
        ("path", "value", "word"),
        [
            ("hostNetwork", True, "hostNetwork"),
            ("hostIPC", True, "hostIPC"),
            ("volumes/0", {"name": "x", "hostPath": {"path": "/"}}, "hostPath"),
            ("volumes/0", {"name": "x", "nfs": {"server": "a", "path": "/"}}, "nfs"),
            ("securityContext/runAsNonRoot", DROP, "runAsNonRoot"),
            ("securityContext/runAsUser", 0, "runAsUser"),
            ("securityContext/seccompProfile", DROP, "seccompProfile"),
            ("securityContext/seccompProfile/type", "Unconfined", "seccompProfile"),
            ("securityContext/sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctls"),
            ("securityContext/seLinuxOptions", {"type": "spc_t"}, "seLinuxOptions"),
            ("containers/0/securityContext/allowPrivilegeEscalation", DROP, "Escalation"),
            ("containers/0/securityContext/privileged", True, "privileged"),
            ("containers/0/securityContext/capabilities/drop", ["NET_RAW"], "drop"),
            ("containers/0/securityContext/capabilities/add", ["IPC_LOCK"], "IPC_LOCK"),
            ("containers/0/securityContext/runAsNonRoot", False, "runAsNonRoot"),
            ("containers/0/securityContext/runAsUser", 0, "runAsUser"),
            ("containers/0/securityContext/procMount", "Unmasked", "procMount"),
            ("containers/0/ports/0/hostPort", 8000, "hostPort"),
            ("containers/0/startupProbe/httpGet/host", "10.0.0.1", "host"),
            ("initContainers", [{"name": "x", "image": "y"}], "initContainers[0]"),
        ],
    )
    def test_refused(self, path: str, value: object, word: str) -> None:
        """Each rule of the profile is held."""
        problems = pod_security_problems(changed(pod(), path, value))

        assert any(word in problem for problem in problems), problems

    def test_allowed(self) -> None:
        """What the profile leaves open stays open."""
        capabilities = {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
        spec = changed(pod(), "containers/0/securityContext/capabilities", capabilities)
        spec = changed(spec, "volumes/0", {"name": "shm", "image": {"reference": "x"}})

        assert pod_security_problems(spec) == []


class TestLoadYaml:
    """Reading YAML."""

    def test_documents(self, tmp_path: Path) -> None:
        """Empty documents vanish, the others come in order."""
        path = tmp_path / "a.yaml"
        path.write_text("---\na: 1\n---\n---\nb: {c: [2]}\n", encoding="utf-8")

        assert load_yaml(path) == [{"a": 1}, {"b": {"c": [2]}}]

    @pytest.mark.parametrize("text", ["a: 1\na: 2\n", "x: {b: 1, b: 2}\n", "- {c: 1, c: 1}\n"])
    def test_duplicate_key(self, tmp_path: Path, text: str) -> None:
        """A key that stands twice is refused at any depth."""
        path = tmp_path / "a.yaml"
        path.write_text(text, encoding="utf-8")

        with pytest.raises(yaml.YAMLError, match="twice"):
            load_yaml(path)

    def test_no_object(self, tmp_path: Path) -> None:
        """A list is no object."""
        path = tmp_path / "a.yaml"
        path.write_text("[1]\n", encoding="utf-8")

        with pytest.raises(ValueError, match="list"):
            load_yaml(path)

    def test_round_trip(self, tmp_path: Path) -> None:
        """A sample comes back as it was written."""
        path = tmp_path / "a.yaml"
        path.write_text(json.dumps(BASES["Deployment"]), encoding="utf-8")

        assert load_yaml(path) == [BASES["Deployment"]]


class TestPromql:
    """Looking into queries."""

    def test_scope(self) -> None:
        """Every selector says what it matches."""
        query = parse_promql('sum(vllm:a{namespace="llm", model_name="qwen"}) / sum(b{x=~"y"})')

        first, second = query.selectors
        assert first.is_scoped(namespace="llm", model_name="qwen")
        assert not second.is_scoped(x="y")
        assert query.metrics == ("vllm:a", "b")
        assert query.aggregation is None

    def test_outermost_aggregation(self) -> None:
        """Brackets around the aggregation do not hide it."""
        query = parse_promql("(sum by (le, pod) (rate(a_bucket[5m])))")

        assert (query.aggregation, query.by, query.without) == ("sum", ("le", "pod"), None)
        assert query.functions == ("rate",)

    @pytest.mark.parametrize(
        ("text", "one"),
        [
            ("sum(a)", True),
            ("avg without () (a)", False),
            ("sum by (pod) (a)", False),
            ("a", False),
            ("rate(a[5m])", False),
            ("max(rate(a[5m]))", True),
            ("sum(a) + sum(b)", True),
            ("sum(a) or vector(0)", True),
            ("sum(a) + b", False),
            ("topk(3, a)", False),
            ("histogram_quantile(0.95, sum by (le) (rate(a_bucket[5m])))", True),
            ("histogram_quantile(0.95, sum by (le, pod) (rate(a_bucket[5m])))", False),
            ("histogram_quantile(0.95, rate(a_bucket[5m]))", False),
            ("clamp_max(sum(a), 1)", True),
            ("max_over_time(sum(a)[5m:1m])", True),
        ],
    )
    def test_one_series(self, text: str, one: bool) -> None:  # noqa: FBT001
        """Whether a query can give several series is known from its shape."""
        assert parse_promql(text).is_one_series is one

    @pytest.mark.parametrize(
        "text",
        ["sum(a", "sum(a))", "a{b=c}", "nosuch(a)", "rate(a)", "", 'a{b="1" or c="2"}'],
    )
    def test_refused(self, text: str) -> None:
        """What is no PromQL is refused."""
        with pytest.raises(ValueError, match=r"\w"):
            parse_promql(text)
