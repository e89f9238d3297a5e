"""Workloads of models, and what is around them, for tests."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]
LABELS = {"app": "qwen"}
DRAIN = {"preStop": {"sleep": {"seconds": 15}}}


def pod(
    *, gpus: int = 1, drains: bool = False, args: tuple[str, ...] = (), port: int = 8000
) -> Manifest:
    """A pod template of a model."""
    engine: Manifest = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.33.0",
        "args": ["Qwen/Qwen2.5-7B-Instruct", *args],
        "ports": [{"name": "http", "containerPort": port}],
    }
    if gpus:
        engine["resources"] = {"limits": {"nvidia.com/gpu": str(gpus)}}
    spec: Manifest = {
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L40S"},
        "containers": [engine],
    }
    if drains:
        engine["lifecycle"] = DRAIN
        engine["args"].append("--shutdown-timeout=300")
        spec["terminationGracePeriodSeconds"] = 330
    return {"metadata": {"labels": dict(LABELS)}, "spec": spec}


def workload(kind: str, template: Manifest, **spec: Any) -> Manifest:
    """A workload of Kubernetes' own kinds."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"selector": {"matchLabels": dict(LABELS)}, "template": template, **spec},
    }


def deployment(
    replicas: int | None = 1, strategy: Manifest | None = None, **options: Any
) -> Manifest:
    """A Deployment of a model."""
    more: Manifest = {} if replicas is None else {"replicas": replicas}
    return workload("Deployment", pod(**options), strategy=strategy or {}, **more)


def group(size: int = 2, replicas: int = 1, **template: Any) -> Manifest:
    """A LeaderWorkerSet of a model."""
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {
            "replicas": replicas,
            "leaderWorkerTemplate": {"size": size, "workerTemplate": pod(), **template},
        },
    }


def scaler(low: int, high: int, kind: str = "Deployment") -> Manifest:
    """A ScaledObject of a model."""
    target = {"apiVersion": "apps/v1", "kind": kind, "name": "qwen"}
    counts = {"minReplicaCount": low, "maxReplicaCount": high}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"scaleTargetRef": target, **counts, "triggers": []},
    }


def service(selector: Manifest | None = None, target: Any = "http", **spec: Any) -> Manifest:
    """A Service of a model."""
    ports = [{"name": "http", "port": 80, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"selector": selector or dict(LABELS), "ports": ports, **spec},
    }
