"""Triggers: what replicas are scaled on, each with its unit.

How thresholds are compared (Kubernetes HPA source, KEDA 2.20 docs): `AverageValue` compares a
total with the threshold per replica, `Value` compares an average as it is. Each trigger here fixes
its aggregation and its type together, so that a wrong pair cannot be written. Each trigger renders
its own entry for KEDA and, where an HPA can read it, for an HPA.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, ClassVar, Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.kube import names
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.metrics.metric import Metric
from vllm_constructs.metrics.series import ModelSeries

from .cron import check_cron, check_zone
from .trigger import (
    MetricTrigger,
    PodMetricTrigger,
    Trigger,
    check_threshold,
    hpa_target,
    prometheus_trigger,
)

IN_FLIGHT = "in-flight"
"""Name of the trigger that keeps a model from scaling to zero while it has requests."""


@dataclass(frozen=True)
class _PerReplica(PodMetricTrigger):
    """Requests per replica: a total that is divided by the replicas (AverageValue)."""

    threshold: float
    metric_type: ClassVar[str] = "AverageValue"

    def __post_init__(self) -> None:
        where = f"{type(self).__name__}.threshold"
        check_threshold(where, self.threshold, 1_000_000, "requests per replica")

    def query(self, series: ModelSeries) -> str:
        """The PromQL query, which returns the sum over the model's pods."""
        return self.metric.total(series)


@dataclass(frozen=True)
class QueueDepth(_PerReplica):
    """Waiting requests per replica; any queue means that the batch or the KV cache is full.

    Args:
        threshold: Waiting requests per replica, for example 5.

    Raises:
        VllmConstructsError: The threshold is not a number above 0.
    """

    metric: ClassVar[Metric] = vllm_metrics.REQUESTS_WAITING
    id: ClassVar[str] = "queue-depth"


@dataclass(frozen=True)
class RunningRequests(_PerReplica):
    """Running requests per replica.

    Args:
        threshold: Running requests per replica.

    Raises:
        VllmConstructsError: The threshold is not a number above 0.
    """

    metric: ClassVar[Metric] = vllm_metrics.REQUESTS_RUNNING
    id: ClassVar[str] = "running-requests"


@dataclass(frozen=True)
class KvCacheUsage(PodMetricTrigger):
    """Fraction of the KV cache that is in use, averaged over the replicas (Value).

    Args:
        threshold: A ratio above 0 and up to 1, for example 0.85.

    Raises:
        VllmConstructsError: The threshold is not a ratio, such as 85 for 85 %.
    """

    threshold: float
    metric: ClassVar[Metric] = vllm_metrics.KV_CACHE_USAGE
    id: ClassVar[str] = "kv-cache-usage"
    metric_type: ClassVar[str] = "Value"

    def __post_init__(self) -> None:
        where = "KvCacheUsage.threshold"
        check_threshold(where, require.ratio(where, self.threshold), 1)

    def query(self, series: ModelSeries) -> str:
        """The PromQL query, which returns the average over the model's pods."""
        return self.metric.mean(series)


@dataclass(frozen=True)
class TimeToFirstToken(MetricTrigger):
    """A quantile of the time to first token (Value), for KedaScaler only.

    Args:
        threshold: Seconds, up to 2560, where vLLM's last bucket ends.
        quantile: A ratio above 0 and up to 1, default 0.95.
        window: Time range over which the quantile is calculated, default `2m`.

    Raises:
        VllmConstructsError: The threshold, the quantile or the window is invalid.
    """

    threshold: float
    quantile: float = field(default=0.95, kw_only=True)
    window: str = field(default="2m", kw_only=True)
    id: ClassVar[str] = "time-to-first-token"
    metric_type: ClassVar[str] = "Value"

    def __post_init__(self) -> None:
        check_threshold("TimeToFirstToken.threshold", self.threshold, 2560, "seconds")
        require.ratio("TimeToFirstToken.quantile", self.quantile)
        require.duration("TimeToFirstToken.window", self.window)

    def query(self, series: ModelSeries) -> str:
        """The PromQL query: the quantile over the model's pods, and 0 while none has requests.

        KEDA takes the NaN of an idle histogram for an error (pkg/scalers/prometheus_scaler.go),
        and would keep the replicas.
        """
        metric = vllm_metrics.TIME_TO_FIRST_TOKEN
        return metric.quantile_or_zero(series, self.quantile, self.window)


