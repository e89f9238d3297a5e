"""Triggers: their queries, units and types belong together."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import parse_promql
from vllm_constructs import (
    CpuUtilization,
    CronFloor,
    ExternalMetric,
    KvCacheUsage,
    ModelSeries,
    ObjectMetric,
    PrometheusQuery,
    QueueDepth,
    RunningRequests,
    TimeToFirstToken,
    VllmConstructsWarning,
)
from vllm_constructs.scaling import triggers
from vllm_constructs.scaling.trigger import Trigger

NAN, INFINITE = float("nan"), float("inf")


@settings(max_examples=100, deadline=None)
@given(st.one_of(strategies.model_triggers()), strategies.series())
def test_queries(trigger: Any, series: ModelSeries) -> None:
    """A total goes with AverageValue, an average or quantile with Value; both are one series."""
    query = parse_promql(trigger.query(series))

    assert query.is_one_series
    assert len(query.selectors) == 1 + isinstance(trigger, TimeToFirstToken)
    for selector in query.selectors:
        assert selector.is_scoped(namespace=series.namespace, model_name=series.model_name)
    if trigger.metric_type == "AverageValue":
        assert query.aggregation == "sum"
    else:
        assert trigger.metric_type == "Value"
        assert query.aggregation == "avg" or query.functions[0] == "histogram_quantile"


@settings(max_examples=60, deadline=None)
@given(strategies.keda_triggers())
def test_check(wanted: list[Any]) -> None:
    """Any triggers that differ can stand together."""
    assert tuple(wanted) == triggers.check("KedaScaler.triggers", wanted, for_hpa=False)
    assert any(one.wakes for one in wanted)


@settings(max_examples=60, deadline=None)
@given(strategies.hpa_triggers())
def test_check_for_hpa(wanted: list[Any]) -> None:
    """What an HPA can read passes for it, and for KEDA."""
    for for_hpa in (True, False):
        assert tuple(wanted) == triggers.check("HpaScaler.triggers", wanted, for_hpa=for_hpa)
    assert all(one.for_hpa for one in wanted)


FLOOR = CronFloor("UTC", "0 9 * * *", "0 18 * * *", replicas=3)
OWN = PrometheusQuery(
    name="own", query="sum(vllm:num_requests_waiting)", threshold=1, metric_type="Value"
)
GATEWAY = PrometheusQuery(name="gateway", query="sum(x)", threshold=0.5, metric_type="AverageValue")
EACH: list[Trigger] = [
    QueueDepth(5),
    RunningRequests(8),
    KvCacheUsage(0.85),
    TimeToFirstToken(2),
    CpuUtilization(70),
    FLOOR,
    GATEWAY,
    ExternalMetric(name="queue", threshold=0.5, metric_type="AverageValue", labels={"a": "b"}),
    ObjectMetric(
        name="rps",
        kind="Ingress",
        object_name="llm",
        api_version="networking.k8s.io/v1",
        threshold=100,
        metric_type="Value",
    ),
]
FOR_KEDA = [one for one in EACH if one.for_keda]


def test_kinds() -> None:
    """Each kind of trigger says by itself who reads it, and for what."""
    assert list(triggers.KINDS) == [type(one) for one in EACH]
    for_hpa: list[type[Trigger]] = [QueueDepth, RunningRequests, KvCacheUsage, CpuUtilization]
    for_hpa += [ExternalMetric, ObjectMetric]
    assert {ExternalMetric, ObjectMetric} == {one for one in triggers.KINDS if not one.for_keda}
    assert for_hpa == [kind for kind in triggers.KINDS if kind.for_hpa]
    assert [CpuUtilization, CronFloor, ExternalMetric, ObjectMetric] == [
        kind for kind in triggers.KINDS if not kind.reads_prometheus
    ]
    assert [0, 0, 0, 0, 0, 3, 0, 0, 0] == [one.floor for one in EACH]
    assert [FLOOR, GATEWAY] == [one for one in EACH if one.wakes]


def test_keys() -> None:
    """What may stand once is known by its kind, a query by its name, and a floor by nothing."""
    expected = [kind.__name__ for kind in triggers.KINDS[:5]]

    assert [*expected, None, "gateway", None, None] == [one.key for one in EACH]


def test_wakes() -> None:
    """A query of the model's own pods wakes nothing."""
    assert not OWN.wakes
    assert not QueueDepth(5).wakes
    assert GATEWAY.wakes


def test_reads_prometheus() -> None:
    """One trigger that reads Prometheus is enough; CPU and floors read none."""
    assert not triggers.reads_prometheus([])
    assert not triggers.reads_prometheus([CpuUtilization(70), FLOOR])
    assert triggers.reads_prometheus([CpuUtilization(70), QueueDepth(5)])
    assert triggers.reads_prometheus([GATEWAY])


