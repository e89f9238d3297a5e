"""The HorizontalPodAutoscaler of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vllm_constructs.kube import names
from vllm_constructs.workloads.workload import Workload

from .pace import Replicas, ScalingPace
from .trigger import Trigger


def manifest(
    *,
    name: str,
    target: Workload,
    replicas: Replicas,
    triggers: Sequence[Trigger],
    pace: ScalingPace,
    startup: int,
) -> dict[str, Any]:
    """The HorizontalPodAutoscaler."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": names.subdomain("HpaScaler.name", name)},
        "spec": {
            "scaleTargetRef": target.reference(),
            "minReplicas": replicas.minimum,
            "maxReplicas": replicas.maximum,
            "metrics": [trigger.hpa_metric() for trigger in triggers],
            "behavior": pace.behavior(startup),
        },
    }
