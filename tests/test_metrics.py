"""Metrics: queries that give one series, scoped to one model, of metrics that exist."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import parse_promql
from vllm_constructs import Metric, Scope, metrics

SCOPE = Scope(namespace="llm", model_name="qwen-7b")
METRICS = [one for one in vars(metrics).values() if isinstance(one, Metric)]
SUFFIXES = {"counter": "_total", "gauge": "", "histogram": ""}

QUERIES: list[Callable[[Scope], str]] = [
    metrics.REQUESTS_WAITING.total,
    metrics.REQUESTS_RUNNING.mean,
    metrics.KV_CACHE_USAGE.mean,
    lambda scope: metrics.TIME_TO_FIRST_TOKEN.quantile(scope, 0.95),
    lambda scope: metrics.PREEMPTIONS.rate(scope, "10m"),
    lambda scope: metrics.REQUESTS_ENDED.rate(scope, finished_reason="error"),
    metrics.in_flight,
]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_existence(metric: Metric) -> None:
    """The release exposes each metric with this name, type and the labels of a scope."""
    found = strategies.facts("vllm-0.33.0-metrics.json")["metrics"]
    known = {one["exposed_name"]: one for one in found}

    assert metric.name.endswith(SUFFIXES[metric.type])
    assert known[metric.name]["type"] == metric.type
    assert {"model_name", "engine"} <= set(known[metric.name]["labels"])


@settings(max_examples=60, deadline=None)
@given(strategies.scopes())
def test_queries(scope: Scope) -> None:
    """Every query gives one series, and reads the series of one model only."""
    for query in QUERIES:
        found = parse_promql(query(scope))

        assert found.is_one_series
        for selector in found.selectors:
            assert selector.is_scoped(namespace=scope.namespace, model_name=scope.model_name)


def test_aggregation() -> None:
    """Totals are sums, shares are averages, latencies quantiles of the pods together."""
    assert parse_promql(metrics.REQUESTS_WAITING.total(SCOPE)).aggregation == "sum"
    assert parse_promql(metrics.KV_CACHE_USAGE.mean(SCOPE)).aggregation == "avg"
    assert parse_promql(metrics.PREEMPTIONS.rate(SCOPE)).functions == ("rate",)
    quantile = parse_promql(metrics.TIME_TO_FIRST_TOKEN.quantile(SCOPE, 0.5))
    assert quantile.functions[0] == "histogram_quantile"
    assert quantile.metrics == ("vllm:time_to_first_token_seconds_bucket",)


def test_adapter_rules() -> None:
    """The adapter gives each metric the name that an HPA asks for, one value per pod."""
    rules: list[Any] = metrics.adapter_rules()
    names = {rule["name"]["as"] for rule in rules}

    assert names == {one.adapter_name for one in metrics.ADAPTED}
    for rule, metric in zip(rules, metrics.ADAPTED, strict=True):
        assert ":" not in metric.adapter_name
        assert parse_promql(rule["seriesQuery"]).metrics == (metric.name,)
        assert rule["name"]["matches"] == f"^{metric.name}$"
        filled = (
            rule["metricsQuery"]
            .replace("<<.Series>>", metric.name)
            .replace("<<.LabelMatchers>>", 'pod="a"')
            .replace("<<.GroupBy>>", "pod")
        )
        query = parse_promql(filled)
        assert query.aggregation == ("avg" if metric.unit == "ratio" else "sum")
        assert query.by == ("pod",)


WAITING, USAGE = metrics.REQUESTS_WAITING, metrics.KV_CACHE_USAGE
FIRST, ENDED = metrics.TIME_TO_FIRST_TOKEN, metrics.REQUESTS_ENDED

REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: USAGE.total(SCOPE), ("kv_cache_usage_perc is a gauge in ratio", "sum")),
    (lambda: ENDED.total(SCOPE), ("request_success_total is a counter", "sum")),
    (lambda: ENDED.mean(SCOPE), ("is a counter", "rate or a quantile")),
    (lambda: WAITING.rate(SCOPE), ("is a gauge", "only a counter")),
    (lambda: WAITING.quantile(SCOPE, 0.5), ("is a gauge", "only a histogram")),
    (lambda: FIRST.quantile(SCOPE, 95), ("is 95", "write 0.95")),
    (lambda: FIRST.quantile(SCOPE, 0.5, "5 m"), ("'5 m'", "'10m'")),
    (lambda: ENDED.rate(SCOPE, "five"), ("'five'", "'10m'")),
    (lambda: Metric(name="a b", type="gauge", unit="ratio"), ("'a b'", "num_requests")),
    (lambda: Metric(name="a", type="sum", unit="ratio"), ("'sum'", "'counter'")),  # type: ignore[arg-type]  # the mistake
    (lambda: Metric(name="a", type="gauge", unit="ms"), ("'ms'", "'seconds'")),  # type: ignore[arg-type]  # the mistake
    (lambda: Scope(namespace="A", model_name="b"), ("Scope.namespace is 'A'", "'a'")),
    (lambda: Scope(namespace="a", model_name="b\n"), ("Scope.model_name is 'b\\n'",)),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """A query that means nothing cannot be written."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """Metrics cannot be changed."""
    with pytest.raises(FrozenInstanceError):
        WAITING.unit = "ratio"  # type: ignore[misc]  # the point
