"""Rollouts by the real controllers: who is ready, and how many GPUs are in use, at every moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from vllm_constructs import (
    Drain,
    EngineArgs,
    EphemeralCache,
    ExistingClaim,
    ModelDeployment,
    Rollout,
    Startup,
    WholeGpu,
)

from .conftest import NEWEST, rendered
from .kubectl import Kubectl, wait_for
from .nodes import Manifest, condition, gpu_node
from .test_scheduling import Nodes, provide, ready, settled

pytestmark = [
    pytest.mark.parametrize("bed", [NEWEST], indirect=True),
    pytest.mark.usefixtures("cluster"),
]

L40S = "NVIDIA-L40S"


def model(namespace: str, **options: Any) -> ModelDeployment:
    """A model in a chart of its own; pods take a second to load and two to drain."""
    seconds = {"bed/loads": "1", "bed/drains": "2"} | options.pop("seconds", {})
    chart = Chart(App(), "x", namespace=namespace)
    given = {"model": "a/b", "cache": ExistingClaim("weights"), "pod_annotations": seconds}
    return ModelDeployment(chart, "qwen", **{**given, **options})


def gpus(pods: list[Manifest]) -> int:
    """GPUs that pods on nodes hold, also those that are going."""
    return sum(_limit(pod["spec"]) for pod in pods if "nodeName" in pod["spec"])


def asked(sets: list[Manifest]) -> int:
    """GPUs of the pods that ReplicaSets are to have."""
    return sum(one["spec"]["replicas"] * _limit(one["spec"]["template"]["spec"]) for one in sets)


def _limit(pod: Manifest) -> int:
    return int(pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"])


def steps(events: list[Manifest]) -> Iterator[list[Manifest]]:
    """All pods after each change of a watch."""
    pods: dict[str, Manifest] = {}
    for event in events:
        pod = event["object"]
        pods[pod["metadata"]["uid"]] = pod
        if event["type"] == "DELETED":
            del pods[pod["metadata"]["uid"]]
        yield list(pods.values())


class Roll:
    """A rollout that has been watched from beginning to end.

    The most GPUs are those of the pods that the Deployment asks its ReplicaSets for. Each of these
    makes and deletes pods by itself, so for a moment there may be one pod more.
    """

    def __init__(self, events: list[Manifest], start: int, sets: list[Manifest]) -> None:
        seen = list(steps(events))[start:]
        going = [
            [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]] for pods in seen
        ]
        self.fewest_ready = min(len(ready(pods)) for pods in going)
        self.most_gpus = max(map(asked, steps(sets)))
        self.most_gpus_with_draining = max(map(gpus, seen))


def roll(kubectl: Kubectl, before: ModelDeployment, after: ModelDeployment, file: Path) -> Roll:
    """Apply one after the other, and watch the change to its end."""
    namespace = str(before.namespace)
    kubectl.apply(rendered(Chart.of(before)))
    settled(kubectl, namespace, before.replicas)
    with (
        kubectl.watch("pods", namespace, file) as events,
        kubectl.watch("replicasets", namespace, file.with_suffix(".sets")) as sets,
    ):
        start = len(wait_for("the watch", lambda: events()[before.replicas - 1 :] and events()))
        wait_for("the other watch", sets)
        kubectl.apply(rendered(Chart.of(after)))
        kubectl.run(
            "rollout", "status", f"deployment/{after.name}", "-n", namespace, "--timeout=90s"
        )
        wait_for("old pods to go", lambda: len(kubectl.items("pods", namespace)) == after.replicas)
        return Roll(events(), start - 1, sets())


CHANGE = EngineArgs(max_model_len=4096)


@pytest.mark.parametrize("spare", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 2])
def test_rollout(
    kubectl: Kubectl, nodes: Nodes, namespace: str, tmp_path: Path, spare: int, count: int
) -> None:
    """With exactly the spare GPUs, a change completes; ready pods and GPUs are as promised."""
    options = {
        "gpu": WholeGpu(L40S, count=count),
        "replicas": 3,
        "rollout": Rollout(spare_gpus=spare),
    }
    before = model(namespace, **options)
    nodes(gpu_node("gpus", L40S, 3 * count + spare))
    provide(kubectl, [], namespace)

    found = roll(kubectl, before, model(namespace, engine=CHANGE, **options), tmp_path / "watch")

    surges = spare >= count
    assert found.fewest_ready >= (3 if surges else 2)
    assert found.most_gpus <= before.rollout_gpus <= 3 * count + spare
    assert found.most_gpus_with_draining <= 3 * count + spare


def test_draining(kubectl: Kubectl, nodes: Nodes, namespace: str, tmp_path: Path) -> None:
    """With more GPUs free than declared, those of one draining pod come on top."""
    options = {"gpu": WholeGpu(L40S), "replicas": 3, "rollout": Rollout(spare_gpus=1)}
    before = model(namespace, **options, seconds={"bed/loads": "3"})
    after = model(namespace, engine=CHANGE, **options, seconds={"bed/loads": "3"})
    nodes(gpu_node("gpus", L40S, 16))
    provide(kubectl, [], namespace)

    found = roll(kubectl, before, after, tmp_path / "watch")

    assert 3 == found.fewest_ready
    assert before.rollout_gpus == found.most_gpus
    assert before.rollout_gpus + 1 == found.most_gpus_with_draining


def test_too_few(kubectl: Kubectl, nodes: Nodes, namespace: str) -> None:
    """Without the spare GPU that was promised, the new pod waits and no old one goes."""
    options = {"gpu": WholeGpu(L40S), "replicas": 2, "rollout": Rollout(spare_gpus=1)}
    nodes(gpu_node("gpus", L40S, 2))
    provide(kubectl, [], namespace)
    kubectl.apply(rendered(Chart.of(model(namespace, **options))))
    old = {pod["metadata"]["name"] for pod in settled(kubectl, namespace, 2)}

    kubectl.apply(rendered(Chart.of(model(namespace, engine=CHANGE, **options))))

    def waiting() -> bool:
        pods = kubectl.running("pods", namespace)
        return any(condition(pod, "PodScheduled").get("reason") == "Unschedulable" for pod in pods)

    wait_for("a pod that waits", waiting)
    assert old == {pod["metadata"]["name"] for pod in ready(kubectl.running("pods", namespace))}


@pytest.mark.parametrize(
    "cache", [ExistingClaim("weights", access="ReadWriteOnce")], ids=["ReadWriteOnce"]
)
def test_recreate(
    kubectl: Kubectl, nodes: Nodes, namespace: str, tmp_path: Path, cache: ExistingClaim
) -> None:
    """With a cache for one node, the old pod has ended before the new one is made."""
    options = {"gpu": WholeGpu(L40S), "cache": cache, "rollout": Rollout(spare_gpus=4)}
    before = model(namespace, **options)
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)

    found = roll(kubectl, before, model(namespace, engine=CHANGE, **options), tmp_path / "watch")

    assert 0 == found.fewest_ready
    assert 1 == before.rollout_gpus == found.most_gpus_with_draining


@pytest.mark.parametrize(("loads", "killed"), [(30, False), (31, True)])
def test_startup(
    kubectl: Kubectl, nodes: Nodes, namespace: str, loads: int, *, killed: bool
) -> None:
    """A load as long as Startup says is never killed by the probe; a longer one may be."""
    nodes(gpu_node("gpus", L40S, 1))
    qwen = model(
        namespace,
        gpu=WholeGpu(L40S),
        cache=EphemeralCache(),
        startup=Startup(seconds=30),
        seconds={"bed/loads": str(loads)},
    )
    kubectl.apply(rendered(Chart.of(qwen)))

    def restarts() -> int:
        statuses = [
            status
            for pod in kubectl.running("pods", namespace)
            for status in pod["status"].get("containerStatuses", [])
        ]
        return sum(status["restartCount"] for status in statuses)

    if killed:
        assert wait_for("a restart", restarts, 60)
        return
    (pod,) = settled(kubectl, namespace, 1)
    assert 0 == restarts()
    assert 0 == pod["status"]["containerStatuses"][0]["restartCount"]


def test_progress(kubectl: Kubectl, nodes: Nodes, namespace: str) -> None:
    """A rollout counts as progressing for as long as a pod may load."""
    nodes(gpu_node("gpus", L40S, 1))
    qwen = model(
        namespace,
        gpu=WholeGpu(L40S),
        cache=EphemeralCache(),
        startup=Startup(seconds=30),
        seconds={"bed/loads": "12"},
    )
    manifests = rendered(Chart.of(qwen))
    (deployment,) = [item for item in manifests if item["kind"] == "Deployment"]
    probe = deployment["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    longest = probe["failureThreshold"] * probe["periodSeconds"]
    assert deployment["spec"]["progressDeadlineSeconds"] > longest

    # A tenth of all times, which is what the bed has patience for.
    deployment["spec"]["progressDeadlineSeconds"] = (
        deployment["spec"]["progressDeadlineSeconds"] // 10
    )
    kubectl.apply(manifests)
    settled(kubectl, namespace, 1)
    assert "NewReplicaSetAvailable" == progress(kubectl, namespace)

    # And what a deadline below the load time does.
    deployment["spec"]["progressDeadlineSeconds"] = 5
    deployment["spec"]["template"]["metadata"]["annotations"]["example.com/change"] = "1"
    kubectl.apply(manifests)
    wait_for(
        "a rollout that is given up while its pod is loading",
        lambda: progress(kubectl, namespace) == "ProgressDeadlineExceeded",
    )


def progress(kubectl: Kubectl, namespace: str) -> str:
    """Why the Deployment counts as progressing or not."""
    found = kubectl.get("deployment", "qwen", namespace)
    reason: str = condition(found, "Progressing").get("reason", "")
    return reason


def test_grace(kubectl: Kubectl, nodes: Nodes, namespace: str) -> None:
    """A pod that drains for as long as Drain says ends by itself, before the grace period does."""
    nodes(gpu_node("gpus", L40S, 1))
    drain = Drain(seconds=3, pre_stop=2)
    qwen = model(
        namespace,
        gpu=WholeGpu(L40S),
        cache=EphemeralCache(),
        drain=drain,
        seconds={"bed/drains": str(drain.pre_stop + drain.seconds)},
    )
    kubectl.apply(rendered(Chart.of(qwen)))
    (pod,) = settled(kubectl, namespace, 1)

    kubectl.run("delete", "pod", pod["metadata"]["name"], "-n", namespace, "--wait=false")
    going = kubectl.get("pod", pod["metadata"]["name"], namespace)

    assert drain.grace_period == going["metadata"]["deletionGracePeriodSeconds"]
    assert going["metadata"]["deletionGracePeriodSeconds"] > drain.pre_stop + drain.seconds
    wait_for(
        "the end",
        lambda: (
            pod["metadata"]["uid"]
            not in {one["metadata"]["uid"] for one in kubectl.items("pods", namespace)}
        ),
        drain.pre_stop + drain.seconds + 10,
    )