@dataclass(frozen=True)
class CpuUtilization(Trigger):
    """CPU use of the pods in percent of their request; a weak signal for a GPU engine.

    Args:
        percent: From 1 to 100; up to 1000 where the CPU request is low.

    Raises:
        VllmConstructsError: The percentage is not an integer from 1 to 1000.
    """

    percent: int
    for_hpa: ClassVar[bool] = True
    reads_prometheus: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require.integer("CpuUtilization.percent", self.percent, 1, 1000, "percent")

    def keda_trigger(
        self,
        series: ModelSeries,
        prometheus: str,
        *,
        ignore_null: bool,
    ) -> dict[str, Any]:
        """The entry of a cpu trigger."""
        del series, prometheus, ignore_null
        metadata = {"value": str(self.percent)}
        return {"type": "cpu", "metricType": "Utilization", "metadata": metadata}

    def hpa_metric(self) -> dict[str, Any]:
        """The entry of a Resource metric."""
        target = {"type": "Utilization", "averageUtilization": self.percent}
        return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


@dataclass(frozen=True)
class CronFloor(Trigger):
    """A minimum of replicas during a time of the day; it never lowers their number.

    Args:
        timezone: IANA name, such as `Asia/Shanghai`.
        start: Cron expression of five fields.
        end: Cron expression of five fields, different from `start`.
        replicas: Replicas at least, from 1.

    Raises:
        VllmConstructsError: The zone or an expression is malformed, the times are equal, or there
            is less than 1 replica.
    """

    timezone: str
    start: str
    end: str
    replicas: int = field(kw_only=True)
    reads_prometheus: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_zone("CronFloor.timezone", self.timezone)
        for name in ("start", "end"):
            check_cron(f"CronFloor.{name}", getattr(self, name))
        if self.start == self.end:
            refuse(
                Problem(
                    where="CronFloor.start",
                    text=f"and {{end}} are both {self.start!r}, and KEDA needs two times",
                    value=require.shown(self.start),
                    advice="change one of them",
                )
            )
        require.integer("CronFloor.replicas", self.replicas, 1, 1000)

    @property
    def key(self) -> None:
        """None: a scaler may have several."""
        return

    @property
    def floor(self) -> int:
        """The replicas of that time."""
        return self.replicas

    @property
    def wakes(self) -> bool:
        """True: its time comes whether or not there are pods."""
        return True

    def keda_trigger(
        self,
        series: ModelSeries,
        prometheus: str,
        *,
        ignore_null: bool,
    ) -> dict[str, Any]:
        """The entry of a cron trigger."""
        del series, prometheus, ignore_null
        metadata = {"timezone": self.timezone, "start": self.start, "end": self.end}
        return {"type": "cron", "metadata": metadata | {"desiredReplicas": str(self.replicas)}}


