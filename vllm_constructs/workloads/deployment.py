"""Deployment: the workload of one model, and the ConfigMap of its engine."""

from __future__ import annotations

from typing import Any

from vllm_constructs.kube.kubernetes import Kubernetes

from .availability import Rollout
from .container import CONFIG_FILE, PORT_NAME
from .pod import GpuPodSpec

NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"


def selector(name: str) -> dict[str, str]:
    """The labels that select a model's pods: never the user's, never a version.

    Selectors of Deployments are immutable, so nothing that changes may be in them.
    """
    return {NAME_LABEL: "vllm", INSTANCE_LABEL: name}


def config_map(name: str, pod: GpuPodSpec) -> dict[str, Any] | None:
    """The ConfigMap of the engine's flags, or None where they are arguments."""
    config = pod.config()
    if config is None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {CONFIG_FILE: config},
    }


def service(*, name: str, selector: dict[str, str], port: int) -> dict[str, Any]:
    """The Service: ClusterIP, on the port of the pods.

    Its labels are the selector's, by which a ServiceMonitor finds it.
    """
    entry = {"name": PORT_NAME, "port": port, "protocol": "TCP", "targetPort": port}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": selector},
        "spec": {"ports": [entry], "selector": dict(sorted(selector.items())), "type": "ClusterIP"},
    }


def manifest(
    *,
    name: str,
    pod: GpuPodSpec,
    replicas: int,
    rollout: Rollout,
    labels: dict[str, str],
    annotations: dict[str, str],
    kubernetes: Kubernetes,
    config_map_name: str | None,
) -> dict[str, Any]:
    """The Deployment. `labels` reach object and pods, but not the selector."""
    selects = selector(name)
    spec = pod.manifest(kubernetes=kubernetes, config_map=config_map_name)
    spec["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selects},
            # Else the pods of the old revision count during a rollout.
            "matchLabelKeys": ["pod-template-hash"],
        }
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels | selects, "annotations": annotations},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selects},
            "strategy": rollout.strategy(
                gpus=pod.gpu.count, can_share_cache=pod.cache.can_be_shared
            ),
            "progressDeadlineSeconds": pod.startup.progress_deadline,
            "template": {
                "metadata": {"labels": labels | selects, "annotations": pod.annotations()},
                "spec": spec,
            },
        },
    }
