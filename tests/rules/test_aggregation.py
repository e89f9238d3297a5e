"""Rule S03: aggregations and metric types."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules import scaled as of
from tests.rules.findings import found, sentences

W = 'vllm:num_requests_waiting{model_name="qwen-7b"}'
KV = 'vllm:kv_cache_usage_perc{model_name="qwen-7b"}'
BUCKET = 'rate(vllm:time_to_first_token_seconds_bucket{model_name="qwen-7b"}[5m])'
TYPE = ("spec", "triggers", 0, "metricType")
QUERY = ("spec", "triggers", 0, "metadata", "query")


def said(*objects: dict[str, Any]) -> str:
    """All findings of S03 as one text."""
    return "\n".join(sentences(objects, "S03"))


def trigger(query: str, kind: str | None = None) -> dict[str, Any]:
    """A scaler with one query."""
    return of.scaled(of.prometheus(query, kind=kind))


@pytest.mark.parametrize(
    "query",
    [
        f"avg({W})",
        f"max({W})",
        f"quantile(0.9, {W})",
        f"avg({KV})",
        f"avg({KV}) * 100 or vector(0)",
        f"max_over_time(avg({KV})[5m:])",
        f"avg(sum by (pod) ({W}))",
        f"sum({W}) / count({W})",
        f"histogram_quantile(0.95, sum by (le) ({BUCKET}))",
        "avg(DCGM_FI_DEV_GPU_UTIL)",
    ],
)
@pytest.mark.parametrize("kind", [None, "AverageValue"])
def test_average(query: str, kind: str | None) -> None:
    """AverageValue, which is the default, divides a value per pod again."""
    (one,) = found([of.deployment(), trigger(query, kind)], "S03")

    assert one.path == TYPE
    assert ("the default" in one.problem.sentence()) is (kind is None)
    assert one.fix is not None
    assert one.fix.edits[0].value == "Value"


@pytest.mark.parametrize(
    "query", [f"sum({W})", f"sum({W}) + sum({W})", f"ceil(sum({W})) or vector(0)", f"sum({KV})"]
)
def test_total(query: str) -> None:
    """Value does not divide a total."""
    (one,) = found([of.deployment(), trigger(query, "Value")], "S03")

    assert one.path == TYPE
    assert "each scale-up asks for the next one" in one.problem.sentence()


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        (W, "sum(...)"),
        (f"{W} * 2", "sum(...)"),
        (f"{W} or vector(0)", "sum(...)"),
        (KV, "avg(...)"),
        (f"sum by (pod) ({W})", "sum(...)"),
        (f"sum without (engine) ({W})", "sum(...)"),
        (f"topk(2, {W})", "sum(...)"),
        (f"histogram_quantile(0.95, {BUCKET})", "avg(...)"),
    ],
)
def test_several(query: str, advice: str) -> None:
    """KEDA accepts one series only, whatever the type."""
    (one,) = found([of.deployment(), trigger(query, "Value")], "S03")

    assert one.path == QUERY
    assert advice in one.problem.sentence()
    assert (one.fix is not None) is (query in (W, KV))


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        (f"sum({W})", None),
        (f"sum({W}) or vector(0)", "AverageValue"),
        (f"sum({KV})", "AverageValue"),
        (f"sum by (model_name) ({W})", None),
        (f"sum by (model_name) ({W}) > 0", None),
        (f"avg({KV})", "Value"),
        (f"histogram_quantile(0.95, sum by (le, model_name) ({BUCKET}))", "Value"),
        (f"avg({W}) * count({W})", None),
        # Of a router, whose replicas may all report the same total.
        ("max(vllm:current_qps)", None),
        ("avg(gateway_queue)", None),
        ("gateway_queue", None),
        (f"sum({W}) / scalar(sum(kube_deployment_status_replicas))", "Value"),
        (f"avg({W}) + gateway_queue", None),
        ("avg(vllm:own)", None),
        ("sum(", None),
        (f'{W[:-1]},pod="qwen-0"}}', None),
    ],
)
def test_quiet(query: str, kind: str | None) -> None:
    """Right pairs, series of others, and what is not sure."""
    recorded = of.rules(**{"vllm:own": "sum(up)"})

    assert said(of.deployment(), trigger(query, kind), recorded) == ""


def test_one_replica() -> None:
    """With at most one replica there is one series, and nothing to divide by."""
    for query in (W, f"avg({W})"):
        one = of.scaled(of.prometheus(query), maxReplicaCount=1)
        assert said(of.deployment(), one) == ""


def test_models() -> None:
    """A series for each model is one series where there is one model."""
    query = trigger("sum by (model_name) (vllm:num_requests_waiting)")
    coder = of.deployment(name="coder", model="coder")

    assert said(of.deployment(), query) == ""
    (one,) = found([of.deployment(), coder, query], "S03")
    assert one.level == "warning"
    narrow = trigger('sum by (model_name) (vllm:num_requests_waiting{job="qwen"})')
    assert said(of.deployment(), coder, narrow) == ""


def test_formula() -> None:
    """A formula compares the value of all triggers, but each of them has one series."""
    modifiers = {"scalingModifiers": {"formula": "a + b", "target": "1"}}
    good = of.scaled(of.prometheus(f"avg({W})"), advanced=modifiers)
    several = of.scaled(of.prometheus(W), advanced=modifiers)
    wrong = of.scaled(advanced={"scalingModifiers": {**modifiers, "metricType": "Average"}})

    assert said(of.deployment(), good) == ""
    assert "a series for each pod" in said(of.deployment(), several)
    assert "scalingModifiers.metricType: metricType is 'Average'" in said(wrong)


@pytest.mark.parametrize(
    ("kind", "given", "is_right"),
    [
        ("prometheus", "Average", False),
        ("prometheus", "Utilization", False),
        ("prometheus", "averagevalue", False),
        ("cron", "Utilization", False),
        ("kafka", "Value", True),
        ("cpu", "Utilization", True),
        ("cpu", "Value", False),
        ("memory", "AverageValue", True),
        ("prometheus", 3, True),
    ],
)
def test_types(kind: str, given: object, *, is_right: bool) -> None:
    """A type that the trigger does not have; what is no string is another rule's."""
    one = of.scaled({"type": kind, "metricType": given, "metadata": {}})

    assert (said(one) == "") is is_right


