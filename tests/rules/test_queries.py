"""Rule S01: metrics that a release does not have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rules import scaled as of
from tests.rules.findings import found, sentences
from vllm_constructs.reading.settings import Settings

KV = "vllm:kv_cache_usage_perc"
OLD = "vllm:gpu_cache_usage_perc"
TTFT = "vllm:time_to_first_token_seconds"


def said(*objects: dict[str, Any]) -> str:
    """All findings of S01 as one text."""
    return "\n".join(sentences(objects, "S01"))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f"avg({OLD})", "no longer a metric of vLLM 0.33.0; use vllm:kv_cache_usage_perc"),
        ("avg(vllm:num_requests_wating)", "did you mean 'vllm:num_requests_waiting'?"),
        (f"avg({TTFT})", f"write {TTFT}_bucket"),
        ("rate(vllm:prompt_tokens[1m])", "write 'vllm:prompt_tokens_total'"),
        ("sum(vllm:num_requests_waiting_sum)", "write 'vllm:num_requests_waiting'"),
        (
            "rate(vllm:time_per_output_token_seconds_bucket[1m])",
            "use vllm:inter_token_latency_seconds",
        ),
        (f'avg({{"{OLD}"}})', "no longer a metric"),
        (f'avg({{__name__="{OLD}"}})', "no longer a metric"),
        # Not PromQL for our parser, but the name is there.
        (f"avg({OLD}) default 0", "no longer a metric"),
    ],
)
def test_unknown(query: str, words: str) -> None:
    """A metric that was removed or misspelt is an error on a release that is known."""
    (one,) = found([of.deployment(), of.scaled(of.prometheus(query))], "S01")

    assert one.level == "error"
    assert one.path == ("spec", "triggers", 0, "metadata", "query")
    assert words in one.problem.sentence()


@pytest.mark.parametrize(
    "query",
    [
        of.WAITING,
        f"avg({KV})",
        f"rate({TTFT}_bucket[1m])",
        f"rate({TTFT}_created[1m])",
        "rate(vllm:prompt_tokens_created[1m])",
        "rate(vllm:iteration_tokens_total_bucket[1m])",
        # A recording rule by its name, and metrics of others.
        "vllm:queue:sum",
        "vllm:current_qps",
        'vllm:gpu_prefix_cache_hit_rate{server="http://x"}',
        f"ray_{OLD}",
        "vllm_own_metric",
        # One side of an alternative.
        f"avg({OLD}) or avg({KV})",
        f"avg({OLD} or {KV})",
        # In quotes.
        f'label_replace(up, "x", "{OLD}", "y", ".*")',
        '{__name__=~"vllm:.*_cache_usage_perc"}',
    ],
)
def test_known(query: str) -> None:
    """What the release exposes, what may be of another release, and what is not vLLM's."""
    assert said(of.deployment(), of.scaled(of.prometheus(query))) == ""


@pytest.mark.parametrize(
    ("image", "query", "level"),
    [
        ("vllm/vllm-openai:v0.8.5", OLD, None),
        ("vllm/vllm-openai:v0.8.5", "vllm:num_requests_swapped", None),
        ("vllm/vllm-openai:v0.8.5", "vllm:num_requests_waitin", "error"),
        ("vllm/vllm-openai:v0.8.5", "vllm:something_else", None),
        ("vllm/vllm-openai:v0.12.0", "vllm:time_per_output_token_seconds_sum", "error"),
        ("vllm/vllm-openai:v0.20.2", "vllm:admission_rejections_total", "error"),
        ("vllm/vllm-openai:v0.40.0", "vllm:something_new", None),
        ("vllm/vllm-openai:v0.40.0", OLD, "error"),
        ("vllm/vllm-openai:v0.33.0", "vllm:something_else", "warning"),
        # A build of another day may have it.
        ("vllm/vllm-openai:latest", OLD, "warning"),
        (f"vllm/vllm-openai@sha256:{'0f' * 32}", OLD, "warning"),
        (f"vllm/vllm-tpu:{'0f' * 20}", OLD, "warning"),
        ("registry.example.com/llm/engine-vllm-openai:7", OLD, "warning"),
        ("registry.example.com/llm/engine-vllm-openai:7", "vllm:num_requests_waitin", "error"),
    ],
)
def test_releases(image: str, query: str, level: str | None) -> None:
    """The release of the engine decides, and a release that is not known settles nothing."""
    findings = found([of.deployment(image=image), of.scaled(of.prometheus(query))], "S01")

    assert [one.level for one in findings] == ([] if level is None else [level])


def test_hidden() -> None:
    """A hidden metric is there with the flag that shows it."""
    query = of.prometheus("vllm:time_per_output_token_seconds_sum")
    image = "vllm/vllm-openai:v0.14.1"
    show = ("--show-hidden-metrics-for-version", "0.13")

    assert "vLLM hides it" in said(of.deployment(image=image), of.scaled(query))
    assert said(of.deployment(*show, image=image), of.scaled(query)) == ""


def test_several_releases() -> None:
    """What one of the engines exposes is no mistake of a rule that is about all of them."""
    old = of.deployment(name="old", model="old", image="vllm/vllm-openai:v0.8.5")

    assert said(of.deployment(), old, of.rules(f"{OLD} > 1")) == ""
    assert "no longer" in said(of.deployment(), old, of.rules(f'{OLD}{{model_name="qwen-7b"}} > 1'))
    assert said(of.deployment(), old, of.rules(f'{OLD}{{model_name="old"}} > 1')) == ""


