"""Series of the cluster: selected by the labels that they have."""

import pytest

from tests import strategies
from vllm_constructs.metrics import cluster_series
from vllm_constructs.metrics.cluster_series import RESTARTS, UP, wanted_replicas


def test_select() -> None:
    """A selector has texts that are equal, and patterns that match."""
    found = RESTARTS.select(like={"pod": "a-.*"}, namespace="llm")
    assert found == ('kube_pod_container_status_restarts_total{namespace="llm",pod=~"a-.*"}')


def test_wanted_replicas() -> None:
    """The wanted replicas of any kind of workload have its namespace and its name as labels."""
    series = wanted_replicas("kube_statefulset_replicas", "statefulset")

    assert 'kube_statefulset_replicas{namespace="llm",statefulset="qwen"}' == series.select(
        namespace="llm", statefulset="qwen"
    )
    sentence = strategies.refusal(lambda: series.select(deployment="qwen"))
    assert "kube_statefulset_replicas of kube-state-metrics has no label 'deployment'" in sentence
    assert "'namespace', 'statefulset'" in sentence


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: UP.select(node="a"), ("up of Prometheus has no label 'node'", "'job'")),
        (lambda: RESTARTS.select(like={"pods": "a"}), ("of kube-state-metrics", "no label 'pods'")),
    ],
)
def test_refused(call: strategies.Call, words: tuple[str, ...]) -> None:
    """A label that a series lacks is rejected with those that it has."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_sources() -> None:
    """Every series says what exposes it."""
    found = [
        one
        for one in vars(cluster_series).values()
        if isinstance(one, cluster_series.ClusterSeries)
    ]
    assert 7 == len(found)
    assert {"Prometheus", "kube-state-metrics", "dcgm-exporter"} == {one.source for one in found}
    assert "kube-state-metrics" == wanted_replicas("x", "y").source
