"""The rule of PodDisruptionBudgets: R08."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.spelling import as_fields

from .builders import Manifest, budget, group, hpa, keda, made, workload
from .findings import found, ids, sentences

TWO = workload(replicas=2)


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([budget(minAvailable=2), TWO], "keeps 2 of at least 2 pods (replicas)"),
        ([budget(minAvailable=3), TWO], "keeps 3 of at least 2 pods"),
        ([budget(minAvailable="100%"), TWO], "minAvailable: 100% keeps 2 of at least 2"),
        ([budget(minAvailable="60%"), workload(replicas=1)], "keeps 1 of at least 1"),
        ([budget(minAvailable="51%"), TWO], "keeps 2 of at least 2"),
        (
            [budget(minAvailable=1), workload(replicas=2), hpa(high=4)],
            "(minReplicas of the HorizontalPodAutoscaler)",
        ),
        (
            [budget(minAvailable=2), workload(), keda(minReplicaCount=2, maxReplicaCount=9)],
            "raise minReplicaCount of the ScaledObject to 3 or more",
        ),
        ([budget(minAvailable=1), workload(kind="StatefulSet", replicas=1)], "keeps 1 of"),
        ([budget(minAvailable=4), group(replicas=2)], "keeps 4 of at least 4 pods"),
        ([budget(maxUnavailable=2), TWO], "allows the eviction of 2 of 2 pods"),
        ([budget(maxUnavailable="100%"), TWO], "which protects nothing"),
        (
            [
                budget(
                    minAvailable=2,
                    selector={
                        "matchExpressions": [{"key": "app", "operator": "In", "values": ["qwen"]}]
                    },
                ),
                TWO,
            ],
            "keeps 2 of at least 2",
        ),
    ],
)
def test_numbers(objects: list[Manifest], says: str) -> None:
    """A number that the pods of the manifests never or always meet."""
    [one] = found(objects, "R08")

    assert says in one.problem.sentence(as_fields)
    assert one.path[-1] in ("minAvailable", "maxUnavailable")


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"maxUnavailable": 0}, "maxUnavailable", "no eviction is allowed"),
        ({"maxUnavailable": "0%"}, "maxUnavailable", "no eviction is allowed"),
        ({"minAvailable": 0}, "minAvailable", "the budget protects nothing"),
        ({"minAvailable": 1, "maxUnavailable": 1}, "minAvailable", "has both"),
        ({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, "maxUnavailable", "has neither"),
        ({"minAvailable": "50"}, "minAvailable", "write 50 without quotes"),
        ({"minAvailable": "half"}, "minAvailable", "a percentage such as '50%'"),
        ({"maxUnavailable": "150%"}, "maxUnavailable", "more than all pods"),
        ({"maxUnavailable": -1}, "maxUnavailable", "the API server rejects it"),
    ],
)
def test_alone(fields: dict[str, Any], field: str, says: str) -> None:
    """What is wrong whatever pods there are."""
    [one] = found([budget(**fields)], "R08")

    assert field == one.path[-1]
    assert says in one.problem.sentence()


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ({}, "counts all pods of the namespace together"),
        ({"matchLabels": {}}, "counts all pods of the namespace together"),
    ],
)
def test_everything(selector: Any, says: str) -> None:
    """A selector of all pods."""
    [one] = found([budget(selector=selector)], "R08")

    assert ("spec", "selector") == one.path
    assert says in one.problem.sentence()


def test_no_selector() -> None:
    """No selector selects no pod, as in vLLM's own chart."""
    one = budget()
    del one["spec"]["selector"]

    assert "protects no pod" in sentences([one, TWO], "R08")[0]


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([budget(), TWO], "one of two may go"),
        ([budget(minAvailable=1), TWO], "one of two may go"),
        ([budget(minAvailable="50%"), TWO], "one of two may go"),
        ([budget(maxUnavailable="25%"), workload(replicas=4)], "one of four may go"),
        ([budget(), workload(replicas=1)], "it blocks nothing, and one pod cannot be protected"),
        ([budget(minAvailable=1), workload(), hpa(low=2)], "the autoscaler keeps two"),
        ([budget(minAvailable=1), workload(), keda(minReplicaCount=0)], "scaled to zero"),
        ([budget(minAvailable=1), workload()], "the replicas may be set elsewhere"),
        ([budget(minAvailable=1)], "pods of other manifests"),
        ([budget(minAvailable=2, selector={"matchLabels": {"app": "router"}}), TWO], "other pods"),
        (
            [
                budget(minAvailable=1, selector={"matchLabels": {"tier": "llm"}}),
                workload("a", labels={"tier": "llm", "app": "a"}, replicas=1),
                workload("b", labels={"tier": "llm", "app": "b"}, replicas=1),
            ],
            "one of both may go",
        ),
        ([budget(minAvailable=1), workload(kind="DaemonSet")], "a pod of each node"),
        ([budget(minAvailable=2), group(replicas=2)], "two groups of two"),
        (
            [
                budget(minAvailable=1),
                made("InferenceService", "qwen", {"predictor": {"minReplicas": 1}}),
            ],
            "pods of an operator",
        ),
    ],
)
def test_allowed(objects: list[Manifest], why: str) -> None:
    """Budgets that let pods go, or whose pods are not known."""
    assert [] == sentences(objects, "R08"), why


def test_other_workload() -> None:
    """A router's budget blocks a drain as an engine's does."""
    router = workload("router", {"name": "router", "image": "router:1"}, replicas=1)

    assert ["R08"] == ids([budget("router", minAvailable=1), router], "R08")
