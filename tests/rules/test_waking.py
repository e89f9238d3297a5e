"""Rule S04: what ends scale to zero."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules import scaled as of
from tests.rules.findings import found, ids, sentences

ROUTER = 'sum(rate(vllm:num_incoming_requests_total{model="qwen-7b"}[1m]))'
CPU = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}


def said(*objects: dict[str, Any]) -> str:
    """All findings of S04 as one text."""
    return "\n".join(sentences(objects, "S04"))


def to_zero(*triggers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A scaler that may go to zero."""
    return of.scaled(*triggers, minReplicaCount=0, **more)


@pytest.mark.parametrize(
    "triggers",
    [
        (of.prometheus(of.WAITING),),
        (of.prometheus(of.WAITING), of.prometheus(of.USAGE, kind="Value")),
        (of.prometheus(f"{of.WAITING} or vector(0)"),),
        (of.prometheus("sum(vllm:num_requests_waiting)"),),
        (of.prometheus('sum(vllm:num_requests_waiting{pod=~"qwen-.*"})'),),
        (of.prometheus('avg(DCGM_FI_DEV_GPU_UTIL{pod=~"qwen-.*"})'),),
        (of.prometheus(of.WAITING), CPU),
        (CPU,),
        (of.prometheus("vllm:queue"),),
        ({"type": "metrics-api", "metadata": {"valueLocation": "vllm:num_requests_waiting"}},),
    ],
)
def test_sleeps(triggers: tuple[dict[str, Any], ...]) -> None:
    """Nothing reports requests of a model without pods."""
    recorded = of.rules(**{"vllm:queue": of.WAITING})
    (one,) = found([of.deployment(), to_zero(*triggers), recorded], "S04")

    assert (one.level, one.path) == ("error", ("spec", "minReplicaCount"))
    assert one.problem.sentence().startswith("minReplicaCount is 0, but all triggers")


@pytest.mark.parametrize(
    "trigger",
    [
        of.cron(),
        of.prometheus(ROUTER),
        of.prometheus(f"{of.WAITING} + {ROUTER}"),
        of.prometheus('sum(vllm:num_requests_waiting{server="http://qwen"})'),
        of.prometheus("sum(rate(gateway_requests[1m]))"),
        of.prometheus("absent(vllm:num_requests_running)"),
        of.prometheus(f"{of.WAITING} or vector(1)"),
        of.prometheus("vector(1)"),
        of.prometheus("vllm:queue"),
        of.prometheus("vllm:other:rule"),
        # Of another engine, and what is not parsed.
        of.prometheus('sum(vllm:num_requests_waiting{model_name="small"})'),
        of.prometheus("sum(vllm:num_requests_waiting) default 0"),
        {"type": "kafka", "metadata": {}},
        {"type": "external-push", "metadata": {}},
        {"type": "metrics-api", "metadata": {"valueLocation": "queue.length"}},
    ],
)
def test_wakes(trigger: dict[str, Any]) -> None:
    """One trigger that works without the pods is enough."""
    recorded = of.rules(**{"vllm:queue": "sum(gateway_queue)"})
    scaler = to_zero(of.prometheus(of.WAITING), trigger)

    assert said(of.deployment(), scaler, recorded) == ""


def test_minimum() -> None:
    """A minimum that is left out is 0, and an idle count of 0 too."""
    trigger = of.prometheus(of.WAITING)
    default = of.scaled(trigger, minReplicaCount=None)
    idle = of.scaled(trigger, idleReplicaCount=0)

    assert "is left out, which means 0" in said(of.deployment(), default)
    assert "S06" not in ids([of.deployment(), default], "S04", "S06")
    assert "spec.idleReplicaCount" in said(of.deployment(), idle)
    forced = {"autoscaling.keda.sh/force-activation": "true"}
    for quiet in (
        of.scaled(trigger),
        of.scaled(trigger, minReplicaCount="${MIN}"),
        to_zero(trigger, annotations=forced),
        to_zero(),
    ):
        assert said(of.deployment(), quiet) == ""


def test_target() -> None:
    """Metrics of vLLM may be of others where no engine of the manifests is the target."""
    (one,) = found([to_zero(of.prometheus(of.WAITING))], "S04")

    assert one.level == "warning"
    assert said(to_zero(CPU)) == ""
    assert said(to_zero(of.prometheus("sum(gateway_requests)"))) == ""


def test_other_engines() -> None:
    """Another workload of the model, or any other one, may report the requests."""
    decode = of.deployment(name="decode")
    coder = of.deployment(name="coder", model="coder")
    own = to_zero(of.prometheus(of.WAITING))
    all_models = to_zero(of.prometheus("sum(vllm:num_requests_waiting)"))
    by_job = to_zero(of.prometheus('sum(vllm:num_requests_waiting{job="qwen"})'))

    assert said(of.deployment(), decode, own) == ""
    assert said(of.deployment(), coder, all_models) == ""
    assert said(of.deployment(), coder, own) != ""
    assert said(of.deployment(), coder, by_job) != ""


def test_hpa() -> None:
    """An HPA needs a metric that is not of the pods."""
    waiting = "vllm_num_requests_waiting"
    for metrics in (
        [of.pods(waiting)],
        [of.pods(waiting), of.cpu()],
        [of.external(waiting), of.cpu()],
        [of.of_namespace(waiting)],
    ):
        assert "minReplicas is 0" in said(of.deployment(), of.hpa(*metrics, minReplicas=0))
    for good in (of.external("gateway_requests"), of.external("vllm_current_qps")):
        assert said(of.deployment(), of.hpa(of.pods(waiting), good, minReplicas=0)) == ""
    assert said(of.deployment(), of.hpa(of.pods(waiting))) == ""


def test_kserve() -> None:
    """KServe takes a minimum of 0 as well."""
    query = "sum(vllm:num_requests_running)"

    assert "spec.predictor.minReplicas" in said(of.kserve(query, minReplicas=0))
    assert said(of.kserve(query)) == ""
