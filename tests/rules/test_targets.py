"""What selectors select, and what was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.rules.targets import Targets, is_near, namespaces, selects_any

from .builders import made, service, workload


def pods(*objects: dict[str, Any]) -> Targets:
    """The pods of objects."""
    return Targets.pods(Graph(objects))


def test_selected() -> None:
    """Labels and expressions select in namespaces; a selector of no label selects nothing."""
    targets = pods(workload(), workload("coder"))
    expression = {"key": "app", "operator": "In", "values": ["coder", "x"]}

    assert ["qwen"] == [
        one.manifest.name for one in targets.selected({"matchLabels": {"app": "qwen"}}, ["llm"])
    ]
    assert ["coder"] == [
        one.manifest.name for one in targets.selected({"matchExpressions": [expression]}, [""])
    ]
    assert [] == targets.selected({"matchLabels": {"app": "qwen"}}, ["other"])
    assert [] == targets.selected({}, [""])
    assert [] == targets.selected({"matchLabels": {}}, [""])


def test_services() -> None:
    """Services by their own labels; those of Knative are none."""
    knative = made("Service", "qwen", {}, api="serving.knative.dev/v1", labels={"app": "qwen"})
    targets = Targets.services(Graph([service(), knative]))

    assert 1 == len(targets.selected({"matchLabels": {"app": "qwen"}}, ["llm"]))


@pytest.mark.parametrize(
    ("wanted", "labels", "near"),
    [
        ({"app": "vllm"}, {"app": "vllm"}, True),
        ({"app": "vllm"}, {"app": "vllm-server"}, True),
        ({"app": "qwen"}, {"app.kubernetes.io/name": "qwen"}, True),
        ({"release": "r"}, {"app.kubernetes.io/instance": "r"}, True),
        ({"app.kubernetes.io/nmae": "qwen"}, {"app.kubernetes.io/name": "qwen"}, True),
        ({"app": "qwen", "tier": "x"}, {"app": "qwen"}, False),
        ({"app": "redis"}, {"app": "vllm"}, False),
        ({"app": "server"}, {"app": "vllm"}, False),
        ({"app": "llama-7b"}, {"app": "llama-8b"}, False),
        ({"app": None}, {"app": "vllm"}, False),
    ],
)
def test_near(wanted: dict[str, Any], labels: dict[str, Any], *, near: bool) -> None:
    """Labels that others were meant to be."""
    assert near == is_near(wanted, labels)


def test_taken() -> None:
    """What another object selects already was not meant by a name alone."""
    targets = pods(workload("vllm-server"))
    by = Manifest(service("vllm"))

    for wanted in ({"app": "vllm"}, {"app": "x"}):
        assert targets.meant(by, wanted, ["llm"], lambda _: True)
        assert targets.meant(by, wanted, ["llm"], lambda _: False) is None
    assert targets.meant(by, {"app": "vllm-sever"}, ["llm"], lambda _: False)


def test_namespaces() -> None:
    """Those of a monitor are its own, some, or any."""
    for given, expected in (
        ({}, ["llm"]),
        ({"any": True}, [""]),
        ({"matchNames": ["a", "b"]}, ["a", "b"]),
    ):
        one = made("ServiceMonitor", "qwen", {"namespaceSelector": given})
        assert expected == namespaces(Manifest(one))


def test_any() -> None:
    """A selector of no label asks for none."""
    assert not any(map(selects_any, ({}, None, {"matchLabels": {}}, {"matchExpressions": []})))
    assert selects_any({"matchLabels": {"a": "b"}})
