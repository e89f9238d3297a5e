"""Readers: what reads the metrics of an engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rules import scaled as of
from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.readers import Readers


def readers(*objects: dict[str, Any]) -> tuple[list[str], str | None]:
    """The readers of the first engine."""
    graph = Graph([of.deployment(), *objects])
    return Readers(graph).of(graph.engines[0])


def pool(version: str, selector: dict[str, Any]) -> dict[str, Any]:
    """An InferencePool."""
    metadata = {"name": "pool", "namespace": "llm"}
    return {
        "apiVersion": f"inference.networking.{version}",
        "kind": "InferencePool",
        "metadata": metadata,
        "spec": {"selector": selector},
    }


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "qwen", "namespace": "llm", "labels": {"app": "qwen"}},
    "spec": {"selector": {"app": "qwen"}},
}


@pytest.mark.parametrize(
    "reader",
    [
        of.scaled(of.prometheus(of.WAITING)),
        of.hpa(of.pods("vllm_num_requests_waiting")),
        pool("k8s.io/v1", {"matchLabels": {"app": "qwen"}}),
        pool("x-k8s.io/v1alpha2", {"app": "qwen"}),
        of.rules(f"{of.WAITING} > 1"),
    ],
)
def test_deciding(reader: dict[str, Any]) -> None:
    """Scalers, endpoint pickers and alerts decide by metrics."""
    named, level = readers(reader)

    assert len(named) == 1
    assert level is None


def test_showing() -> None:
    """Monitors, dashboards and annotations only show them."""
    board = of.config("x.json", json.dumps({"panels": [{"expr": of.WAITING}]}))
    for objects in ([of.monitor()], [SERVICE, of.monitor("ServiceMonitor")], [board]):
        named, level = readers(*objects)
        assert (len(named), level) == (1, "warning")
    scraped = of.deployment()
    template = scraped["spec"]["template"]["metadata"]
    template["annotations"] = {"prometheus.io/scrape": "true"}
    graph = Graph([scraped])
    assert Readers(graph).of(graph.engines[0]) == (
        ["the annotation prometheus.io/scrape"],
        "warning",
    )


def test_none() -> None:
    """Readers of others are none of this engine's."""
    other = of.monitor(selector={"matchLabels": {"app": "other"}})
    for one in (
        of.scaled(of.prometheus("sum(gateway_requests)")),
        of.scaled(of.prometheus(of.WAITING), target="other"),
        of.hpa(of.cpu()),
        of.rules('vllm:num_requests_waiting{model_name="other"} > 1'),
        pool("k8s.io/v1", {"matchLabels": {"app": "other"}}),
        pool("k8s.io/v1", {}),
        other,
    ):
        assert readers(one)[0] == []
    alert = of.rules("vllm:num_requests_waiting > 1")
    assert readers(alert, of.deployment(name="coder", model="coder"))[0] == []