@dataclass(frozen=True, kw_only=True)
class PrometheusQuery(Trigger):
    """A trigger on a query of your own, for example of a router's or gateway's metrics.

    Args:
        name: Name of the trigger, at most 40 characters.
        query: PromQL that returns exactly one series.
        threshold: In the unit of the query.
        metric_type: `"AverageValue"` for a total that is divided by the replicas, `"Value"` for an
            average.
        source: `"router"` for metrics of a router that begin with `vllm:` too, which are then not
            compared with vLLM's and may activate the scaler at 0 replicas. Default: `"vllm"`;
            those of the production stack's router are known.

    Raises:
        VllmConstructsError: The name or the threshold is invalid, or the query is empty or reads a
            metric or label that vLLM lacks.
    """

    name: str
    query: str
    threshold: float
    metric_type: Literal["AverageValue", "Value"]
    source: Literal["vllm", "router"] = "vllm"

    def __post_init__(self) -> None:
        names.label("PrometheusQuery.name", self.name, 40)
        require.text("PrometheusQuery.query", self.query)
        require.choice("PrometheusQuery.source", self.source, ("vllm", "router"))
        if "vllm:" in self.query and self.source == "vllm":
            from vllm_constructs.releases.metric_catalog import check_query

            check_query("PrometheusQuery.query", self.query)
        check_threshold("PrometheusQuery.threshold", self.threshold, 1e12)
        types = ("AverageValue", "Value")
        require.choice("PrometheusQuery.metric_type", self.metric_type, types)

    @property
    def key(self) -> str:
        """The name of the trigger."""
        return self.name

    @property
    def wakes(self) -> bool:
        """Whether the query does without vLLM's own metrics, which are gone at 0 replicas."""
        if self.source == "router" or "vllm:" not in self.query:
            return True
        from vllm_constructs.releases.metric_catalog import reads_engines

        return not reads_engines(self.query)

    def keda_trigger(
        self, series: ModelSeries, prometheus: str, *, ignore_null: bool
    ) -> dict[str, Any]:
        """The entry of a prometheus trigger."""
        del series
        return prometheus_trigger(
            self.name,
            self.query,
            self.threshold,
            self.metric_type,
            prometheus,
            ignore_null=ignore_null,
        )


@dataclass(frozen=True, kw_only=True)
class ExternalMetric(Trigger):
    """A metric of no object of the cluster, from a metrics adapter of yours; for an HPA.

    Args:
        name: Name of the metric.
        threshold: In the unit of the metric.
        metric_type: `"AverageValue"` for a total that is divided by the replicas, `"Value"` for an
            average.
        labels: Labels that select its series. Default: none.

    Raises:
        VllmConstructsError: An invalid name, label or threshold.
    """

    name: str
    threshold: float
    metric_type: Literal["AverageValue", "Value"]
    labels: Mapping[str, str] | None = None
    for_hpa: ClassVar[bool] = True
    for_keda: ClassVar[bool] = False
    reads_prometheus: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require.text("ExternalMetric.name", self.name)
        check_threshold("ExternalMetric.threshold", self.threshold, 1e12)
        require.choice("ExternalMetric.metric_type", self.metric_type, ("AverageValue", "Value"))
        labels = names.label_map(
            "ExternalMetric.labels", {} if self.labels is None else self.labels
        )
        object.__setattr__(self, "labels", FrozenDict(labels))

    @property
    def key(self) -> str | None:
        """None: there may be several."""
        return None

    def hpa_metric(self) -> dict[str, Any]:
        """The entry of an External metric."""
        metric: dict[str, Any] = {"name": self.name}
        if self.labels:
            metric["selector"] = {"matchLabels": dict(self.labels)}
        target = hpa_target(self.metric_type, self.threshold)
        return {"type": "External", "external": {"metric": metric, "target": target}}


@dataclass(frozen=True, kw_only=True)
class ObjectMetric(Trigger):
    """A metric of one object, such as an Ingress, from a metrics adapter of yours; for an HPA.

    Args:
        name: Name of the metric.
        kind: Kind of the object.
        object_name: Name of the object.
        api_version: API version of the object, such as `networking.k8s.io/v1`.
        threshold: In the unit of the metric.
        metric_type: `"AverageValue"` for a total that is divided by the replicas, `"Value"` for an
            average.

    Raises:
        VllmConstructsError: An invalid name or threshold.
    """

    name: str
    kind: str
    object_name: str
    api_version: str
    threshold: float
    metric_type: Literal["AverageValue", "Value"]
    for_hpa: ClassVar[bool] = True
    for_keda: ClassVar[bool] = False
    reads_prometheus: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for option in ("name", "kind", "api_version"):
            require.text(f"ObjectMetric.{option}", getattr(self, option))
        names.subdomain("ObjectMetric.object_name", self.object_name)
        check_threshold("ObjectMetric.threshold", self.threshold, 1e12)
        require.choice("ObjectMetric.metric_type", self.metric_type, ("AverageValue", "Value"))

    @property
    def key(self) -> str | None:
        """None: there may be several."""
        return None

    def hpa_metric(self) -> dict[str, Any]:
        """The entry of an Object metric."""
        described = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": self.object_name,
        }
        target = hpa_target(self.metric_type, self.threshold)
        metric = {"describedObject": described, "metric": {"name": self.name}, "target": target}
        return {"type": "Object", "object": metric}


