"""Metrics: queries that give one series, scoped to one model, of metrics that exist."""

import warnings
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import parse_promql
from vllm_constructs import Metric, ModelSeries, VllmConstructsWarning, VllmRelease
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.releases.release import catalog, releases

SERIES = ModelSeries(namespace="llm", model_name="qwen-7b")

QUERIES: list[Callable[[ModelSeries], str]] = [
    vllm_metrics.REQUESTS_WAITING.total,
    vllm_metrics.REQUESTS_RUNNING.mean,
    vllm_metrics.KV_CACHE_USAGE.mean,
    lambda series: vllm_metrics.TIME_TO_FIRST_TOKEN.quantile(series, 0.95),
    lambda series: vllm_metrics.PREEMPTIONS.rate(series, "10m"),
    lambda series: vllm_metrics.REQUESTS_ENDED.rate(series, finished_reason="error"),
    lambda series: vllm_metrics.REQUESTS_ENDED.share(series, finished_reason="abort"),
    lambda series: vllm_metrics.REQUESTS_WAITING.total(series, pod="qwen-1"),
    lambda series: vllm_metrics.QUEUE_TIME.quantile(series, 0.5, engine="0"),
    lambda series: Metric.named("vllm:engine_sleep_state").total(series, sleep_state="awake"),
]


def entries(release: str) -> dict[str, Any]:
    """Return what the data of a release says of its metrics."""
    found: dict[str, Any] = dict(catalog(release))["metrics"]  # type: ignore[assignment]
    return found


def of(release: str) -> VllmRelease:
    """Return a release by its number."""
    return VllmRelease(f"vllm/vllm-openai:v{release}")


@pytest.mark.parametrize("release", releases())
def test_catalog(release: str) -> None:
    """Every metric of a release is an object with its type, labels and a unit that fits."""
    for name, entry in entries(release).items():
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            found = Metric.named(name, release=of(release))

        assert (entry["type"], tuple(sorted(entry["labels"]))) == (found.type, found.labels)
        assert bool(entry.get("deprecated")) == bool(warned), name
        assert found.is_exposed(of(release)) != bool(entry.get("hidden"))
        assert ("_info" in name) == (found.unit == "info"), name
        for word, unit in (("_seconds", "seconds"), ("bytes", "bytes"), ("_perc", "ratio")):
            assert word not in name or unit == found.unit, name


def test_deprecation() -> None:
    """A deprecated metric is found with a warning, a hidden one with what brings it back."""
    with pytest.warns(VllmConstructsWarning, match="kv_offload_size is deprecated"):
        Metric.named("vllm:kv_offload_size")
    with pytest.warns(VllmConstructsWarning, match="show_hidden_metrics_for_version"):
        Metric.named("vllm:time_per_output_token_seconds", release=of("0.12.0"))


@settings(max_examples=60, deadline=None)
@given(strategies.series())
def test_queries(series: ModelSeries) -> None:
    """Every query gives one series, and reads the series of one model only."""
    for query in QUERIES:
        found = parse_promql(query(series))

        assert found.is_one_series
        for selector in found.selectors:
            assert selector.is_scoped(namespace=series.namespace, model_name=series.model_name)


def test_aggregation() -> None:
    """Totals are sums, shares are averages, latencies quantiles of the pods together."""
    assert parse_promql(vllm_metrics.REQUESTS_WAITING.total(SERIES)).aggregation == "sum"
    assert parse_promql(vllm_metrics.KV_CACHE_USAGE.mean(SERIES)).aggregation == "avg"
    assert parse_promql(vllm_metrics.PREEMPTIONS.rate(SERIES)).functions == ("rate",)
    quantile = parse_promql(vllm_metrics.TIME_TO_FIRST_TOKEN.quantile(SERIES, 0.5))
    assert quantile.functions[0] == "histogram_quantile"
    assert quantile.metrics == ("vllm:time_to_first_token_seconds_bucket",)


