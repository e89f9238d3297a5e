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
    KvCacheUsage,
    PrometheusQuery,
    QueueDepth,
    RunningRequests,
    Scope,
    TimeToFirstToken,
    VllmConstructsError,
    VllmConstructsWarning,
)
from vllm_constructs.scaling import triggers

NAN, INFINITE = float("nan"), float("inf")


@settings(max_examples=100, deadline=None)
@given(st.one_of(strategies.model_triggers()), strategies.scopes())
def test_queries(trigger: Any, scope: Scope) -> None:
    """A total goes with AverageValue, an average or quantile with Value; both are one series."""
    query = parse_promql(trigger.query(scope))

    assert query.is_one_series
    assert len(query.selectors) == 1
    selector = query.selectors[0]
    assert selector.is_scoped(namespace=scope.namespace, model_name=scope.model_name)
    if trigger.metric_type == "AverageValue":
        assert query.aggregation == "sum"
    else:
        assert trigger.metric_type == "Value"
        assert query.aggregation == "avg" or query.functions[0] == "histogram_quantile"


@settings(max_examples=60, deadline=None)
@given(strategies.keda_triggers())
def test_check(wanted: list[Any]) -> None:
    """Any triggers that differ can stand together."""
    assert triggers.check("KedaScaler.triggers", wanted) == tuple(wanted)
    assert any(triggers.wakes(one) for one in wanted)


def test_wakes() -> None:
    """A query of the model's own pods wakes nothing."""
    own = PrometheusQuery(
        name="own", query="sum(vllm:num_requests_waiting)", threshold=1, metric_type="Value"
    )

    assert not triggers.wakes(own)
    assert not triggers.wakes(QueueDepth(5))


def test_two_floors() -> None:
    """Floors may be several: one for the day, one for the weekend."""
    day = CronFloor("UTC", "0 9 * * 1-5", "0 18 * * 1-5", replicas=5)
    weekend = CronFloor("UTC", "0 9 * * 6", "0 18 * * 6", replicas=2)

    assert triggers.check("KedaScaler.triggers", [day, weekend]) == (day, weekend)


def test_cpu_alone() -> None:
    """CPU says little about a GPU engine."""
    with pytest.warns(VllmConstructsWarning, match="is CPU alone"):
        triggers.check("HpaScaler.metrics", [CpuUtilization(70)])


def query(name: str = "gateway", threshold: float = 5, **fields: Any) -> PrometheusQuery:
    """Return a query with these fields."""
    given_fields = {"query": "sum(x)", "metric_type": "Value", **fields}
    return PrometheusQuery(name=name, threshold=threshold, **given_fields)


def check(*wanted: object, where: str = "KedaScaler.triggers") -> None:
    """Check triggers as a scaler does."""
    triggers.check(where, list(wanted))


HPA = "HpaScaler.metrics"

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
    (lambda: CpuUtilization(0.7), ("is 0.7", "whole number")),  # type: ignore[arg-type]  # the mistake
    (lambda: CronFloor("a b", "", "", replicas=1), ("'a b'", "'Asia/Shanghai'")),
    (lambda: CronFloor("UTC", "9", "", replicas=1), ("CronFloor.start is '9'", "five fields")),
    (
        lambda: CronFloor("UTC", "0 9 * * *", "0 9 * *", replicas=1),
        ("CronFloor.end is '0 9 * *'", "'0 9 * * *'"),
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
    (lambda: query(query=""), ("PrometheusQuery.query is ''", "not empty")),
    (lambda: query(threshold=INFINITE), ("is inf", "up to 1e+12")),
    (lambda: query(metric_type="Average"), ("'Average'", "'AverageValue', 'Value'")),
    (check, ("is []", "at least one", "QueueDepth")),
    (lambda: check("queue"), ("is 'queue'", "QueueDepth", "CronFloor")),
    (lambda: triggers.check(HPA, QueueDepth(5)), ("QueueDepth(threshold=5)", "a list of")),
    (
        lambda: check(TimeToFirstToken(1), where=HPA),
        ("has TimeToFirstToken", "an HPA cannot read", "KedaScaler"),
    ),
    (lambda: check(5, where=HPA), ("is 5", "QueueDepth, RunningRequests")),
    (lambda: check(QueueDepth(5), QueueDepth(6)), ("QueueDepth twice", "keep the one")),
    (lambda: check(query("a"), query("a")), ("PrometheusQuery twice",)),
    (lambda: check(QueueDepth(5), query("queue-depth")), ("two triggers called 'queue-depth'",)),
    (lambda: check(query("in-flight")), ("two triggers called 'in-flight'", "another name")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is refused with the value, its unit and what is allowed."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """Triggers cannot be changed after they were checked."""
    with pytest.raises(FrozenInstanceError):
        QueueDepth(5).threshold = 0  # type: ignore[misc]  # the point


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("0 25 * * *", "hour '25' is not from 0 to 23"),
        ("60 9 * * *", "minute '60'"),
        ("0 9 * * 1-8", "day of week '1-8'"),
        ("0 9 * foo *", "month 'foo'"),
        ("a b c d e", "minute 'a'"),
        ("0 9 * *", "five fields"),
    ],
)
def test_cron(start: str, words: str) -> None:
    """A field out of its range is named, since KEDA would only say so on the cluster."""
    with pytest.raises(VllmConstructsError, match=words):
        CronFloor("Asia/Shanghai", start, "0 22 * * *", replicas=1)


@pytest.mark.parametrize("start", ["*/15 8-18 * * MON-FRI", "0,30 9 1 JAN ?", "5 4 * * 0"])
def test_cron_forms(start: str) -> None:
    """Steps, ranges, lists and names are taken."""
    assert start == CronFloor("Asia/Shanghai", start, "0 22 * * *", replicas=1).start


def test_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown time zone is refused, unless no zone is known at all."""
    with pytest.raises(VllmConstructsError, match="'Mars'"):
        CronFloor("Mars", "0 9 * * *", "0 22 * * *", replicas=1)

    def nothing(key: str) -> None:
        raise LookupError(key)

    monkeypatch.setattr("zoneinfo.ZoneInfo", nothing)
    assert "Mars" == CronFloor("Mars", "0 9 * * *", "0 22 * * *", replicas=1).timezone
