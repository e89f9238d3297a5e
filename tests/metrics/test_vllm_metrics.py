"""The metrics of vLLM that are ready made: they exist, and so do queries of several."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import parse_promql
from vllm_constructs import Metric, ModelSeries
from vllm_constructs.metrics import vllm_metrics

SERIES = ModelSeries(namespace="llm", model_name="qwen-7b")
HITS, QUERIES = vllm_metrics.PREFIX_CACHE_HITS, vllm_metrics.PREFIX_CACHE_QUERIES
METRICS = [one for one in vars(vllm_metrics).values() if isinstance(one, Metric)]
SUFFIXES = {"counter": "_total", "gauge": "", "histogram": ""}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_existence(metric: Metric) -> None:
    """The release exposes each metric with this name, type and the labels of a model."""
    found = strategies.facts("vllm-0.33.0-metrics.json")["metrics"]
    known = {one["exposed_name"]: one for one in found}

    assert metric.name.endswith(SUFFIXES[metric.type])
    assert known[metric.name]["type"] == metric.type
    assert sorted(known[metric.name]["labels"]) == list(metric.labels)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_constants(metric: Metric) -> None:
    """Each constant is what the shipped catalog says of that name."""
    assert Metric.named(metric.name) == metric


def test_start_up() -> None:
    """Importing the metrics reads no data file."""
    code = """
import sys
def look(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".json"):
        raise SystemExit(f"read {arguments[0]}")
sys.addaudithook(look)
import vllm_constructs.metrics.vllm_metrics
import vllm_constructs.monitoring.alerts, vllm_constructs.monitoring.dashboard
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


@settings(max_examples=60, deadline=None)
@given(strategies.series())
def test_queries(series: ModelSeries) -> None:
    """A query of several metrics gives one series, and reads those of one model only."""
    for query in (
        vllm_metrics.in_flight(series),
        vllm_metrics.quotient(HITS, QUERIES, series),
        vllm_metrics.quotient(HITS, QUERIES, series, "10m"),
    ):
        found = parse_promql(query)

        assert found.is_one_series
        assert 2 == len(found.selectors)
        for selector in found.selectors:
            assert selector.is_scoped(namespace=series.namespace, model_name=series.model_name)


def test_in_flight() -> None:
    """Requests in flight are those that run and those that wait, each summed."""
    running, waiting = vllm_metrics.REQUESTS_RUNNING, vllm_metrics.REQUESTS_WAITING

    expected = f"{running.total(SERIES)} + {waiting.total(SERIES)}"

    assert expected == vllm_metrics.in_flight(SERIES)


def test_quotient() -> None:
    """A quotient is made of two rates over the same time."""
    expected = f"{HITS.rate(SERIES, '10m')} / {QUERIES.rate(SERIES, '10m')}"

    assert expected == vllm_metrics.quotient(HITS, QUERIES, SERIES, "10m")


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (
        lambda: vllm_metrics.quotient(HITS, vllm_metrics.REQUESTS_ENDED, SERIES),
        ("counts tokens", "requests", "the same unit"),
    ),
    (
        lambda: vllm_metrics.quotient(
            vllm_metrics.REQUESTS_RUNNING, vllm_metrics.REQUESTS_WAITING, SERIES
        ),
        ("is a gauge", "only a counter"),
    ),
    (lambda: vllm_metrics.quotient(HITS, QUERIES, SERIES, "five"), ("'five'", "'10m'")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """A query that means nothing is rejected with the reason."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_adapter_rules() -> None:
    """The adapter gives each metric the name that an HPA asks for, one value per pod."""
    rules: list[Any] = vllm_metrics.adapter_rules()
    names = {rule["name"]["as"] for rule in rules}

    assert names == {one.adapter_name for one in vllm_metrics.ADAPTED}
    for rule, metric in zip(rules, vllm_metrics.ADAPTED, strict=True):
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
