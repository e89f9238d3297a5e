"""Metric catalog: which metrics a release has, and queries that ask for others."""

import pytest

from tests import strategies
from vllm_constructs import Metric, VllmRelease
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.releases import metric_catalog
from vllm_constructs.releases.release import releases


def of(release: str) -> VllmRelease:
    """Return a release by its number."""
    return VllmRelease(f"vllm/vllm-openai:v{release}")


def test_releases() -> None:
    """A metric is there in one release and not in another; between two, in both or in neither."""
    retried = Metric.named("vllm:request_num_preemptions")

    assert retried.is_exposed()
    assert not retried.is_exposed(of("0.28.0"))
    assert retried.is_exposed(of("0.30.0"))
    assert vllm_metrics.INTER_TOKEN_LATENCY.is_exposed(of("0.30.0"))
    assert metric_catalog.is_exposed(retried.name, "histogram")
    assert not metric_catalog.is_exposed(retried.name, "counter")
    assert not metric_catalog.is_exposed(retried.name, "histogram", of("0.28.0"))
    assert not metric_catalog.is_exposed("vllm:num_requests_waitin", "gauge")
    assert [False, True, True] == [
        metric_catalog.counts_errors(one) for one in (of("0.12.0"), of("0.16.0"), None)
    ]


def test_entries() -> None:
    """A metric is looked for in all releases, the newest first."""
    assert len(metric_catalog.entries("vllm:num_requests_waiting")) == len(releases())
    assert len(metric_catalog.entries("vllm:request_num_preemptions")) == 4
    assert metric_catalog.entries("vllm:num_requests_waitin") == []


def test_own() -> None:
    """Metrics that this library has ready are those of the catalog."""
    own = [one for one in vars(vllm_metrics).values() if isinstance(one, Metric)]

    assert len(own) > 10
    for one in own:
        assert Metric.named(one.name) == one
        # What is written out is what a user could write, too.
        again = Metric(name=one.name, type=one.type, unit=one.unit, labels=one.labels)
        assert again == one


@pytest.mark.parametrize(
    "query",
    [
        'sum(gateway_requests{model="q"})',
        'sum(vllm:num_requests_waiting{model_name="q"})',
        "histogram_quantile(0.9, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[5m])))",
        'avg(vllm:kv_cache_usage_perc{model_name="q"}) and vllm:num_requests_running > 0',
        "rate(vllm:generation_tokens_total[1m])",
    ],
)
def test_query(query: str) -> None:
    """A query may ask for what some release has, and for anything that is not vLLM's."""
    metric_catalog.check_query("query", query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "vllm:gpu_cache_usage_perc",
            ("query selects 'vllm:gpu", "no longer a metric of", "kv_cache_usage"),
        ),
        ("sum(vllm:num_request_waiting)", ("mean 'vllm:num_requests_waiting'?",)),
        (
            'sum(vllm:num_requests_waiting{model="q"})',
            ("query selects", "the label 'model'", "write model_name"),
        ),
        ('sum(vllm:num_requests_waiting{pod="a", model=~"q"})', ("the label 'model'",)),
    ],
)
def test_query_refused(query: str, words: tuple[str, ...]) -> None:
    """A metric or label that vLLM lacks is rejected with what it has."""
    sentence = strategies.refusal(lambda: metric_catalog.check_query("query", query))

    assert [word for word in words if word not in sentence] == [], sentence