WAITING, USAGE = vllm_metrics.REQUESTS_WAITING, vllm_metrics.KV_CACHE_USAGE
FIRST, ENDED = vllm_metrics.TIME_TO_FIRST_TOKEN, vllm_metrics.REQUESTS_ENDED
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
    (lambda: USAGE.total(SERIES), ("kv_cache_usage_perc is a gauge in ratio", "sum; use mean()")),
    (lambda: ENDED.total(SERIES), ("request_success_total is a counter", "total; use rate()")),
    (lambda: ENDED.mean(SERIES), ("is a counter", "only a gauge has an average; use rate()")),
    (lambda: WAITING.rate(SERIES), ("is a gauge", "only a counter", "use mean()")),
    (lambda: WAITING.quantile(SERIES, 0.5), ("is a gauge", "only a histogram")),
    (lambda: FIRST.quantile(SERIES, 95), ("is 95", "write 0.95")),
    (lambda: FIRST.quantile(SERIES, 0.5, "5 m"), ("'5 m'", "'10m'")),
    (lambda: ENDED.rate(SERIES, "five"), ("'five'", "'10m'")),
    (lambda: ENDED.rate(SERIES, finish_reason="error"), ("'finish_reason'", "'finished_reason'?")),
    (lambda: ENDED.rate(SERIES, finished_reason="errors"), ("'errors'", "did you mean 'error'?")),
    (lambda: ENDED.rate(SERIES, namespace="b"), ("label 'namespace'", "the ModelSeries selects")),
    (
        lambda: ENDED.rate(SERIES, model_name="b"),
        ("label 'model_name'", "the ModelSeries selects"),
    ),
    (lambda: WAITING.total(SERIES, model="b"), ("label 'model'", "the ModelSeries selects")),
    (lambda: REASONS.total(SERIES, reason="capcity"), ("'capcity'", "did you mean 'capacity'?")),
    (lambda: ENDED.rate(SERIES, pod=""), ("label 'pod'", "''")),
    (lambda: ENDED.share(SERIES), ("request_success_total", "no share without a label")),
    (lambda: WAITING.total(SERIES, reason="x"), ("num_requests_waiting", "label 'reason'")),
    (lambda: FIRST.quantile(SERIES, 0.5, le="1"), ("label 'le'",)),
    (lambda: INFO.total(SERIES), ("an info metric", "always 1; read its labels")),
    (lambda: INFO.mean(SERIES), ("kv_offload_config_info", "read its labels")),
    (lambda: SOCKETS.total(SERIES), ("no label 'model_name'", "query of your own")),
    (lambda: EMA.total(SERIES, tier="x"), ("gauge in seconds", "sum; use mean()")),
    (lambda: Metric.named("vllm:gpu_cache_usage_perc"), ("no longer a metric", "kv_cache_usage")),
    (lambda: Metric.named("vllm:num_preemptions"), ("write 'vllm:num_preemptions_total'",)),
    (lambda: Metric.named("num_requests_running"), ("write 'vllm:num_requests_running'",)),
    (lambda: Metric.named(f"{FIRST.name}_bucket"), (f"write '{FIRST.name}'.",)),
    (lambda: Metric.named("vllm:num_request_waiting"), ("mean 'vllm:num_requests_waiting'?",)),
    (lambda: Metric.named("qqq"), ("Metric.name is 'qqq', which is not a metric of vLLM 0.33.0.",)),
    (lambda: Metric.named(CACHED, release=of("0.12.0")), ("vLLM 0.12.0; vLLM 0.16.0 has it",)),
    (lambda: Metric.named(""), ("Metric.name is ''",)),
    (lambda: Metric.named(CACHED, release="0.12.0"), ("release is '0.12.0'", "VllmRelease")),  # type: ignore[arg-type]  # the mistake
    (lambda: Metric(name="a", type="gauge", unit="ratio", labels="pod"), ("labels is 'pod'",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Metric(name="a b", type="gauge", unit="ratio"), ("'a b'", "num_requests")),
    (lambda: Metric(name="a", type="sum", unit="ratio"), ("'sum'", "'counter'")),  # type: ignore[arg-type]  # the mistake
    (lambda: Metric(name="a", type="gauge", unit="ms"), ("'ms'", "'seconds'")),  # type: ignore[arg-type]  # the mistake
    (own("vllm:num_requests_waitin"), ("'vllm:num_requests_waitin'", "num_requests_waiting'?")),
    (own("vllm:gpu_cache_usage_perc"), ("no longer a metric of", "kv_cache_usage")),
    (own(WAITING.name, type="counter"), ("Metric.type is 'counter'; expected 'gauge'",)),
    (own(WAITING.name, unit="tokens"), ("Metric.unit is 'tokens'", "'requests' for vllm:num")),
    (own(WAITING.name, labels=["model", "engine"]), ("Metric.labels has 'model'", "'engine'")),
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
