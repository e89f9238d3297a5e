"""Workload: what points at the object that runs a model's pods."""

import re
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import parse_promql, validate
from vllm_constructs import (
    GpuPodSpec,
    Kubernetes,
    ModelSeries,
    PrometheusQuery,
    QueueDepth,
    Rollout,
    ScalingPace,
    WholeGpu,
)
from vllm_constructs.monitoring.alerts import model_alerts
from vllm_constructs.scaling import hpa, keda
from vllm_constructs.scaling.pace import Replicas
from vllm_constructs.workloads import deployment
from vllm_constructs.workloads.workload import (
    DEPLOYMENT,
    INSTANCE_LABEL,
    KINDS,
    NAME_LABEL,
    Workload,
    WorkloadKind,
    selector,
)

STATEFUL_SET = WorkloadKind(
    group="apps",
    version="v1",
    kind="StatefulSet",
    pod_template=("spec", "template"),
    replicas=("spec", "replicas"),
    replicas_series="kube_statefulset_replicas",
    series_label="statefulset",
    pod_names="{}-[0-9]+".format,
)
QWEN = Workload(name="qwen")
SET = Workload(name="qwen", kind=STATEFUL_SET)


@settings(max_examples=60, deadline=None)
@given(strategies.names())
def test_selector(name: str) -> None:
    """Pods are selected by the labels of this library and the workload's name, nothing else."""
    expected = {NAME_LABEL: "vllm", INSTANCE_LABEL: name}

    assert expected == selector(name) == Workload(name=name).selector
    assert {"app.kubernetes.io/name", "app.kubernetes.io/instance"} == set(expected)


def test_reference() -> None:
    """A scaler refers to a workload by version, kind and name."""
    assert {"apiVersion": "apps/v1", "kind": "Deployment", "name": "qwen"} == QWEN.reference()
    assert {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "qwen"} == SET.reference()


@pytest.mark.parametrize("length", [1, 20, 46, 47, 48, 57, 58, 63])
@pytest.mark.parametrize("digits", [8, 9, 10])
def test_pod_names(length: int, digits: int) -> None:
    """Pods are known by the name that Kubernetes gives them, however long the model's is."""
    name = "q" * length
    replica_set = f"{name}-{'7' * digits}"
    pod = f"{replica_set}-"[:58] + "x2b4z"
    pattern = Workload(name=name).pod_names

    assert re.fullmatch(pattern, pod)
    if length < 40:
        assert not re.fullmatch(pattern, f"{name}-coder-77777777-x2b4z")


@pytest.mark.parametrize(
    ("manifest", "kind", "expected"),
    [
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, DEPLOYMENT, True),
        ({"apiVersion": "apps/v1beta2", "kind": "Deployment"}, DEPLOYMENT, True),
        ({"apiVersion": "extensions/v1beta1", "kind": "Deployment"}, DEPLOYMENT, True),
        ({"kind": "Deployment"}, DEPLOYMENT, True),
        ({"apiVersion": "apps/v1", "kind": "StatefulSet"}, DEPLOYMENT, False),
        ({"apiVersion": "example.com/v1", "kind": "Deployment"}, DEPLOYMENT, False),
        ({"apiVersion": None, "kind": "Deployment"}, DEPLOYMENT, True),
        ({"apiVersion": 1, "kind": ["Deployment"]}, DEPLOYMENT, False),
        ({}, DEPLOYMENT, False),
        ({"apiVersion": "apps/v1", "kind": "StatefulSet"}, STATEFUL_SET, True),
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, STATEFUL_SET, False),
    ],
)
def test_kind_of(manifest: dict[str, Any], kind: WorkloadKind, *, expected: bool) -> None:
    """A manifest is of a kind by group and kind, in whatever version."""
    assert expected == kind.is_kind_of(manifest)


def test_kinds() -> None:
    """A Deployment is a kind that is known, and the default."""
    assert DEPLOYMENT in KINDS
    assert DEPLOYMENT == QWEN.kind


def test_other_kind() -> None:
    """Everything that points at a workload takes another kind from its `WorkloadKind` alone."""
    scaling: dict[str, Any] = {"target": SET, "pace": ScalingPace(), "startup": 900, "name": "qwen"}
    series = ModelSeries(namespace="llm", model_name="qwen")
    query = PrometheusQuery(
        name="waiting", query="sum(waiting)", threshold=1, metric_type="AverageValue"
    )
    scaler = hpa.manifest(
        **scaling,
        replicas=Replicas(scaler="HpaScaler", minimum=1, maximum=4),
        triggers=[QueueDepth(5)],
    )
    scaled = keda.manifest(
        **scaling,
        replicas=Replicas(scaler="KedaScaler", minimum=0, maximum=4, lowest=0),
        triggers=[query],
        series=series,
        prometheus="http://prometheus-operated.monitoring.svc:9090",
        polling_interval=None,
        cooldown=None,
        fallback=1,
    )

    assert SET.reference() == scaler["spec"]["scaleTargetRef"] == scaled["spec"]["scaleTargetRef"]
    alerts = model_alerts(series, job="qwen", workload=SET, startup=900)
    texts = [one.expression for one in alerts]
    metrics = {name for text in texts for name in parse_promql(text).metrics}
    assert "kube_statefulset_replicas" in metrics
    assert "kube_deployment_spec_replicas" not in metrics
    assert any("qwen-[0-9]+" in text for text in texts)
    assert not any(QWEN.pod_names in text for text in texts)


def test_deployment() -> None:
    """A Deployment has the name, the kind and the selector of its workload."""
    found = deployment.manifest(
        workload=QWEN,
        pod=GpuPodSpec(model="gpt2", gpu=WholeGpu("NVIDIA-L4")),
        replicas=1,
        rollout=Rollout(),
        labels={},
        annotations={},
        kubernetes=Kubernetes(),
        config_map_name=None,
        scrape_hints=True,
        root_path=None,
    )

    assert [] == validate(strategies.in_namespace(found))
    assert DEPLOYMENT.is_kind_of(found)
    metadata = {key: found[key] for key in ("apiVersion", "kind")}
    assert QWEN.reference() == metadata | {"name": found["metadata"]["name"]}
    assert {"matchLabels": QWEN.selector} == found["spec"]["selector"]
