"""Scaling: triggers with units, and the HPA and ScaledObject made from them.

How the two divide (Kubernetes HPA source, KEDA 2.20 docs): `AverageValue` compares a total with
the threshold per replica, `Value` compares an average as it is. Each trigger here has its
aggregation and its type fixed together, so that the wrong pair cannot be written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from . import _check, metrics, names
from .errors import refuse, warn
from .metrics import Metric, Scope

_CRON = re.compile(r"[0-9A-Za-z*/,?#-]+( [0-9A-Za-z*/,?#-]+){4}")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_ADDRESS = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+)(:\d{1,5})?(/[\w./-]*)?", re.ASCII)


@dataclass(frozen=True)
class _PerReplica:
    """Requests per replica: a total, divided by the replicas (AverageValue)."""

    threshold: float
    metric: ClassVar[Metric]
    id: ClassVar[str]
    metric_type: ClassVar[str] = "AverageValue"

    def __post_init__(self) -> None:
        where = f"{type(self).__name__}.threshold"
        _check.number(where, self.threshold, 0, 1_000_000, "requests per replica")

    def query(self, scope: Scope) -> str:
        """The PromQL: one series, the sum over the model's pods."""
        return self.metric.total(scope)


@dataclass(frozen=True)
class QueueDepth(_PerReplica):
    """Requests that wait, per replica; any queue means that the batch or the KV cache is full.

    Args:
        threshold: Waiting requests per replica, for example 5.
    """

    metric: ClassVar[Metric] = metrics.REQUESTS_WAITING
    id: ClassVar[str] = "queue-depth"


@dataclass(frozen=True)
class RunningRequests(_PerReplica):
    """Requests that are being answered, per replica.

    Args:
        threshold: Running requests per replica.
    """

    metric: ClassVar[Metric] = metrics.REQUESTS_RUNNING
    id: ClassVar[str] = "running-requests"


@dataclass(frozen=True)
class KvCacheUsage:
    """Part of the KV cache that is in use, averaged over the replicas (Value).

    Args:
        threshold: A ratio above 0 and below 1, for example 0.85.
    """

    threshold: float
    metric: ClassVar[Metric] = metrics.KV_CACHE_USAGE
    id: ClassVar[str] = "kv-cache-usage"
    metric_type: ClassVar[str] = "Value"

    def __post_init__(self) -> None:
        _check.ratio("KvCacheUsage.threshold", self.threshold)

    def query(self, scope: Scope) -> str:
        """The PromQL: one series, the average over the model's pods."""
        return self.metric.mean(scope)


@dataclass(frozen=True)
class TimeToFirstToken:
    """A quantile of the time until the first token (Value); for KedaScaler only.

    Args:
        threshold: Seconds.
        quantile: Default 0.95.
        window: Time over which it is taken, default `2m`.
    """

    threshold: float
    quantile: float = field(default=0.95, kw_only=True)
    window: str = field(default="2m", kw_only=True)
    id: ClassVar[str] = "time-to-first-token"
    metric_type: ClassVar[str] = "Value"

    def __post_init__(self) -> None:
        _check.number("TimeToFirstToken.threshold", self.threshold, 0, 86400, "seconds")
        _check.ratio("TimeToFirstToken.quantile", self.quantile)
        _check.duration("TimeToFirstToken.window", self.window)

    def query(self, scope: Scope) -> str:
        """The PromQL: one series, the quantile over all pods."""
        return metrics.TIME_TO_FIRST_TOKEN.quantile(scope, self.quantile, self.window)


@dataclass(frozen=True)
class CpuUtilization:
    """CPU use of the pods in percent of their request; a weak signal for a GPU engine.

    Args:
        percent: From 1 to 100 (and more, where requests are low).
    """

    percent: int
    id: ClassVar[str] = "cpu"

    def __post_init__(self) -> None:
        _check.integer("CpuUtilization.percent", self.percent, 1, 1000, "percent")


@dataclass(frozen=True)
class CronFloor:
    """A floor for the replicas during a time of the day; it never lowers them.

    Args:
        timezone: IANA name, such as `Asia/Shanghai`.
        start: Cron expression of five fields.
        end: Cron expression of five fields, another one than `start`.
        replicas: Replicas at least, from 1.
    """

    timezone: str
    start: str
    end: str
    replicas: int = field(kw_only=True)

    def __post_init__(self) -> None:
        allowed = "an IANA time zone such as 'Asia/Shanghai'"
        _check.matching("CronFloor.timezone", self.timezone, _ZONE, allowed)
        for name in ("start", "end"):
            allowed = "a cron expression of five fields, such as '0 9 * * *'"
            _check.matching(f"CronFloor.{name}", getattr(self, name), _CRON, allowed)
        if self.start == self.end:
            refuse(f"CronFloor.start and end are both {self.start!r}; KEDA needs two times.")
        _check.integer("CronFloor.replicas", self.replicas, 1, 1000)


