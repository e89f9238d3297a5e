"""Rule S08: units of thresholds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rules import scaled as of
from tests.rules.findings import found, sentences

KV = 'avg(vllm:kv_cache_usage_perc{model_name="qwen-7b"})'
QUANTILE = "histogram_quantile(0.95, sum by (le) (rate(vllm:{}_seconds_bucket[5m])))"


def said(*objects: dict[str, Any]) -> str:
    """All findings of S08 as one text."""
    return "\n".join(sentences(objects, "S08"))


@pytest.mark.parametrize(
    ("query", "threshold", "right"),
    [
        (KV, "70", "0.7"),
        (KV, 70, "0.7"),
        (KV, "85.5", "0.855"),
        (KV, "80%", "0.8"),
        (f"{KV} or vector(0)", "70", "0.7"),
        ("sum(vllm:kv_cache_usage_perc)", "70", "0.7"),
        ("avg(vllm:gpu_cache_usage_perc)", "70", "0.7"),
        (f"{KV} * 100", "0.8", "80"),
        (f"100 * {KV}", "80%", "80"),
        ("avg(DCGM_FI_DEV_GPU_UTIL)", "0.8", "80"),
        ("avg(DCGM_FI_PROF_GR_ENGINE_ACTIVE)", "80", "0.8"),
    ],
)
def test_ratio(query: str, threshold: object, right: str) -> None:
    """Percent for a ratio, and a ratio for percent."""
    (one,) = found([of.scaled(of.prometheus(query, threshold, "Value"))], "S08")

    assert one.level == "error"
    assert one.path == ("spec", "triggers", 0, "metadata", "threshold")
    assert f"write {right}." in one.problem.sentence()
    assert one.fix is not None
    assert one.fix.edits[0].value == right


def test_too_large() -> None:
    """A number that is no percentage either has no right value."""
    (one,) = found([of.scaled(of.prometheus(KV, "500", "Value"))], "S08")

    assert "write a number up to 1." in one.problem.sentence()
    assert one.fix is None


@pytest.mark.parametrize(
    ("query", "threshold"),
    [
        (KV, "0.7"),
        (KV, "1"),
        (f"{KV} * 100", "70"),
        (f"{KV} * 100", "1"),
        ("avg(DCGM_FI_DEV_GPU_UTIL)", "80"),
        (of.WAITING, "70"),
        (f"{of.WAITING} / 2", "0.5"),
        ("avg(gateway_usage_perc)", "70"),
        (KV, "${THRESHOLD}"),
        (KV, None),
        (KV, []),
        (KV, True),
        (QUANTILE.format("time_to_first_token"), "2"),
        (QUANTILE.format("e2e_request_latency"), "900"),
        (QUANTILE.format("inter_token_latency") + " * 1000", "50"),
        ("sum(", "70"),
    ],
)
def test_quiet(query: str, threshold: object) -> None:
    """Right units, other metrics and what is not known."""
    assert said(of.scaled(of.prometheus(query, threshold, "Value"))) == ""


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("time_to_first_token", "2000"),
        ("inter_token_latency", "50"),
        ("e2e_request_latency", "5000"),
    ],
)
def test_seconds(name: str, threshold: str) -> None:
    """Milliseconds for seconds."""
    (one,) = found([of.scaled(of.prometheus(QUANTILE.format(name), threshold, "Value"))], "S08")

    assert one.level == "warning"
    assert f"but vllm:{name}_seconds is in seconds" in one.problem.sentence()


def test_activation() -> None:
    """An activation is in the same unit; that of a total counts for all replicas."""
    wrong = of.prometheus(KV, "0.8", "Value", activationThreshold="10")
    total = of.prometheus("sum(vllm:kv_cache_usage_perc)", "0.8", activationThreshold="2")

    assert "metadata.activationThreshold: activationThreshold is '10'" in said(of.scaled(wrong))
    assert said(of.scaled(total)) == ""


def test_late_activation() -> None:
    """An activation above the threshold holds a model at 0."""
    late = of.prometheus(of.WAITING, "5", activationThreshold="10")
    (one,) = found([of.scaled(late, of.cron(), minReplicaCount=0)], "S08")

    assert one.level == "warning"
    assert "KEDA keeps 0 replicas" in one.problem.sentence()
    assert said(of.scaled(late)) == ""
    early = of.prometheus(of.WAITING, "5", activationThreshold="1")
    assert said(of.scaled(early, minReplicaCount=0)) == ""


@pytest.mark.parametrize("value", [0.7, "0.7", "70%", 1])
def test_utilization(value: object) -> None:
    """Utilization is in whole percent."""
    (one,) = found([of.hpa(of.cpu(value))], "S08")

    assert one.path == ("spec", "metrics", 0, "resource", "target", "averageUtilization")
    assert ("write 70" in one.problem.sentence()) is (value != 1)
    assert (one.level, one.fix is None) == (("warning", True) if value == 1 else ("error", False))


def test_utilization_of_others() -> None:
    """autoscaling/v1 and KEDA have it under other names."""
    old = of.hpa() | {"apiVersion": "autoscaling/v1"}
    old["spec"] |= {"metrics": None, "targetCPUUtilizationPercentage": 0.8}
    trigger = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "0.8"}}

    assert "spec.targetCPUUtilizationPercentage: " in said(old)
    assert "write 80" in said(of.scaled(trigger))
    trigger["metadata"] = {"value": "80"}
    assert said(of.scaled(trigger)) == ""
    assert said(of.hpa(of.cpu(70))) == ""


def test_cpus() -> None:
    """Without a type, KEDA takes the value for an amount of CPU."""
    text = said(of.scaled({"type": "cpu", "metadata": {"value": "70"}}))

    assert "value '70' means 70 CPUs for each pod" in text
    for metadata in ({"value": "2"}, {"value": "500m"}, {"value": "70", "type": "Utilization"}):
        assert said(of.scaled({"type": "cpu", "metadata": metadata})) == ""


@pytest.mark.parametrize(
    ("name", "value", "is_right"),
    [
        ("vllm_kv_cache_usage_perc", "80", False),
        ("vllm:kv_cache_usage_perc", 80, False),
        ("prometheus.googleapis.com|vllm:kv_cache_usage_perc|gauge", 80, False),
        ("vllm_kv_cache_usage_perc", "800m", True),
        ("vllm_kv_cache_usage_perc", "0.8", True),
        ("vllm_num_requests_waiting", "80", True),
        ("gpu_utilization", "80", True),
    ],
)
def test_hpa(name: str, value: object, *, is_right: bool) -> None:
    """The name of an HPA's metric tells a ratio."""
    assert (said(of.hpa(of.pods(name, value))) == "") is is_right


