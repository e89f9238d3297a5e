"""Scalers: three kinds in one shape."""

from __future__ import annotations

from typing import Any

from tests.rules import scaled as of
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.scalers import Scaler, scalers


def one(*objects: dict[str, Any]) -> Scaler:
    """The only scaler of manifests."""
    (found,) = scalers(Graph(objects))
    return found


def test_keda() -> None:
    """A ScaledObject has triggers with queries, thresholds and KEDA's default of a type."""
    scaler = one(
        of.deployment(),
        of.scaled(of.prometheus(of.WAITING), of.prometheus(of.USAGE, kind="Value"), of.cron()),
    )
    first, second, third = scaler.triggers

    assert (scaler.low, scaler.high, scaler.is_keda) == (1, 4, True)
    assert scaler.reference == ("llm", "Deployment", "qwen")
    assert [engine.manifest.name for engine in scaler.engines] == ["qwen"]
    assert (first.query, first.threshold, first.metric_type) == (of.WAITING, "5", "AverageValue")
    assert first.query_path == ("spec", "triggers", 0, "metadata", "query")
    assert first.threshold_path == ("spec", "triggers", 0, "metadata", "threshold")
    assert second.metric_type == "Value"
    assert second.type_path == ("spec", "triggers", 1, "metricType")
    assert (third.kind, third.query) == ("cron", None)
    assert repr(scaler) == "<scaler ScaledObject llm/qwen>"
    assert repr(third) == "<cron trigger >"


def test_metrics_api() -> None:
    """A trigger may read an engine's metrics without Prometheus."""
    metadata = {"valueLocation": "vllm:num_requests_waiting", "targetValue": "5", "url": "http://x"}
    scaler = one(of.scaled({"type": "metrics-api", "metadata": metadata}))

    assert scaler.triggers[0].query == "vllm:num_requests_waiting"
    assert scaler.triggers[0].threshold == "5"
    assert scaler.concerns_engines


def test_hpa() -> None:
    """An HPA has metrics of pods, objects, others and resources."""
    metrics = (of.pods("a", 5), of.of_namespace("b", 6), of.external("c", 7), of.cpu(70))
    scaler = one(of.hpa(*metrics))

    found = [(one.kind, one.name, one.metric_type, one.threshold) for one in scaler.triggers]
    assert found == [
        ("Pods", "a", "AverageValue", 5),
        ("Object", "b", "Value", 6),
        ("External", "c", "AverageValue", 7),
        ("Resource", "cpu", "Utilization", 70),
    ]
    assert scaler.triggers[0].name_path == ("spec", "metrics", 0, "pods", "metric", "name")
    assert scaler.triggers[3].reads_resources
    assert scaler.target is None
    assert scaler.engines == []
    assert not scaler.concerns_engines


def test_first_hpa() -> None:
    """autoscaling/v1 knows the CPU only."""
    body = of.hpa() | {"apiVersion": "autoscaling/v1"}
    body["spec"] = {"scaleTargetRef": {}, "maxReplicas": 3, "targetCPUUtilizationPercentage": 80}
    scaler = one(body)

    assert [(one.name, one.threshold) for one in scaler.triggers] == [("cpu", 80)]
    assert (scaler.low, scaler.high) == (None, 3)


def test_kserve() -> None:
    """An InferenceService scales itself, if it says by what."""
    scaler = one(of.kserve("vllm:num_requests_running"))

    assert (scaler.low, scaler.high) == (1, 5)
    assert scaler.target is scaler.manifest
    assert scaler.triggers[0].query == "vllm:num_requests_running"
    assert (scaler.triggers[0].metric_type, scaler.triggers[0].threshold) == ("Value", "2")
    assert scalers(Graph([of.kserve("x", autoScaling=None)])) == []


def test_made_by_keda() -> None:
    """The HPA that KEDA makes of a ScaledObject is no scaler of its own."""
    labelled, owned = of.hpa(), of.hpa()
    labelled["metadata"]["labels"] = {"scaledobject.keda.sh/name": "qwen"}
    owned["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "qwen"}]

    assert scalers(Graph([of.hpa(name="keda-hpa-qwen"), labelled, owned])) == []
    assert scalers(Graph([of.hpa() | {"apiVersion": "example.com/v1"}])) == []


def test_annotations() -> None:
    """Annotations pause a ScaledObject, or keep it active."""
    paused = "autoscaling.keda.sh/paused"
    for annotation in ({paused: "true"}, {f"{paused}-replicas": "0"}):
        assert one(of.scaled(annotations=annotation)).is_paused
    assert not one(of.scaled(annotations={paused: "false"})).is_paused
    assert one(of.scaled(annotations={"autoscaling.keda.sh/force-activation": "true"})).is_forced


def test_malformed() -> None:
    """Fields of any type are no reason to stop."""
    scaler = one(of.scaled({"type": None, "metadata": [], "metricType": 3}, minReplicaCount="1"))
    metric = {"type": "Pods", "pods": {"metric": {"name": 3}, "target": []}}

    assert (scaler.low, scaler.triggers[0].metric_type, scaler.triggers[0].query) == (None,) * 3
    assert one(of.hpa(metric)).triggers[0].name == ""
    assert one(of.scaled(triggers="x")).triggers == []