def test_hpa() -> None:
    """An HPA compares metrics of pods as averages, and those of others by both types."""
    text = said(of.hpa(of.pods("x", kind="Value")))

    assert "spec.metrics.0.pods.target.type: target.type is 'Value'" in text
    assert said(of.hpa(of.pods("x"), of.external("y", kind="Value"), of.cpu())) == ""
    assert "'Utilization'" in said(of.hpa(of.external("y", kind="Utilization")))


def test_namespace() -> None:
    """The default of an adapter is a total over the namespace."""
    name = "vllm_num_requests_waiting"
    (one,) = found([of.hpa(of.of_namespace(name))], "S03")

    assert (one.level, "metricsQuery" in one.problem.sentence()) == ("warning", True)
    for metric in (
        of.of_namespace(name, kind="AverageValue"),
        of.of_namespace("vllm_kv_cache_usage_perc"),
        of.of_namespace("requests"),
        of.external(name, kind="Value"),
    ):
        assert said(of.hpa(metric)) == ""


def test_adapter() -> None:
    """With the adapter at hand, its query decides."""
    adapter = of.config("config.yaml", of.ADAPTER)
    total, mean = "vllm_num_requests_waiting", "kv_usage_perc"

    (one,) = found([adapter, of.hpa(of.of_namespace(total))], "S03")
    assert (one.level, "a total" in one.problem.sentence()) == ("error", True)
    assert "a total" in said(adapter, of.hpa(of.external("vllm_running", kind="Value")))
    for metric in (of.of_namespace(total, kind="AverageValue"), of.of_namespace(mean)):
        assert said(adapter, of.hpa(metric)) == ""


def test_kserve() -> None:
    """KServe makes a ScaledObject of its query."""
    assert "a series for each pod" in said(of.kserve("vllm:num_requests_running"))
    assert "target.type is Value" in said(of.kserve("sum(vllm:num_requests_running)"))
    assert said(of.kserve("sum(vllm:num_requests_running)", "AverageValue")) == ""
    assert said(of.kserve("vllm:num_requests_running", maxReplicas=1)) == ""
