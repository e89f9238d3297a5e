"""Deployment: the workload of one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube.kubernetes import Kubernetes

from .availability import Rollout
from .pod import GpuPodSpec
from .workload import Workload


def claim(workload: Workload, pod: GpuPodSpec) -> dict[str, Any] | None:
    """The ResourceClaim of a model or its template; None if its pods need none.

    Args:
        workload: The workload.
        pod: Its pod.
    """
    return pod.gpu.manifest(workload.name) if isinstance(pod.gpu, DeviceClaim) else None


def manifest(
    *,
    workload: Workload,
    pod: GpuPodSpec,
    replicas: int | None,
    rollout: Rollout,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    kubernetes: Kubernetes,
    config_map_name: str | None,
    scrape_hints: bool,
    root_path: str | None,
    weights: int | None = None,
    overlay: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The Deployment of a model.

    Args:
        workload: Its name, kind and selector.
        pod: Its pod.
        replicas: Its replicas; None if a scaler sets them.
        rollout: The resources that a rollout may use.
        labels: Labels of the Deployment and its pods, which do not become part of the selector.
        annotations: Annotations of the Deployment.
        kubernetes: The target release.
        config_map_name: Name of the ConfigMap with the pod's files; None if there is none.
        scrape_hints: Whether the pods have annotations by which Prometheus finds them.
        root_path: Path of the API behind an ingress; None if there is none.
        weights: Bytes of the weights on disk. Default: not known.
        overlay: What the user adds to it. Default: nothing.
    """
    selector = workload.selector
    spec = pod.manifest(
        kubernetes=kubernetes,
        config_map=config_map_name,
        root_path=root_path,
        weights=weights,
        workload=workload.name,
    )
    if pod.topology_spread:
        spreads = [one.manifest(selector) for one in pod.topology_spread]
        spec["topologySpreadConstraints"] = spreads
    template = {
        "metadata": {
            "labels": {**labels, **selector},
            "annotations": pod.annotations(scrape_hints=scrape_hints),
        },
        "spec": spec,
    }
    if isinstance(pod.gpu, DeviceClaim) and pod.gpu.is_one and rollout.spare_gpus:
        text = "adds a pod in rollouts, and all pods share the GPU of one claim"
        refuse(Problem(where="Rollout.spare_gpus", text=text, advice="leave it out"))
    strategy = rollout.strategy(gpus=pod.gpu.count, can_share_cache=pod.can_be_shared)
    found = {
        "apiVersion": workload.kind.api_version,
        "kind": workload.kind.kind,
        "metadata": {
            "name": workload.name,
            "labels": {**labels, **selector},
            "annotations": annotations,
        },
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "selector": {"matchLabels": selector},
            "strategy": strategy,
            "progressDeadlineSeconds": pod.startup.progress_deadline,
            "template": template,
        },
    }
    if overlay is None:
        return found
    from .overlay import merged

    return merged(found, overlay, kubernetes)
