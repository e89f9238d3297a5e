"""Series of the cluster: selected by labels that they have, and by names of pods."""

import re

import pytest

from tests import strategies
from vllm_constructs.metrics import cluster_series
from vllm_constructs.metrics.cluster_series import RESTARTS, UP, pods_like


def test_select() -> None:
    """A selector has texts that are equal, and patterns that match."""
    found = RESTARTS.select(like={"pod": "a-.*"}, namespace="llm")
    assert found == ('kube_pod_container_status_restarts_total{namespace="llm",pod=~"a-.*"}')


@pytest.mark.parametrize("length", [1, 20, 46, 47, 48, 57, 58, 63])
@pytest.mark.parametrize("digits", [8, 9, 10])
def test_pods(length: int, digits: int) -> None:
    """Pods are known by the name that Kubernetes gives them, however long the model's is."""
    workload = "q" * length
    replica_set = f"{workload}-{'7' * digits}"
    pod = f"{replica_set}-"[:58] + "x2b4z"

    assert re.fullmatch(pods_like(workload), pod)
    if length < 40:
        assert not re.fullmatch(pods_like(workload), f"{workload}-coder-77777777-x2b4z")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: UP.select(node="a"), ("up has no label 'node'", "Prometheus", "'job'")),
        (lambda: RESTARTS.select(like={"pods": "a"}), ("no label 'pods'", "kube-state")),
    ],
)
def test_refused(call: strategies.Call, words: tuple[str, ...]) -> None:
    """A label that a series lacks is refused with those that it has."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_sources() -> None:
    """Every series says what exposes it."""
    found = [
        one
        for one in vars(cluster_series).values()
        if isinstance(one, cluster_series.ClusterSeries)
    ]
    assert len(found) == 8
    assert {"Prometheus", "kube-state-metrics", "dcgm-exporter"} == {one.source for one in found}
