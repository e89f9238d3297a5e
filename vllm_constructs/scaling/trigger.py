"""Trigger: what all triggers have in common, and how they are rendered for KEDA and for an HPA."""

from __future__ import annotations

from typing import Any, ClassVar

from vllm_constructs import require
from vllm_constructs.metrics.metric import Metric
from vllm_constructs.metrics.series import ModelSeries


class Trigger:
    """What replicas are scaled on: the base class of all triggers."""

    for_hpa: ClassVar[bool] = False
    """Whether an HPA can read the trigger."""
    for_keda: ClassVar[bool] = True
    """Whether KEDA can read the trigger."""
    reads_prometheus: ClassVar[bool] = True
    """Whether the value comes from Prometheus."""

    @property
    def key(self) -> str | None:
        """What a scaler's triggers may have only once; None for a trigger that may be repeated."""
        return type(self).__name__

    @property
    def floor(self) -> int:
        """Replicas that it asks for at a known time; 0 for all but cron triggers."""
        return 0

    @property
    def wakes(self) -> bool:
        """Whether it can activate the scaler at 0 replicas, without the model's own pods."""
        return False

    def keda_trigger(
        self, series: ModelSeries, prometheus: str, *, ignore_null: bool
    ) -> dict[str, Any]:
        """The entry in `triggers` of a ScaledObject.

        Args:
            series: The model's series.
            prometheus: Address of Prometheus.
            ignore_null: Whether a missing series counts as 0.
        """
        raise NotImplementedError

    def hpa_metric(self) -> dict[str, Any]:
        """The entry in `metrics` of a HorizontalPodAutoscaler."""
        raise NotImplementedError


def check_threshold(where: str, value: object, high: float, unit: str = "") -> None:
    """Reject a threshold below a thousandth: both scalers compare in thousandths."""
    if require.number(where, value, 0, high, unit) < 0.001:
        require.wrong(where, value, f"a number from 0.001 to {high:g}")


def _decimal(value: float) -> str:
    """A number without exponent."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0").rstrip(".")


def _milli(value: float) -> str:
    """A number as a Kubernetes quantity: 0.85 is 850m."""
    return str(int(value)) if value == int(value) else f"{max(1, round(value * 1000))}m"


def hpa_target(metric_type: str, threshold: float) -> dict[str, str]:
    """The target of a metric of an HPA.

    Args:
        metric_type: `AverageValue` or `Value`.
        threshold: The value.
    """
    field = "averageValue" if metric_type == "AverageValue" else "value"
    return {"type": metric_type, field: _milli(threshold)}


def prometheus_trigger(
    name: str, query: str, threshold: float, metric_type: str, address: str, *, ignore_null: bool
) -> dict[str, Any]:
    """The entry of a prometheus trigger in a ScaledObject."""
    metadata = {"serverAddress": address, "query": query, "threshold": _decimal(threshold)}
    if not ignore_null:
        metadata["ignoreNullValues"] = "false"
    entry = {"type": "prometheus", "name": name, "metricType": metric_type}
    return entry | {"metadata": metadata}


class MetricTrigger(Trigger):
    """A trigger on one of vLLM's metrics."""

    threshold: float
    id: ClassVar[str]
    metric_type: ClassVar[str]

    def query(self, series: ModelSeries) -> str:
        """The PromQL query, which returns one series for the whole model."""
        raise NotImplementedError

    def keda_trigger(
        self, series: ModelSeries, prometheus: str, *, ignore_null: bool
    ) -> dict[str, Any]:
        """The entry of a prometheus trigger."""
        return prometheus_trigger(
            self.id,
            self.query(series),
            self.threshold,
            self.metric_type,
            prometheus,
            ignore_null=ignore_null,
        )


class PodMetricTrigger(MetricTrigger):
    """A trigger that an HPA can read too, as a metric of the pods from prometheus-adapter."""

    for_hpa: ClassVar[bool] = True
    metric: ClassVar[Metric]

    def hpa_metric(self) -> dict[str, Any]:
        """The entry of a Pods metric."""
        target = hpa_target("AverageValue", self.threshold)
        pods = {"metric": {"name": self.metric.adapter_name}, "target": target}
        return {"type": "Pods", "pods": pods}
