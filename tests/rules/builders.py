"""Manifests of a model with all that belongs to it, for tests: right unless a test changes them."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]

IMAGE = "vllm/vllm-openai:v0.33.0"
MODEL = "Qwen/Qwen2.5-7B-Instruct"
GPU = {"limits": {"nvidia.com/gpu": 1}}


def made(kind: str, name: str, spec: Any, *, api: str = "v1", **metadata: Any) -> Manifest:
    """An object in the namespace `llm`, with more fields of its metadata."""
    about = {"name": name, "namespace": "llm", **metadata}
    return {"apiVersion": api, "kind": kind, "metadata": about, "spec": spec}


def engine(*args: str, **fields: Any) -> Manifest:
    """A container that runs vLLM, with more of its fields."""
    return {
        "name": "vllm",
        "image": IMAGE,
        "args": list(args or (MODEL,)),
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": GPU,
        **fields,
    }


def workload(
    name: str = "qwen",
    *containers: Manifest,
    kind: str = "Deployment",
    labels: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
    **spec: Any,
) -> Manifest:
    """A workload of one pod, with more fields of its `spec` and of that of the pod."""
    labels = {"app": name} if labels is None else labels
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": list(containers or (engine(),)), **(pod or {})},
    }
    found = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return made(kind, name, found, api="apps/v1")


def group(name: str = "qwen", *, size: int = 2, replicas: int = 1, **pod: Any) -> Manifest:
    """A LeaderWorkerSet of engines, with more fields of the `spec` of its pods."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [engine()], **pod},
    }
    groups = {"size": size, "workerTemplate": template}
    spec = {"replicas": replicas, "leaderWorkerTemplate": groups}
    return made("LeaderWorkerSet", name, spec, api="leaderworkerset.x-k8s.io/v1")


def service(name: str = "qwen", selector: Any = None, *ports: Manifest, **fields: Any) -> Manifest:
    """A Service, by default of the pods with its name, with more fields of its `spec`."""
    own = {"app": name} if selector is None else selector
    entries = list(ports or ({"name": "http", "port": 8000, "targetPort": "http"},))
    return made(
        "Service", name, {"selector": own, "ports": entries, **fields}, labels={"app": name}
    )


def budget(name: str = "qwen", selector: Any = None, **fields: Any) -> Manifest:
    """A PodDisruptionBudget, by default one that lets one pod go."""
    own = {"matchLabels": {"app": name}} if selector is None else selector
    spec = {"selector": own, **(fields or {"maxUnavailable": 1})}
    return made("PodDisruptionBudget", name, spec, api="policy/v1")


def claim(name: str = "weights", *modes: str, **fields: Any) -> Manifest:
    """A PersistentVolumeClaim, by default one that many nodes mount."""
    spec = {
        "accessModes": list(modes or ("ReadWriteMany",)),
        "resources": {"requests": {"storage": "200Gi"}},
        **fields,
    }
    return made("PersistentVolumeClaim", name, spec)


def hpa(name: str = "qwen", *, low: int = 1, high: int = 3, kind: str = "Deployment") -> Manifest:
    """A HorizontalPodAutoscaler of a workload."""
    target = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": low, "maxReplicas": high}
    return made("HorizontalPodAutoscaler", name, spec, api="autoscaling/v2")


def keda(name: str = "qwen", **spec: Any) -> Manifest:
    """A ScaledObject of a Deployment."""
    found = {"scaleTargetRef": {"name": name}, **spec}
    return made("ScaledObject", name, found, api="keda.sh/v1alpha1")


def mounted(claim_name: str = "weights", path: str = "/root/.cache/huggingface") -> dict[str, Any]:
    """Volumes of a pod with a claim, and a container that mounts it."""
    volume = {"name": "cache", "persistentVolumeClaim": {"claimName": claim_name}}
    mounts = [{"name": "cache", "mountPath": path}]
    return {"containers": [engine(volumeMounts=mounts)], "volumes": [volume]}