def test_without_engines() -> None:
    """Without an engine the newest release counts, which the finding says, or that of a setting."""
    objects = [of.scaled(of.prometheus(OLD))]
    (one,) = found(objects, "S01")

    assert one.level == "warning"
    assert "vLLM 0.33.0 (assumed" in one.problem.sentence()
    assert found(objects, "S01", settings=Settings(vllm="0.8.5")) == []
    assert [one.level for one in found(objects, "S01", settings=Settings(vllm="0.33.0"))] == [
        "error"
    ]


def test_underscore() -> None:
    """A name with an underscore is the one of an adapter, unless something renames series."""
    objects = [of.deployment(), of.scaled(of.prometheus("sum(vllm_num_requests_waiting)"))]
    rename: dict[str, Any] = {
        "podMetricsEndpoints": [{"metricRelabelings": [{"targetLabel": "__name__"}]}]
    }

    (one,) = found(objects, "S01")
    assert (one.level, "vllm:num_requests_waiting" in one.problem.sentence()) == ("warning", True)
    assert said(*objects, of.monitor(**rename)) == ""


def test_readers() -> None:
    """Alerts, dashboards, adapters and endpoint pickers read metrics too."""
    board = json.dumps({"panels": [{"targets": [{"expr": OLD}, {"expr": f"{OLD} * 100"}]}]})
    adapter = f"rules:\n- seriesQuery: '{OLD}{{pod!=\"\"}}'\n"
    picker = of.deployment(name="picker")
    words = ["--kv-cache-usage-percentage-metric", OLD]
    picker["spec"]["template"]["spec"]["containers"][0] |= {"image": "epp:v1", "args": words}
    objects = [
        of.deployment(),
        of.rules(f"{OLD} > 0.9", **{"vllm:own": "vllm:num_requests_waiting"}),
        of.config("board.json", board),
        of.config("config.yaml", adapter),
        picker,
        of.rules("vllm:own > 1"),
        of.kserve(f"avg({OLD})") | {"metadata": {"name": "other", "namespace": "llm"}},
    ]

    assert [(one.manifest.kind, one.level) for one in found(objects, "S01")] == [
        ("PrometheusRule", "error"),
        ("ConfigMap", "warning"),
        ("ConfigMap", "error"),
        ("Deployment", "error"),
        ("InferenceService", "warning"),
    ]


def test_fix() -> None:
    """A new name is put into the query; a file is left as it is."""
    (one,) = found([of.deployment(), of.scaled(of.prometheus(f"avg({OLD}) > {OLD}_x"))], "S01")[:1]

    assert one.fix is not None
    assert one.fix.edits[0].value == f"avg({KV}) > {OLD}_x"
    (inside,) = found([of.config("x.json", json.dumps({"panels": [{"expr": OLD}]}))], "S01")
    assert inside.fix is None


@pytest.mark.parametrize(
    "name",
    [
        "vllm_num_requests_waiting",
        "vllm:num_requests_waiting",
        "vllm:gpu_cache_usage_perc_own:sum",
        "vllm_generation_tokens",
        "vllm_generation_tokens_total",
        "vllm_generation_tokens_per_second",
        "vllm_time_to_first_token_seconds",
        "vllm_ttft_p95",
        "vllm_current_qps",
        "prometheus.googleapis.com|vllm:num_requests_waiting|gauge",
        "s0-prometheus",
        "requests_per_second",
    ],
)
def test_names(name: str) -> None:
    """Adapters rename metrics, and derive others from them."""
    assert said(of.deployment(), of.hpa(of.pods(name), of.cpu())) == ""


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        ("vllm:gpu_cache_usage_perc", "error", "no longer a metric"),
        ("vllm_gpu_cache_usage_perc", "error", "use vllm:kv_cache_usage_perc"),
        ("prometheus.googleapis.com|vllm:gpu_cache_usage_perc|gauge", "error", "no longer"),
        ("vllm_num_request_waiting", "error", "did you mean 'vllm:num_requests_waiting'?"),
        ("vllm/num_requests_waiting", "error", "write 'vllm_num_requests_waiting'"),
        ("vllm_pending", "warning", "unless an adapter elsewhere"),
    ],
)
def test_unknown_names(name: str, level: str, words: str) -> None:
    """An HPA that asks for what nothing exposes gets no value."""
    (one,) = found([of.deployment(), of.hpa(of.pods(name))], "S01")

    assert one.level == level
    assert one.path == ("spec", "metrics", 0, "pods", "metric", "name")
    assert words in one.problem.sentence()


def test_adapter() -> None:
    """With the adapter at hand, the names are those that it makes."""
    adapter = of.config("config.yaml", of.ADAPTER)
    good = (of.pods("vllm_num_requests_waiting"), of.external("vllm_running"), of.cpu())

    assert said(adapter, of.deployment(), of.hpa(*good)) == ""
    sentence = said(adapter, of.deployment(), of.hpa(of.pods("vllm_num_requests_running")))
    assert "makes kv_usage_perc, vllm_num_requests_waiting; use one of them" in sentence