def test_adapter() -> None:
    """An adapter of the manifests may multiply."""
    adapter = of.config("config.yaml", of.ADAPTER)

    assert said(adapter, of.hpa(of.pods("kv_usage_perc", "80"))) == ""
    assert "write 80" in said(adapter, of.hpa(of.pods("kv_usage_perc", "0.8")))


def test_aibrix() -> None:
    """AIBrix compares the ratio as it is."""

    def scaler(metric: str, value: Any) -> dict[str, Any]:
        source = {"metricSourceType": "pod", "targetMetric": metric, "targetValue": value}
        version = "autoscaling.aibrix.ai/v1alpha1"
        spec = {"metricsSources": [source]}
        return {"apiVersion": version, "kind": "PodAutoscaler", "metadata": {}, "spec": spec}

    assert "targetValue is '50'" in said(scaler("gpu_cache_usage_perc", "50"))
    assert "write a number up to 1" in said(scaler("vllm:kv_cache_usage_perc", 500))
    for good in (
        scaler("gpu_cache_usage_perc", "0.5"),
        scaler("queue", "50"),
        scaler("x_perc", []),
    ):
        assert said(good) == ""


def test_comparisons() -> None:
    """Alerts, queries and dashboards compare too."""
    board = json.dumps({"panels": [{"expr": "vllm:kv_cache_usage_perc > 90"}]})
    objects = [
        of.rules("vllm:kv_cache_usage_perc > 90", "95 <= avg(vllm:kv_cache_usage_perc)"),
        of.scaled(of.prometheus("count(vllm:kv_cache_usage_perc > 80)")),
        of.config("x.json", board),
    ]
    assert [(one.manifest.kind, one.level) for one in found(objects, "S08")] == [
        ("PrometheusRule", "error"),
        ("PrometheusRule", "error"),
        ("ScaledObject", "error"),
        ("ConfigMap", "warning"),
    ]
    good = ("vllm:kv_cache_usage_perc > 0.9", "vllm:kv_cache_usage_perc * 100 > 90")
    assert said(of.rules(*good, "DCGM_FI_DEV_GPU_UTIL < 0.5")) == ""
