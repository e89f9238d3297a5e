"""Metrics: queries that give one series, scoped to one model, of metrics that exist."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import parse_promql
from vllm_constructs import Metric, Scope, VllmConstructsWarning, VllmRelease
from vllm_constructs.metrics import metric as metrics
from vllm_constructs.releases import metric_catalogue as exposed
from vllm_constructs.releases.release import catalogue, releases

SCOPE = Scope(namespace="llm", model_name="qwen-7b")
HITS = metrics.PREFIX_CACHE_HITS
METRICS = [one for one in vars(metrics).values() if isinstance(one, Metric)]
SUFFIXES = {"counter": "_total", "gauge": "", "histogram": ""}

QUERIES: list[Callable[[Scope], str]] = [
    metrics.REQUESTS_WAITING.total,
    metrics.REQUESTS_RUNNING.mean,
    metrics.KV_CACHE_USAGE.mean,
    lambda scope: metrics.TIME_TO_FIRST_TOKEN.quantile(scope, 0.95),
    lambda scope: metrics.PREEMPTIONS.rate(scope, "10m"),
    lambda scope: metrics.REQUESTS_ENDED.rate(scope, finished_reason="error"),
    lambda scope: metrics.REQUESTS_ENDED.share(scope, finished_reason="abort"),
    lambda scope: metrics.REQUESTS_WAITING.total(scope, pod="qwen-1"),
    lambda scope: metrics.QUEUE_TIME.quantile(scope, 0.5, engine="0"),
    lambda scope: metrics.quotient(HITS, metrics.PREFIX_CACHE_QUERIES, scope),
    lambda scope: Metric.named("vllm:engine_sleep_state").total(scope, sleep_state="awake"),
    metrics.in_flight,
]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_existence(metric: Metric) -> None:
    """The release exposes each metric with this name, type and the labels of a scope."""
    found = strategies.facts("vllm-0.33.0-metrics.json")["metrics"]
    known = {one["exposed_name"]: one for one in found}

    assert metric.name.endswith(SUFFIXES[metric.type])
    assert known[metric.name]["type"] == metric.type
    assert sorted(known[metric.name]["labels"]) == list(metric.labels)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_constants(metric: Metric) -> None:
    """Each constant is what the shipped catalogue says of that name."""
    assert Metric.named(metric.name) == metric


def entries(release: str) -> dict[str, Any]:
    """Return what the data of a release says of its metrics."""
    found: dict[str, Any] = dict(catalogue(release))["metrics"]  # type: ignore[assignment]
    return found


def of(release: str) -> VllmRelease:
    """Return a release by its number."""
    return VllmRelease(f"vllm/vllm-openai:v{release}")


@pytest.mark.parametrize("release", releases())
def test_catalogue(release: str) -> None:
    """Every metric of a release is an object with its type, labels and a unit that fits."""
    for name, entry in entries(release).items():
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            found = Metric.named(name, release=of(release))

        assert (entry["type"], tuple(sorted(entry["labels"]))) == (found.type, found.labels)
        assert bool(entry.get("deprecated")) == bool(warned), name
        assert exposed.is_exposed(found, of(release)) != bool(entry.get("hidden"))
        assert ("_info" in name) == (found.unit == "info"), name
        for word, unit in (("_seconds", "seconds"), ("bytes", "bytes"), ("_perc", "ratio")):
            assert word not in name or unit == found.unit, name


def test_start_up() -> None:
    """Importing the metrics reads no data file."""
    code = """
import sys
def look(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".json"):
        raise SystemExit(f"read {arguments[0]}")
sys.addaudithook(look)
import vllm_constructs.monitoring.alerts, vllm_constructs.monitoring.dashboard
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


def test_deprecation() -> None:
    """A deprecated metric is found with a warning, a hidden one with what brings it back."""
    with pytest.warns(VllmConstructsWarning, match="kv_offload_size is deprecated"):
        Metric.named("vllm:kv_offload_size")
    with pytest.warns(VllmConstructsWarning, match="show_hidden_metrics_for_version"):
        Metric.named("vllm:time_per_output_token_seconds", release=of("0.12.0"))


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
INFO = Metric.named("vllm:kv_offload_config_info")
SOCKETS = Metric.named("vllm:websocket_connections_active")
EMA = Metric.named("vllm:kv_offload_tiering_backpressure_store_latency_ema")
CACHED = "vllm:prompt_tokens_cached_total"
REASONS = Metric.named("vllm:num_requests_waiting_by_reason")