HpaTrigger: TypeAlias = (
    QueueDepth | RunningRequests | KvCacheUsage | CpuUtilization | ExternalMetric | ObjectMetric
)
KedaTrigger: TypeAlias = (
    QueueDepth
    | RunningRequests
    | KvCacheUsage
    | CpuUtilization
    | TimeToFirstToken
    | CronFloor
    | PrometheusQuery
)
KINDS: tuple[type[Trigger], ...] = (
    QueueDepth,
    RunningRequests,
    KvCacheUsage,
    TimeToFirstToken,
    CpuUtilization,
    CronFloor,
    PrometheusQuery,
    ExternalMetric,
    ObjectMetric,
)


def check(where: str, triggers: object, *, for_hpa: bool) -> tuple[Trigger, ...]:
    """Reject an empty list, triggers that the scaler cannot read, and duplicates.

    Args:
        where: Name of the option, for the message.
        triggers: The value of the option.
        for_hpa: Whether an HPA reads them. Otherwise KEDA does.
    """
    kinds = [kind for kind in KINDS if (kind.for_hpa if for_hpa else kind.for_keda)]
    allowed = f"a list of {', '.join(kind.__name__ for kind in kinds)}"
    given = require.items(where, triggers, allowed)
    if not given:
        require.wrong(where, triggers, f"at least one: {allowed}")
    checked = tuple(require.instance(where, item, KINDS, allowed) for item in given)
    for trigger in checked:
        if type(trigger) not in kinds:
            reader, other = ("an HPA", "KedaScaler") if for_hpa else ("KEDA", "HpaScaler")
            refuse(
                Problem(
                    where=where,
                    text=f"has {type(trigger).__name__}, which {reader} cannot read",
                    value=require.shown(triggers),
                    advice=f"use {other}",
                )
            )
    keys = [trigger.key for trigger in checked]
    for trigger, key in zip(checked, keys, strict=True):
        if key is not None and keys.count(key) > 1:
            refuse(
                Problem(
                    where=where,
                    text=f"has {type(trigger).__name__} twice",
                    value=require.shown(triggers),
                    advice="keep one of them",
                )
            )
    ids = {IN_FLIGHT, *(trigger.id for trigger in checked if isinstance(trigger, MetricTrigger))}
    for key in keys:
        if key in ids:
            refuse(
                Problem(
                    where=where,
                    text=f"has two triggers named {key!r}",
                    value=require.shown(triggers),
                    advice="give the query another name",
                )
            )
    if all(isinstance(trigger, CpuUtilization) for trigger in checked):
        warn(cpu_problem(where, "CPU", "add QueueDepth or KvCacheUsage"))
    return checked


def cpu_problem(where: str, named: str, advice: str) -> Problem:
    """What is wrong with a scaler of a GPU engine that reads nothing of the engine.

    Args:
        where: The option or field that has its triggers.
        named: What it reads, such as `CPU`.
        advice: What to add.
    """
    text = f"is {named} alone, which says little about the load of a GPU engine"
    return Problem(where=where, text=text, value=named, advice=advice)


def reads_prometheus(triggers: Iterable[Trigger]) -> bool:
    """Whether the value of any of the triggers comes from Prometheus."""
    return any(trigger.reads_prometheus for trigger in triggers)