def test_keda_triggers() -> None:
    """Each trigger writes its own entry of a ScaledObject, and for an HPA its own metric."""
    series = ModelSeries(namespace="llm", model_name="qwen-7b")
    matchers = '{namespace="llm",model_name="qwen-7b"}'
    first = "vllm:time_to_first_token_seconds"
    buckets, count = (f"rate({first}_{one}{matchers}[2m])" for one in ("bucket", "count"))

    def prometheus(name: str, kind: str, query: str, threshold: str) -> dict[str, Any]:
        metadata = {"serverAddress": "http://x", "query": query, "threshold": threshold}
        return {"type": "prometheus", "name": name, "metricType": kind, "metadata": metadata}

    cron = {"timezone": "UTC", "start": "0 9 * * *", "end": "0 18 * * *", "desiredReplicas": "3"}
    expected = [
        prometheus("queue-depth", "AverageValue", f"sum(vllm:num_requests_waiting{matchers})", "5"),
        prometheus(
            "running-requests", "AverageValue", f"sum(vllm:num_requests_running{matchers})", "8"
        ),
        prometheus("kv-cache-usage", "Value", f"avg(vllm:kv_cache_usage_perc{matchers})", "0.85"),
        prometheus(
            "time-to-first-token",
            "Value",
            f"histogram_quantile(0.95, sum by (le) ({buckets})) >= 0 or 0 * sum({count})",
            "2",
        ),
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}},
        {"type": "cron", "metadata": cron},
        prometheus("gateway", "AverageValue", "sum(x)", "0.5"),
    ]

    assert expected == [one.keda_trigger(series, "http://x", ignore_null=True) for one in FOR_KEDA]
    for entry in expected:
        if entry["type"] == "prometheus":
            entry["metadata"]["ignoreNullValues"] = "false"
    assert expected == [one.keda_trigger(series, "http://x", ignore_null=False) for one in FOR_KEDA]


def test_hpa_metrics() -> None:
    """Each trigger that an HPA can read writes its own entry of its metrics."""

    def pods(name: str, value: str) -> dict[str, Any]:
        target = {"type": "AverageValue", "averageValue": value}
        return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}

    cpu = {"type": "Utilization", "averageUtilization": 70}
    expected = [
        pods("vllm_num_requests_waiting", "5"),
        pods("vllm_num_requests_running", "8"),
        pods("vllm_kv_cache_usage_perc", "850m"),
        {"type": "Resource", "resource": {"name": "cpu", "target": cpu}},
        {
            "type": "External",
            "external": {
                "metric": {"name": "queue", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"type": "AverageValue", "averageValue": "500m"},
            },
        },
        {
            "type": "Object",
            "object": {
                "describedObject": {
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "Ingress",
                    "name": "llm",
                },
                "metric": {"name": "rps"},
                "target": {"type": "Value", "value": "100"},
            },
        },
    ]

    assert expected == [one.hpa_metric() for one in EACH if one.for_hpa]


def test_two_floors() -> None:
    """Floors may be several: one for the day, one for the weekend."""
    day = CronFloor("UTC", "0 9 * * 1-5", "0 18 * * 1-5", replicas=5)
    weekend = CronFloor("UTC", "0 9 * * 6", "0 18 * * 6", replicas=2)

    found = triggers.check("KedaScaler.triggers", [day, weekend], for_hpa=False)

    assert (day, weekend) == found


@pytest.mark.parametrize("for_hpa", [True, False])
def test_cpu_alone(*, for_hpa: bool) -> None:
    """CPU says little about a GPU engine."""
    with pytest.warns(VllmConstructsWarning, match="is CPU alone"):
        triggers.check("HpaScaler.triggers", [CpuUtilization(70)], for_hpa=for_hpa)


def query(name: str = "gateway", threshold: float = 5, **fields: Any) -> PrometheusQuery:
    """Return a query with these fields."""
    given_fields = {"query": "sum(x)", "metric_type": "Value", **fields}
    return PrometheusQuery(name=name, threshold=threshold, **given_fields)


def check(*wanted: object) -> None:
    """Check triggers as a KedaScaler does."""
    triggers.check("KedaScaler.triggers", list(wanted), for_hpa=False)


