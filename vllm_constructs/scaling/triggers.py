"""Triggers: what replicas are scaled on, each with its unit.

How thresholds divide (Kubernetes HPA source, KEDA 2.20 docs): `AverageValue` compares a total with
the threshold per replica, `Value` compares an average as it is. Each trigger here has its
aggregation and its type fixed together, so that the wrong pair cannot be written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.errors import refuse, warn
from vllm_constructs.kube import names
from vllm_constructs.metrics import metric as metrics
from vllm_constructs.metrics.metric import Metric, Scope

_CRON = re.compile(r"\S+( \S+){4}")
_STEP = re.compile(r"(\*|[0-9]{1,2}|[A-Za-z]{3})(-([0-9]{1,2}|[A-Za-z]{3}))?(/[1-9][0-9]?)?")
_CRON_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def _check_cron(where: str, value: object) -> None:
    """A cron expression of five fields whose numbers are in their ranges."""
    allowed = "a cron expression of five fields, such as '0 9 * * *'"
    fields = require.matching(where, value, _CRON, allowed).split(" ")
    for text, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
        for part in text.split(","):
            found = _STEP.fullmatch(part.replace("?", "*"))
            ends = [end for end in (found[1], found[3]) if end and end != "*"] if found else [""]
            for end in ends:
                named = end.lower() in {*_DAYS, *_MONTHS}
                if not named and not (end.isdecimal() and low <= int(end) <= high):
                    refuse(
                        f"{where} is {value!r}, whose {name} {part!r} is not from {low} to {high}; "
                        "write it as in '0 9 * * 1-5'."
                    )


def _zone_exists(name: str) -> bool:
    """Whether a time zone is known; all are taken where no zone data is installed."""
    from zoneinfo import ZoneInfo

    for zone in (name, "Etc/UTC"):
        try:
            ZoneInfo(zone)
        except (LookupError, OSError, ValueError):
            continue
        return zone == name
    return True


AWAKE = "in-flight"
"""Name of the trigger that keeps a model awake which may scale to 0."""


def _threshold(where: str, value: object, high: float, unit: str = "") -> None:
    """A number of at least a thousandth: both scalers compare in thousandths."""
    if require.number(where, value, 0, high, unit) < 0.001:
        require.wrong(where, value, f"a number from 0.001 to {high:g}")


@dataclass(frozen=True)
class _PerReplica:
    """Requests per replica: a total, divided by the replicas (AverageValue)."""

    threshold: float
    metric: ClassVar[Metric]
    id: ClassVar[str]
    metric_type: ClassVar[str] = "AverageValue"

    def __post_init__(self) -> None:
        where = f"{type(self).__name__}.threshold"
        _threshold(where, self.threshold, 1_000_000, "requests per replica")

    def query(self, scope: Scope) -> str:
        """The PromQL: one series, the sum over the model's pods."""
        return self.metric.total(scope)


@dataclass(frozen=True)
class QueueDepth(_PerReplica):
    """Requests that wait, per replica; any queue means that the batch or the KV cache is full.

    Args:
        threshold: Waiting requests per replica, for example 5.

    Raises:
        VllmConstructsError: A threshold that is no number above 0.
    """

    metric: ClassVar[Metric] = metrics.REQUESTS_WAITING
    id: ClassVar[str] = "queue-depth"


@dataclass(frozen=True)
class RunningRequests(_PerReplica):
    """Requests that are being answered, per replica.

    Args:
        threshold: Running requests per replica.

    Raises:
        VllmConstructsError: A threshold that is no number above 0.
    """

    metric: ClassVar[Metric] = metrics.REQUESTS_RUNNING
    id: ClassVar[str] = "running-requests"


@dataclass(frozen=True)
class KvCacheUsage:
    """Part of the KV cache that is in use, averaged over the replicas (Value).

    Args:
        threshold: A ratio above 0 and up to 1, for example 0.85.

    Raises:
        VllmConstructsError: A threshold that is no ratio, such as 85 for 85 %.
    """

    threshold: float
    metric: ClassVar[Metric] = metrics.KV_CACHE_USAGE
    id: ClassVar[str] = "kv-cache-usage"
    metric_type: ClassVar[str] = "Value"

    def __post_init__(self) -> None:
        where = "KvCacheUsage.threshold"
        _threshold(where, require.ratio(where, self.threshold), 1)

    def query(self, scope: Scope) -> str:
        """The PromQL: one series, the average over the model's pods."""
        return self.metric.mean(scope)


@dataclass(frozen=True)
class TimeToFirstToken:
    """A quantile of the time until the first token (Value); for KedaScaler only.

    Args:
        threshold: Seconds, up to 2560: vLLM's last bucket ends there.
        quantile: Default 0.95.
        window: Time over which it is taken, default `2m`.

    Raises:
        VllmConstructsError: A threshold, quantile or window that is none.
    """

    threshold: float
    quantile: float = field(default=0.95, kw_only=True)
    window: str = field(default="2m", kw_only=True)
    id: ClassVar[str] = "time-to-first-token"
    metric_type: ClassVar[str] = "Value"

    def __post_init__(self) -> None:
        _threshold("TimeToFirstToken.threshold", self.threshold, 2560, "seconds")
        require.ratio("TimeToFirstToken.quantile", self.quantile)
        require.duration("TimeToFirstToken.window", self.window)

    def query(self, scope: Scope) -> str:
        """The PromQL: one series, the quantile over all pods."""
        return metrics.TIME_TO_FIRST_TOKEN.quantile(scope, self.quantile, self.window)


