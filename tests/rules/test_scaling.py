"""Rules S05, S07, S09 and S10: owners of replicas, CPU, statistics and addresses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules import scaled as of
from tests.rules.findings import found, sentences

WAITING = of.prometheus(of.WAITING)


def said(rule: str, *objects: dict[str, Any]) -> str:
    """All findings of a rule as one text."""
    return "\n".join(sentences(objects, rule))


def test_replicas() -> None:
    """Replicas of a target that a scaler has are reset by each apply."""
    for scaler in (of.scaled(WAITING), of.hpa(of.cpu())):
        (one,) = found([of.deployment(replicas=2), scaler], "S05")
        assert (one.manifest.kind, one.path) == ("Deployment", ("spec", "replicas"))
        assert one.problem.sentence().startswith(f"replicas is set, and {scaler['kind']} llm/qwen")
    group = of.deployment(kind="LeaderWorkerSet", replicas=1)
    reference = {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet"}
    scaler = of.scaled(WAITING, scaleTargetRef={**reference, "name": "qwen"})
    assert "to 1" in said("S05", group, scaler)


def test_replicas_quiet() -> None:
    """Objects of a cluster, pauses, fixed numbers and other targets are no mistake."""
    live = of.deployment(replicas=3)
    live["metadata"]["uid"] = "1-2"
    paused = of.scaled(WAITING, annotations={"autoscaling.keda.sh/paused": "true"})
    elsewhere = of.scaled(WAITING)
    elsewhere["metadata"]["namespace"] = "other"
    for objects in (
        [live, of.scaled(WAITING)],
        [of.deployment(replicas=2), of.hpa(of.cpu(), minReplicas=2, maxReplicas=2)],
        [of.deployment(replicas=2), paused],
        [of.deployment(replicas=2), elsewhere],
        [of.deployment(replicas=2), of.scaled(WAITING, target="other")],
        [of.deployment(), of.scaled(WAITING)],
        [of.deployment(replicas=2)],
        [of.deployment(replicas="{{ .replicas }}"), of.scaled(WAITING)],
    ):
        assert said("S05", *objects) == ""


def other(kind: str, version: str, **annotations: str) -> dict[str, Any]:
    """A scaler of another project."""
    metadata = {"name": "other", "namespace": "llm", "annotations": annotations}
    reference = {"scaleTargetRef": {"name": "qwen"}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": reference}


def test_two() -> None:
    """Two scalers of one target undo each other."""
    for second in (
        of.hpa(of.cpu()),
        of.scaled(WAITING, name="second"),
        other("PodAutoscaler", "autoscaling.aibrix.ai/v1alpha1"),
        other("HTTPScaledObject", "http.keda.sh/v1alpha1"),
    ):
        (one,) = found([of.scaled(WAITING), second], "S05")
        assert one.path == ("spec", "scaleTargetRef")
        assert "scales too" in one.problem.sentence()


def test_two_quiet() -> None:
    """One scaler twice, the HPA that KEDA makes or takes over, and those of other targets."""
    config = {"horizontalPodAutoscalerConfig": {"name": "qwen"}}
    transfer = {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}
    paused = of.scaled(WAITING, name="b", annotations={"autoscaling.keda.sh/paused-replicas": "1"})
    elsewhere = of.hpa(of.cpu())
    elsewhere["metadata"]["namespace"] = "other"
    skipped = {"httpscaledobject.keda.sh/skip-scaledobject-creation": "true"}
    for second in (
        of.scaled(WAITING),
        of.hpa(of.cpu(), name="keda-hpa-qwen"),
        of.hpa(of.cpu(), target="other"),
        elsewhere,
        paused,
        other("HTTPScaledObject", "http.keda.sh/v1alpha1", **skipped),
        other("PodAutoscaler", "example.com/v1"),
    ):
        assert said("S05", of.scaled(WAITING), second) == ""
    taken = of.scaled(WAITING, annotations=transfer, advanced=config)
    assert said("S05", taken, of.hpa(of.cpu())) == ""
    assert (
        said("S05", of.hpa(of.cpu(), scaleTargetRef={}), of.hpa(name="b", scaleTargetRef=3)) == ""
    )


CPU = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}
MEMORY = {"type": "memory", "metricType": "Utilization", "metadata": {"value": "70"}}


def test_cpu() -> None:
    """The CPU says little of a GPU, and memory nothing."""
    old = of.hpa() | {"apiVersion": "autoscaling/v1"}
    old["spec"] |= {"metrics": None, "targetCPUUtilizationPercentage": 80}
    for scaler, where in (
        (of.hpa(of.cpu()), "spec.metrics: metrics is CPU alone"),
        (of.hpa(), "spec.metrics: metrics is CPU alone"),
        (old, "spec.metrics: metrics is CPU alone"),
        (of.scaled(CPU), "spec.triggers: triggers is CPU alone"),
        (of.scaled(CPU, MEMORY), "triggers is CPU and memory alone"),
        (of.scaled(CPU, of.cron()), "triggers is CPU alone"),
    ):
        assert where in said("S07", of.deployment(), scaler)


def test_cpu_quiet() -> None:
    """Engines on CPUs, other signals, times, and targets that are not known."""
    on_cpus = of.deployment(image="vllm/vllm-openai-cpu:v0.33.0")
    on_cpus["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": 8}}
    for objects in (
        [on_cpus, of.hpa(of.cpu())],
        [of.deployment(), of.hpa(of.cpu(), of.pods("vllm_num_requests_waiting"))],
        [of.deployment(), of.scaled(CPU, WAITING)],
        [of.deployment(), of.scaled(of.cron())],
        [of.deployment(), of.hpa(of.external("gpu"))],
        [of.hpa(of.cpu())],
    ):
        assert said("S07", *objects) == ""


SILENT = "--disable-log-stats"


@pytest.mark.parametrize(
    ("reader", "level"),
    [
        (of.scaled(WAITING), "error"),
        (of.hpa(of.pods("vllm_num_requests_waiting")), "error"),
        (of.rules(f"{of.WAITING} > 5"), "error"),
        (of.rules("sum(vllm:num_requests_waiting) > 5"), "error"),
        (of.monitor(), "warning"),
    ],
)
def test_statistics(reader: dict[str, Any], level: str) -> None:
    """Without statistics there are no metrics to read."""
    (one,) = found([of.deployment(SILENT), reader], "S09")

    container = ("spec", "template", "spec", "containers", 0)
    assert (one.level, one.path) == (level, (*container, "args", 3))
    assert f"which {reader['kind']} llm/qwen read" in one.problem.sentence()
    assert one.fix is not None


def test_statistics_forms() -> None:
    """The flag may be spelt otherwise, stand in a script, or come from a file."""
    for words in (["--disable_log_stats"], ["--max-model-len", "1024", SILENT]):
        assert "S09" in said("S09", of.deployment(*words), of.scaled(WAITING))
    script = of.deployment()
    container = script["spec"]["template"]["spec"]["containers"][0]
    container |= {"command": ["sh", "-c"], "args": [f"vllm serve a/b {SILENT}"]}
    (one,) = found([script, of.scaled(WAITING)], "S09")
    assert one.fix is None


def test_statistics_quiet() -> None:
    """Nothing reads the metrics, or it reads those of others."""
    other_rule = of.rules('vllm:num_requests_waiting{model_name="other"} > 1')
    for objects in (
        [of.deployment(SILENT)],
        [of.deployment(), of.scaled(WAITING), of.monitor()],
        [of.deployment(SILENT), of.hpa(of.cpu()), of.scaled(of.cron())],
        [of.deployment(SILENT), of.scaled(WAITING, target="other"), other_rule],
    ):
        assert said("S09", *objects) == ""


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("http://prometheus:9090", "'http://prometheus.<namespace>.svc:9090'"),
        ("http://prometheus", "'http://prometheus.<namespace>.svc'"),
        ("https://thanos-query:10902/api?x=1", "'https://thanos-query.<namespace>.svc:10902"),
    ],
)
def test_address(address: str, advice: str) -> None:
    """KEDA looks a short name up in its own namespace."""
    scaler = of.scaled(of.prometheus(of.WAITING, serverAddress=address))
    (one,) = found([scaler], "S10")

    assert (one.level, one.path[-1]) == ("warning", "serverAddress")
    assert advice in one.problem.sentence()
    assert one.fix is None


def test_address_of_service() -> None:
    """A Service of the manifests gives the namespace."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "prometheus", "namespace": "monitoring"},
    }
    scaler = of.scaled(of.prometheus(of.WAITING, serverAddress="http://prometheus:9090"))
    (one,) = found([service, scaler], "S10")

    assert one.fix is not None
    assert one.fix.edits[0].value == "http://prometheus.monitoring.svc:9090"
    service["metadata"] = {"name": "prometheus", "namespace": "keda"}
    assert said("S10", service, scaler) == ""


@pytest.mark.parametrize(
    "address",
    [
        of.SERVER,
        "http://prometheus.monitoring:9090",
        "https://prometheus.example.com",
        "http://10.0.0.1:9090",
        "http://[fd00::1]:9090",
        "http://localhost:9090",
        "{{ .Values.prometheus }}",
        "http://${PROMETHEUS}:9090",
        "$(PROMETHEUS)",
        "",
        3,
    ],
)
def test_address_quiet(address: object) -> None:
    """Addresses with a namespace or domain, numbers and templates resolve, or are not known."""
    assert said("S10", of.scaled(of.prometheus(of.WAITING, serverAddress=address))) == ""


def test_address_of_keda() -> None:
    """Beside KEDA's operator a short name is right."""
    scaler = of.scaled(of.prometheus(of.WAITING, serverAddress="http://prometheus:9090"))
    scaler["metadata"]["namespace"] = "keda"

    assert said("S10", scaler) == ""
