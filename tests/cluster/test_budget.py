"""Disruption budgets while nodes are drained with `kubectl drain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from vllm_constructs import DisruptionBudget, ExistingClaim, ModelDeployment, WholeGpu

from .api import RefusedError
from .conftest import NEWEST, rendered
from .kubectl import Kubectl, wait_for
from .nodes import Manifest, gpu_node
from .test_rollout import steps
from .test_scheduling import Nodes, hosts, provide, ready, settled

pytestmark = [
    pytest.mark.parametrize("bed", [NEWEST], indirect=True),
    pytest.mark.usefixtures("cluster"),
]

L40S = "NVIDIA-L40S"


def app(namespace: str, *, replicas: int, loads: int = 2, **budget: Any) -> list[Manifest]:
    """A model with a budget."""
    chart = Chart(App(), "x", namespace=namespace)
    model = ModelDeployment(
        chart,
        "qwen",
        model="a/b",
        gpu=WholeGpu(L40S),
        replicas=replicas,
        cache=ExistingClaim("weights"),
        pod_annotations={"bed/loads": str(loads), "bed/drains": "1"},
    )
    DisruptionBudget(chart, "budget", target=model, **budget)
    return rendered(chart)


def drain(kubectl: Kubectl, node: str, seconds: int = 60) -> None:
    """What an operator does before a node is taken away."""
    options = ["--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={seconds}s"]
    kubectl.run("drain", node, *options)


@pytest.mark.parametrize(
    ("replicas", "budget", "least"),
    [(2, {"min_available": 1}, 1), (4, {"max_unavailable": 1}, 3), (4, {"max_unavailable": 2}, 2)],
    ids=["one-of-two", "one-at-a-time", "two-at-a-time"],
)
def test_drain(
    kubectl: Kubectl,
    nodes: Nodes,
    namespace: str,
    tmp_path: Path,
    replicas: int,
    budget: dict[str, int],
    least: int,
) -> None:
    """A drained node loses its pods to others, never below the budget, and the drain ends."""
    nodes(gpu_node("first", L40S, 4))
    provide(kubectl, [], namespace)
    kubectl.apply(app(namespace, replicas=replicas, **budget))
    assert {"first": replicas} == hosts(settled(kubectl, namespace, replicas))
    nodes(gpu_node("second", L40S, 4))

    with kubectl.watch("pods", namespace, tmp_path / "watch") as events:
        wait_for("the watch", lambda: len(events()) >= replicas)
        drain(kubectl, "first")
        assert {"second": replicas} == hosts(settled(kubectl, namespace, replicas))
        moments = list(steps(events()))[replicas - 1 :]

    standing = [
        [pod for pod in ready(pods) if "deletionTimestamp" not in pod["metadata"]]
        for pods in moments
    ]
    assert least == min(len(pods) for pods in standing)


def test_unhealthy(kubectl: Kubectl, nodes: Nodes, namespace: str) -> None:
    """Pods that never became ready do not hold a drain up."""
    nodes(gpu_node("first", L40S, 2))
    provide(kubectl, [], namespace)
    kubectl.apply(app(namespace, replicas=2, loads=600, max_unavailable=1))

    def loading() -> bool:
        return 2 == sum("podIP" in pod["status"] for pod in kubectl.running("pods", namespace))

    wait_for("pods that load", loading)

    drain(kubectl, "first", 20)


def test_blocked(kubectl: Kubectl, nodes: Nodes, namespace: str) -> None:
    """The budget that is refused here, all replicas, is admitted, and blocks a drain for ever."""
    nodes(gpu_node("first", L40S, 2), gpu_node("second", L40S, 2))
    provide(kubectl, [], namespace)
    manifests = app(namespace, replicas=2, min_available=1)
    (budget,) = [item for item in manifests if item["kind"] == "PodDisruptionBudget"]
    budget["spec"]["minAvailable"] = 2
    assert [] == kubectl.apply(manifests)
    settled(kubectl, namespace, 2)
    (name, *_) = hosts(kubectl.running("pods", namespace))

    with pytest.raises(RefusedError, match="Cannot evict pod as it would violate"):
        drain(kubectl, name, 8)
