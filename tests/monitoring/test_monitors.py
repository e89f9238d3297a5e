"""Monitors: they select what is there; and all that watches a model is valid."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid
from vllm_constructs import ModelSeries
from vllm_constructs.monitoring import alerts, dashboard, monitors
from vllm_constructs.workloads.workload import Workload

SELECTOR = {"app.kubernetes.io/instance": "qwen", "app.kubernetes.io/name": "vllm"}


def objects(series: ModelSeries, startup: int, labels: dict[str, str]) -> list[strategies.Manifest]:
    """Return everything that monitors a model."""
    workload = Workload(name="qwen")
    wanted = alerts.model_alerts(series, job="llm/qwen", workload=workload, startup=startup)
    options: Any = {"name": "qwen", "selector": SELECTOR, "interval": "15s", "labels": labels}
    found = [
        monitors.service_monitor(**options),
        monitors.pod_monitor(**options),
        alerts.prometheus_rule(name="qwen", labels=labels, model=series.model_name, alerts=wanted),
        dashboard.dashboard_config_map(name="qwen", series=series, folder=None),
        dashboard.dashboard_config_map(name="qwen", series=series, folder="Models & more"),
    ]
    return [strategies.in_namespace(one) for one in found]


def texts(value: Any) -> Iterator[str]:
    """Yield every text of a manifest."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@settings(max_examples=25, deadline=None)
@given(strategies.series(), st.integers(30, 86400), strategies.labels())
def test_validity(series: ModelSeries, startup: int, labels: dict[str, str]) -> None:
    """Every object is valid, and holds nothing that Helm would take for its own."""
    found = objects(series, startup, labels)

    assert_valid(*found)
    assert all(strategies.is_plain(one) for one in found)
    assert not [text for one in found for text in texts(one) if "{{" in text or "}}" in text]


def test_targets() -> None:
    """Monitors select by the labels that Service and pods carry, and by the port's name."""
    series = ModelSeries(namespace="llm", model_name="qwen")
    service, pods, *_ = objects(series, 900, {"release": "prometheus"})

    for one, endpoints in ((service, "endpoints"), (pods, "podMetricsEndpoints")):
        assert {"matchLabels": SELECTOR} == one["spec"]["selector"]
        expected = [{"port": "http", "path": "/metrics", "interval": "15s"}]
        assert expected == one["spec"][endpoints]
        assert {"release": "prometheus"} == one["metadata"]["labels"]


def test_refusals() -> None:
    """A monitor's name is one that Kubernetes takes."""
    sentence = strategies.refusal(
        lambda: monitors.pod_monitor(name="A_b", selector={}, interval="15s", labels={})
    )

    assert "ModelMonitor.name is 'A_b'" in sentence
    assert "'a-b'" in sentence