@dataclass(frozen=True)
class CpuUtilization:
    """CPU use of the pods in percent of their request; a weak signal for a GPU engine.

    Args:
        percent: From 1 to 100 (and more, where requests are low).

    Raises:
        VllmConstructsError: A percentage that is no whole number from 1 to 1000.
    """

    percent: int
    id: ClassVar[str] = "cpu"

    def __post_init__(self) -> None:
        require.integer("CpuUtilization.percent", self.percent, 1, 1000, "percent")


@dataclass(frozen=True)
class CronFloor:
    """A floor for the replicas during a time of the day; it never lowers them.

    Args:
        timezone: IANA name, such as `Asia/Shanghai`.
        start: Cron expression of five fields.
        end: Cron expression of five fields, another one than `start`.
        replicas: Replicas at least, from 1.

    Raises:
        VllmConstructsError: A malformed zone or expression, equal times, or fewer than 1 replica.
    """

    timezone: str
    start: str
    end: str
    replicas: int = field(kw_only=True)

    def __post_init__(self) -> None:
        allowed = "an IANA time zone such as 'Asia/Shanghai'"
        require.matching("CronFloor.timezone", self.timezone, _ZONE, allowed)
        if not _zone_exists(self.timezone):
            require.wrong("CronFloor.timezone", self.timezone, allowed)
        for name in ("start", "end"):
            _check_cron(f"CronFloor.{name}", getattr(self, name))
        if self.start == self.end:
            refuse(f"CronFloor.start and end are both {self.start!r}; KEDA needs two times.")
        require.integer("CronFloor.replicas", self.replicas, 1, 1000)


@dataclass(frozen=True, kw_only=True)
class PrometheusQuery:
    """A trigger from a query of your own, for example of a router's or gateway's metrics.

    Args:
        name: Short name of the trigger.
        query: PromQL that gives exactly one series.
        threshold: In the unit of the query.
        metric_type: `"AverageValue"` for a total that replicas share, `"Value"` for an average.

    Raises:
        VllmConstructsError: An illegal name, an empty query, one that asks for a metric or label
            that vLLM lacks, or a threshold that is none.
    """

    name: str
    query: str
    threshold: float
    metric_type: Literal["AverageValue", "Value"]

    def __post_init__(self) -> None:
        names.label("PrometheusQuery.name", self.name, 40)
        require.text("PrometheusQuery.query", self.query)
        if "vllm:" in self.query:
            from vllm_constructs.releases.metric_catalogue import check_query

            check_query("PrometheusQuery.query", self.query)
        _threshold("PrometheusQuery.threshold", self.threshold, 1e12)
        types = ("AverageValue", "Value")
        require.choice("PrometheusQuery.metric_type", self.metric_type, types)


HpaMetric: TypeAlias = QueueDepth | RunningRequests | KvCacheUsage | CpuUtilization
KedaTrigger: TypeAlias = HpaMetric | TimeToFirstToken | CronFloor | PrometheusQuery

_MODEL_TRIGGERS = (QueueDepth, RunningRequests, KvCacheUsage, TimeToFirstToken)
_HPA = (QueueDepth, RunningRequests, KvCacheUsage, CpuUtilization)
_KEDA = (*_MODEL_TRIGGERS, CpuUtilization, CronFloor, PrometheusQuery)


def check(where: str, triggers: object) -> tuple[Any, ...]:
    """Refuse an empty list, what the scaler cannot read, and the same trigger twice."""
    kinds = _HPA if where.startswith("HpaScaler") else _KEDA
    allowed = f"a list of {', '.join(kind.__name__ for kind in kinds)}"
    found = require.items(where, triggers, allowed)
    if not found:
        require.wrong(where, triggers, f"at least one: {allowed}")
    for item in found:
        if isinstance(item, _KEDA) and not isinstance(item, kinds):
            refuse(f"{where} has {type(item).__name__}, which an HPA cannot read; use KedaScaler.")
        require.instance(where, item, kinds, allowed)
    keys = [item.name if isinstance(item, PrometheusQuery) else type(item) for item in found]
    for item, key in zip(found, keys, strict=True):
        if not isinstance(item, CronFloor) and keys.count(key) > 1:
            refuse(f"{where} has {type(item).__name__} twice; keep the one you mean.")
    ids = {AWAKE, *(item.id for item in found if isinstance(item, _MODEL_TRIGGERS))}
    for item in found:
        if isinstance(item, PrometheusQuery) and item.name in ids:
            refuse(f"{where} has two triggers called {item.name!r}; give the query another name.")
    if all(isinstance(item, CpuUtilization) for item in found):
        warn(
            f"{where} is CPU alone, which says little about a GPU engine; "
            "add QueueDepth or KvCacheUsage."
        )
    return found


def wakes(item: Any) -> bool:
    """Whether a trigger can tell that a model with no pods is wanted."""
    own = isinstance(item, PrometheusQuery) and "vllm:" not in item.query
    return own or isinstance(item, CronFloor)