@dataclass(frozen=True, kw_only=True)
class PrometheusQuery:
    """A trigger from a query of your own, for example of a router's or gateway's metrics.

    Args:
        name: Short name of the trigger.
        query: PromQL that gives exactly one series.
        threshold: In the unit of the query.
        metric_type: `"AverageValue"` for a total that replicas share, `"Value"` for an average.
    """

    name: str
    query: str
    threshold: float
    metric_type: Literal["AverageValue", "Value"]

    def __post_init__(self) -> None:
        names.label("PrometheusQuery.name", self.name, 40)
        _check.text("PrometheusQuery.query", self.query)
        _check.number("PrometheusQuery.threshold", self.threshold, 0, 1e15)
        types = ("AverageValue", "Value")
        _check.choice("PrometheusQuery.metric_type", self.metric_type, types)


HpaMetric: TypeAlias = QueueDepth | RunningRequests | KvCacheUsage | CpuUtilization
KedaTrigger: TypeAlias = HpaMetric | TimeToFirstToken | CronFloor | PrometheusQuery

_MODEL_TRIGGERS = (QueueDepth, RunningRequests, KvCacheUsage, TimeToFirstToken)
_HPA = (QueueDepth, RunningRequests, KvCacheUsage, CpuUtilization)
_KEDA = (*_MODEL_TRIGGERS, CpuUtilization, CronFloor, PrometheusQuery)


@dataclass(frozen=True, kw_only=True)
class ScalingPace:
    """How fast replicas come and go.

    Args:
        up_pods: Pods added at once; default 1.
        up_seconds: Seconds between two steps up. Default: the model's startup, at most 1800,
            since a pod that is still loading lowers no queue.
        up_window: Seconds that demand must last; default 60.
        down_pods: Pods removed at once; default 1.
        down_seconds: Seconds between two steps down; default 300.
        down_window: Seconds that demand must be lower; default 600.
    """

    up_pods: int = 1
    up_seconds: int | None = None
    up_window: int = 60
    down_pods: int = 1
    down_seconds: int = 300
    down_window: int = 600

    def __post_init__(self) -> None:
        for name in ("up_pods", "down_pods"):
            _check.integer(f"ScalingPace.{name}", getattr(self, name), 1, 1000, "pods")
        if self.up_seconds is not None:
            _check.integer("ScalingPace.up_seconds", self.up_seconds, 1, 1800, "seconds")
        _check.integer("ScalingPace.down_seconds", self.down_seconds, 1, 1800, "seconds")
        for name in ("up_window", "down_window"):
            _check.integer(f"ScalingPace.{name}", getattr(self, name), 0, 3600, "seconds")

    def behavior(self, startup: int) -> dict[str, Any]:
        """`behavior` of an autoscaling/v2 HPA."""

        def direction(window: int, pods: int, period: int) -> dict[str, Any]:
            policy = {"type": "Pods", "value": pods, "periodSeconds": period}
            return {"stabilizationWindowSeconds": window, "policies": [policy]}

        up_seconds = self.up_seconds or min(startup, 1800)
        return {
            "scaleUp": direction(self.up_window, self.up_pods, up_seconds),
            "scaleDown": direction(self.down_window, self.down_pods, self.down_seconds),
        }


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """The range of a scaler."""

    scaler: str
    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        lowest = 0 if self.scaler == "KedaScaler" else 1
        _check.integer(f"{self.scaler}.min_replicas", self.minimum, lowest, 1000)
        _check.integer(f"{self.scaler}.max_replicas", self.maximum, 1, 1000)
        if self.minimum > self.maximum:
            refuse(
                f"{self.scaler}.min_replicas is {self.minimum}, above max_replicas "
                f"({self.maximum}); swap them or raise max_replicas."
            )


def check_triggers(where: str, triggers: object) -> tuple[Any, ...]:
    """Refuse an empty list, what the scaler cannot read, and the same trigger twice."""
    kinds = _HPA if where.startswith("HpaScaler") else _KEDA
    allowed = f"a list of {', '.join(kind.__name__ for kind in kinds)}"
    found = _check.items(where, triggers, allowed)
    if not found:
        _check.wrong(where, triggers, f"at least one: {allowed}")
    for item in found:
        if isinstance(item, _KEDA) and not isinstance(item, kinds):
            refuse(f"{where} has {type(item).__name__}, which an HPA cannot read; use KedaScaler.")
        _check.instance(where, item, kinds, allowed)
    keys = [item.name if isinstance(item, PrometheusQuery) else type(item) for item in found]
    for item, key in zip(found, keys, strict=True):
        if not isinstance(item, CronFloor) and keys.count(key) > 1:
            refuse(f"{where} has {type(item).__name__} twice; keep the one you mean.")
    if all(isinstance(item, CpuUtilization) for item in found):
        warn(
            f"{where} is CPU alone, which says little about a GPU engine; "
            "add QueueDepth or KvCacheUsage."
        )
    return found


