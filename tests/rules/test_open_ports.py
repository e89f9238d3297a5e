"""Ports of pods: their names, and the numbers on which nothing listens."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.open_ports import named, silent, unnamed

from .builders import MODEL, engine, workload


def behind(*workloads: dict[str, Any]) -> Graph:
    """The graph of workloads."""
    return Graph(workloads)


def test_named() -> None:
    """A name is that of a port, or may be, where not all of the pod is here."""
    graph = behind(workload())
    assert named(graph.pods, "http")
    assert not named(graph.pods, "metrics")
    patch = workload()
    del patch["spec"]["selector"]
    assert named(behind(patch).pods, "metrics")


def test_unnamed() -> None:
    """The one name that there is is given."""
    graph = behind(workload(), workload("coder"))
    found = unnamed(graph.manifests[0], ("spec", "x"), "targetPort", "metrics", graph.pods)
    assert (
        "targetPort is 'metrics', and the pods of Deployment llm/coder and 1 more have no port of "
        "that name, so that nothing is sent to them; give 'http'."
    ) == found.problem.sentence()
    assert found.fix is not None


@pytest.mark.parametrize(
    ("pod", "number", "expected"),
    [
        (workload(), 8080, 1),
        (workload(), 8000, 0),
        (workload(), 0, 0),
        (workload("qwen", engine(ports=[{"containerPort": 8080}])), 8080, 0),
        (workload("qwen", engine(MODEL, "--port=9000", ports=[])), 9000, 0),
        (workload("qwen", engine(env=[{"name": "METRICS", "value": ":8080"}])), 8080, 0),
        (workload("qwen", engine(), {"name": "proxy", "image": "envoy"}), 8080, 0),
        (workload("qwen", engine(MODEL, "--data-parallel-size=2")), 8080, 0),
        (workload("qwen", engine(MODEL, "--port=$(PORT)")), 8080, 0),
    ],
)
def test_silent(pod: dict[str, Any], number: int, expected: int) -> None:
    """Nothing listens on a port that nothing mentions, if the engine is alone in its pod."""
    graph = behind(pod)
    engines = {id(one.pod): [one] for one in graph.engines}
    assert expected == len(silent(number, graph.pods, engines))