def check_for_hpa(*wanted: object) -> None:
    """Check triggers as a HpaScaler does."""
    triggers.check("HpaScaler.triggers", list(wanted), for_hpa=True)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: QueueDepth(0), ("QueueDepth.threshold is 0", "requests per replica", "above 0")),
    (lambda: QueueDepth(NAN), ("is nan", "a number of requests per replica")),
    (lambda: QueueDepth(INFINITE), ("is inf", "up to 1e+06")),
    (lambda: QueueDepth(0.0001), ("is 0.0001", "from 0.001")),
    (lambda: QueueDepth("5"), ("QueueDepth.threshold is '5'", "a number")),  # type: ignore[arg-type]  # the mistake
    (lambda: RunningRequests(-1), ("RunningRequests.threshold is -1", "above 0")),
    (lambda: RunningRequests(threshold=True), ("is True", "a number")),
    (lambda: KvCacheUsage(70), ("KvCacheUsage.threshold is 70", "write 0.7 for 70 %")),
    (lambda: KvCacheUsage(101), ("is 101", "above 0 and up to 1")),
    (lambda: KvCacheUsage(NAN), ("is nan", "above 0 and up to 1")),
    (lambda: TimeToFirstToken(0), ("is 0", "a number of seconds")),
    (lambda: TimeToFirstToken(1, quantile=95), ("quantile is 95", "write 0.95")),
    (lambda: TimeToFirstToken(1, window="2 m"), ("window is '2 m'", "'10m'")),
    (lambda: CpuUtilization(0), ("CpuUtilization.percent is 0", "percent from 1")),
    (lambda: CpuUtilization(0.7), ("is 0.7", "an integer")),  # type: ignore[arg-type]  # the mistake
    (lambda: CronFloor("a b", "", "", replicas=1), ("'a b'", "'Asia/Shanghai'")),
    (lambda: CronFloor("UTC", "9", "", replicas=1), ("CronFloor.start is '9'", "five fields")),
    (
        lambda: CronFloor("UTC", "0 9 * * *", "0 9 * *", replicas=1),
        ("CronFloor.end is '0 9 * *'", "'0 9 * * *'"),
    ),
    (
        lambda: CronFloor("UTC", "0 9 * * *", "0 25 * * *", replicas=1),
        ("CronFloor.end is '0 25 * * *'", "hour '25' is not a number from 0 to 23"),
    ),
    (
        lambda: CronFloor("Mars", "0 9 * * *", "0 22 * * *", replicas=1),
        ("CronFloor.timezone is 'Mars'", "an IANA time zone"),
    ),
    (
        lambda: CronFloor("UTC", "0 9 * * *", "0 9 * * *", replicas=1),
        ("both '0 9 * * *'", "two times"),
    ),
    (
        lambda: CronFloor("UTC", "0 9 * * *", "0 10 * * *", replicas=0),
        ("CronFloor.replicas is 0", "from 1"),
    ),
    (lambda: query("A"), ("PrometheusQuery.name is 'A'", "at most 40")),
    (lambda: query(query=""), ("PrometheusQuery.query is ''", "non-empty")),
    (lambda: query(threshold=INFINITE), ("is inf", "up to 1e+12")),
    (lambda: query(metric_type="Average"), ("'Average'", "'AverageValue', 'Value'")),
    (check, ("is []", "at least one", "QueueDepth")),
    (lambda: check("queue"), ("is 'queue'", "QueueDepth", "CronFloor")),
    (check_for_hpa, ("HpaScaler.triggers is []", "at least one", "QueueDepth")),
    (
        lambda: triggers.check("HpaScaler.triggers", QueueDepth(5), for_hpa=True),
        ("HpaScaler.triggers is QueueDepth(threshold=5)", "a list of"),
    ),
    (
        lambda: check_for_hpa(TimeToFirstToken(1)),
        ("has TimeToFirstToken", "an HPA cannot read", "KedaScaler"),
    ),
    (lambda: check_for_hpa(QueueDepth(5), FLOOR), ("has CronFloor", "an HPA cannot read")),
    (lambda: check_for_hpa(query()), ("has PrometheusQuery", "an HPA cannot read")),
    (
        lambda: check_for_hpa(5),
        ("is 5", "a list of QueueDepth, RunningRequests, KvCacheUsage, CpuUtilization, External"),
    ),
    (lambda: check(QueueDepth(5), QueueDepth(6)), ("QueueDepth twice", "keep one")),
    (lambda: check(query("a"), query("a")), ("PrometheusQuery twice",)),
    (lambda: check(QueueDepth(5), query("queue-depth")), ("two triggers named 'queue-depth'",)),
    (lambda: check(query("in-flight")), ("two triggers named 'in-flight'", "another name")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, its unit and what is allowed."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """Triggers cannot be changed after they were checked."""
    with pytest.raises(FrozenInstanceError):
        QueueDepth(5).threshold = 0  # type: ignore[misc]  # the point


@pytest.mark.parametrize(
    ("query", "source", "wakes"),
    [
        ("sum(x)", "vllm", True),
        ("sum(vllm:num_requests_waiting)", "vllm", False),
        ('sum(rate(vllm:num_incoming_requests_total{model="a/b"}[2m]) > bool 0)', "vllm", True),
        ("sum(vllm:current_qps) + sum(vllm:num_requests_running)", "vllm", False),
        ("sum(vllm:my_router_queue)", "router", True),
    ],
)
def test_router(query: str, source: Any, wakes: bool) -> None:  # noqa: FBT001  # a parameter
    """A router's metrics are there at 0 replicas, though they begin as vLLM's do."""
    found = PrometheusQuery(name="x", query=query, threshold=1, metric_type="Value", source=source)

    assert wakes is found.wakes


def test_unknown_metric() -> None:
    """A name that neither vLLM nor a known router has is rejected, unless it is said to be one."""
    sentence = strategies.refusal(
        lambda: PrometheusQuery(
            name="x", query="sum(vllm:my_router_queue)", threshold=1, metric_type="Value"
        )
    )

    assert "is not a metric of vLLM" in sentence
