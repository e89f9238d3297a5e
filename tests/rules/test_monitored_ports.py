"""Ports at which Prometheus asks for metrics; the tests of R09 have more of them."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.monitored_ports import monitored_ports

from .builders import made, workload

SERVICE = made(
    "Service",
    "qwen",
    {"selector": {"app": "qwen"}, "ports": [{"name": "api", "port": 80, "targetPort": "http"}]},
    labels={"app": "qwen"},
)


def monitor(kind: str, field: str, **endpoint: Any) -> dict[str, Any]:
    """A monitor of the model."""
    spec = {"selector": {"matchLabels": {"app": "qwen"}}, field: [endpoint]}
    return made(kind, "qwen", spec, api="monitoring.coreos.com/v1")


def sentences(*objects: dict[str, Any]) -> list[str]:
    """What is found in a model, its Service and other objects."""
    graph = Graph([workload(), SERVICE, *objects])
    engines = {id(one.pod): [one] for one in graph.engines}
    return [one.problem.sentence() for one in monitored_ports(graph, engines)]


@pytest.mark.parametrize(
    "one",
    [
        monitor("ServiceMonitor", "endpoints", port="http"),
        monitor("PodMonitor", "podMetricsEndpoints", port="api"),
        monitor("PodMonitor", "podMetricsEndpoints", port="8000"),
    ],
)
def test_bad(one: dict[str, Any]) -> None:
    """A ServiceMonitor names ports of Services, a PodMonitor those of containers."""
    assert 1 == len(sentences(one))


@pytest.mark.parametrize(
    "one",
    [
        monitor("ServiceMonitor", "endpoints", port="api"),
        monitor("PodMonitor", "podMetricsEndpoints", port="http"),
        monitor("PodMonitor", "podMetricsEndpoints", portNumber=8000),
    ],
)
def test_good(one: dict[str, Any]) -> None:
    """A port that is there."""
    assert [] == sentences(one)


def test_annotations() -> None:
    """A port in annotations is one on which the engine listens."""
    given = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    service = {**SERVICE, "metadata": {**SERVICE["metadata"], "annotations": given}}
    graph = Graph([workload(), service])
    engines = {id(one.pod): [one] for one in graph.engines}
    (found,) = monitored_ports(graph, engines)
    assert ("metadata", "annotations", "prometheus.io/port") == found.path