def own(name: str, **given: Any) -> Callable[[], Metric]:
    """Return how a user makes a metric of their own."""
    options: dict[str, Any] = {"type": "gauge", "unit": "requests"} | given
    return lambda: Metric(name=name, **options)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: USAGE.total(SCOPE), ("kv_cache_usage_perc is a gauge in ratio", "sum")),
    (lambda: ENDED.total(SCOPE), ("request_success_total is a counter", "sum")),
    (lambda: ENDED.mean(SCOPE), ("is a counter", "rate or a quantile")),
    (lambda: WAITING.rate(SCOPE), ("is a gauge", "only a counter")),
    (lambda: WAITING.quantile(SCOPE, 0.5), ("is a gauge", "only a histogram")),
    (lambda: FIRST.quantile(SCOPE, 95), ("is 95", "write 0.95")),
    (lambda: FIRST.quantile(SCOPE, 0.5, "5 m"), ("'5 m'", "'10m'")),
    (lambda: ENDED.rate(SCOPE, "five"), ("'five'", "'10m'")),
    (lambda: ENDED.rate(SCOPE, finish_reason="error"), ("'finish_reason'", "'finished_reason'?")),
    (lambda: ENDED.rate(SCOPE, finished_reason="errors"), ("'errors'", "did you mean 'error'?")),
    (lambda: ENDED.rate(SCOPE, namespace="b"), ("label 'namespace'", "those of the Scope")),
    (lambda: ENDED.rate(SCOPE, model_name="b"), ("label 'model_name'", "those of the Scope")),
    (lambda: WAITING.total(SCOPE, model="b"), ("label 'model'", "those of the Scope")),
    (lambda: REASONS.total(SCOPE, reason="capcity"), ("'capcity'", "did you mean 'capacity'?")),
    (lambda: ENDED.rate(SCOPE, pod=""), ("label 'pod'", "''")),
    (lambda: ENDED.share(SCOPE), ("request_success_total", "without a label")),
    (lambda: WAITING.total(SCOPE, reason="x"), ("num_requests_waiting", "label 'reason'")),
    (lambda: FIRST.quantile(SCOPE, 0.5, le="1"), ("label 'le'",)),
    (lambda: metrics.quotient(HITS, ENDED, SCOPE), ("counts tokens", "requests", "one unit")),
    (lambda: INFO.total(SCOPE), ("gauge in info", "a sum")),
    (lambda: INFO.mean(SCOPE), ("kv_offload_config_info", "by its labels")),
    (lambda: SOCKETS.total(SCOPE), ("no label 'model_name'", "query of your own")),
    (lambda: EMA.total(SCOPE, tier="x"), ("gauge in seconds", "a sum")),
    (lambda: Metric.named("vllm:gpu_cache_usage_perc"), ("0.33.0 any more", "kv_cache_usage")),
    (lambda: Metric.named("vllm:num_preemptions"), ("as 'vllm:num_preemptions_total'",)),
    (lambda: Metric.named("num_requests_running"), ("as 'vllm:num_requests_running'",)),
    (lambda: Metric.named(f"{FIRST.name}_bucket"), (f"as '{FIRST.name}'.",)),
    (lambda: Metric.named("vllm:num_request_waiting"), ("mean 'vllm:num_requests_waiting'?",)),
    (lambda: Metric.named("qqq"), ("'qqq' is no metric of vLLM 0.33.0.",)),
    (lambda: Metric.named(CACHED, release=of("0.12.0")), ("vLLM 0.12.0; vLLM 0.16.0 has it",)),
    (lambda: Metric.named(""), ("Metric.named name is ''",)),
    (lambda: Metric.named(CACHED, release="0.12.0"), ("release is '0.12.0'", "VllmRelease")),  # type: ignore[arg-type]  # the mistake
    (lambda: Metric(name="a", type="gauge", unit="ratio", labels="pod"), ("labels is 'pod'",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Metric(name="a b", type="gauge", unit="ratio"), ("'a b'", "num_requests")),
    (lambda: Metric(name="a", type="sum", unit="ratio"), ("'sum'", "'counter'")),  # type: ignore[arg-type]  # the mistake
    (lambda: Metric(name="a", type="gauge", unit="ms"), ("'ms'", "'seconds'")),  # type: ignore[arg-type]  # the mistake
    (own("vllm:num_requests_waitin"), ("'vllm:num_requests_waitin'", "num_requests_waiting'?")),
    (own("vllm:gpu_cache_usage_perc"), ("0.33.0 any more", "kv_cache_usage")),
    (own(WAITING.name, type="counter"), ("Metric.type of", "'counter'", "'gauge'")),
    (own(WAITING.name, unit="tokens"), ("Metric.unit of", "'tokens'", "'requests'")),
    (own(WAITING.name, labels=["model", "engine"]), ("Metric.labels of", "'model'", "'engine'")),
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
