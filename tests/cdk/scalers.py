"""Scalers: how tests put one on a model, ours and that of cdk8s-plus."""

from typing import Any

import cdk8s_plus_27 as kplus
from cdk8s import Chart

from tests.cdk.samples import PROMETHEUS
from vllm_constructs import HpaScaler, KedaScaler, ModelDeployment, QueueDepth
from vllm_constructs.scaling.triggers import HpaTrigger

METRICS: list[HpaTrigger] = [QueueDepth(5)]
WAITING = [
    kplus.Metric.pods(name="vllm_num_requests_waiting", target=kplus.MetricTarget.average_value(5))
]


def hpa(scope: Chart, id: str, target: ModelDeployment, **more: Any) -> HpaScaler:
    """Scale with our HPA."""
    return HpaScaler(
        scope, id, **{"target": target, "max_replicas": 3, "triggers": METRICS, **more}
    )


def keda(scope: Chart, id: str, target: ModelDeployment, **more: Any) -> KedaScaler:
    """Scale with KEDA."""
    required = {"max_replicas": 3, "prometheus": PROMETHEUS, "triggers": METRICS}
    return KedaScaler(scope, id, **{"target": target, **required, **more})


def plus(
    scope: Chart, id: str, target: ModelDeployment, **more: Any
) -> kplus.HorizontalPodAutoscaler:
    """Scale with the HPA of cdk8s-plus."""
    required = {"max_replicas": 3, "metrics": WAITING}
    return kplus.HorizontalPodAutoscaler(scope, id, **{"target": target, **required, **more})


SCALERS = (hpa, keda, plus)