def hpa_manifest(
    *,
    name: str,
    target: str,
    replicas: Replicas,
    wanted: Sequence[Any],
    pace: ScalingPace,
    startup: int,
) -> dict[str, Any]:
    """The HorizontalPodAutoscaler."""
    found = []
    for item in wanted:
        if isinstance(item, CpuUtilization):
            goal = {"type": "Utilization", "averageUtilization": item.percent}
            found.append({"type": "Resource", "resource": {"name": "cpu", "target": goal}})
        else:
            goal = {"type": "AverageValue", "averageValue": _milli(item.threshold)}
            pods = {"metric": {"name": item.metric.adapter_name}, "target": goal}
            found.append({"type": "Pods", "pods": pods})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": names.subdomain("HpaScaler.name", name)},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": replicas.minimum,
            "maxReplicas": replicas.maximum,
            "metrics": found,
            "behavior": pace.behavior(startup),
        },
    }


def _milli(value: float) -> str:
    """A number as a Kubernetes quantity: 0.85 is 850m."""
    return str(int(value)) if value == int(value) else f"{max(1, round(value * 1000))}m"


def _wakes(item: Any) -> bool:
    """Whether a trigger can tell that a model with no pods is wanted."""
    own = isinstance(item, PrometheusQuery) and "vllm:" not in item.query
    return own or isinstance(item, CronFloor)


def _decimal(value: float) -> str:
    """A number without an exponent."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")


def _trigger(item: Any, scope: Scope, prometheus: str, *, nulls: bool) -> dict[str, Any]:
    if isinstance(item, CpuUtilization):
        metadata = {"value": str(item.percent)}
        return {"type": "cpu", "metricType": "Utilization", "metadata": metadata}
    if isinstance(item, CronFloor):
        metadata = {"timezone": item.timezone, "start": item.start, "end": item.end}
        return {"type": "cron", "metadata": metadata | {"desiredReplicas": str(item.replicas)}}
    own = isinstance(item, PrometheusQuery)
    query = item.query if own else item.query(scope)
    name = item.name if own else item.id
    found = {"serverAddress": prometheus, "query": query, "threshold": _decimal(item.threshold)}
    if not nulls:
        # A series that is gone is an error, for which `fallback` is there, and not 0 requests.
        found["ignoreNullValues"] = "false"
    kind = {"type": "prometheus", "name": name, "metricType": item.metric_type}
    return kind | {"metadata": found}


def check_address(where: str, address: object) -> str:
    """An address of Prometheus that KEDA's operator can resolve from its own namespace."""
    allowed = "an address such as 'http://prometheus-operated.monitoring.svc:9090'"
    found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if not found:
        _check.wrong(where, address, allowed)
    if "." not in found["host"] and found["host"] != "localhost":
        warn(
            f"{where} is {address!r}, which KEDA looks up in its own namespace; "
            f"give the namespace too: 'http://{found['host']}.<namespace>.svc:9090'."
        )
    return str(address)


def scaled_object_manifest(
    *,
    name: str,
    target: str,
    replicas: Replicas,
    wanted: Sequence[Any],
    pace: ScalingPace,
    startup: int,
    scope: Scope,
    prometheus: str,
    polling_interval: int,
    cooldown: int,
    fallback: int,
) -> dict[str, Any]:
    """The ScaledObject.

    With a minimum of 0 a last trigger keeps the model awake while requests wait or run: it is
    active above 0, and its threshold is out of reach, so it never asks for a second replica.
    """
    names.subdomain("KedaScaler.name", name)
    if len(name) > 54:
        refuse(
            f"KedaScaler.name is {name!r}, {len(name)} characters long; KEDA names its HPA "
            "'keda-hpa-' and this name, so give name= with at most 54."
        )
    asleep = replicas.minimum == 0
    if asleep and not any(_wakes(item) for item in wanted):
        refuse(
            "KedaScaler.min_replicas is 0, but all triggers read metrics of the model's own "
            "pods, which are gone at 0 replicas, so nothing could wake it; add a CronFloor or a "
            "PrometheusQuery of a gateway's metric, or give min_replicas=1."
        )
    reads = any(not isinstance(item, (CpuUtilization, CronFloor)) for item in wanted)
    triggers = [_trigger(item, scope, prometheus, nulls=asleep) for item in wanted]
    if asleep:
        awake = PrometheusQuery(
            name="in-flight",
            query=metrics.in_flight(scope),
            threshold=1_000_000,
            metric_type="AverageValue",
        )
        triggers.append(_trigger(awake, scope, prometheus, nulls=True))
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicaCount": replicas.minimum,
        "maxReplicaCount": replicas.maximum,
        "pollingInterval": polling_interval,
        "initialCooldownPeriod": startup,
        "cooldownPeriod": cooldown,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": pace.behavior(startup)}},
        "triggers": triggers,
    }
    if reads and not asleep:
        behavior = "currentReplicasIfHigher"
        spec["fallback"] = {"failureThreshold": 3, "replicas": fallback, "behavior": behavior}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name},
        "spec": spec,
    }
