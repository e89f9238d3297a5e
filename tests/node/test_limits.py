"""What kubelet and the kernel do to a pod that takes more than its limits."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.cluster.api import RefusedError
from tests.cluster.kubectl import Kubectl, wait_for
from tests.vllm.client import speed
from vllm_constructs import ModelDeployment, WholeGpu

from . import model
from .conftest import Deployed
from .node import PRODUCT

SMALL = "small"


@pytest.mark.usefixtures("deployed")
def test_memory(kubectl: Kubectl) -> None:
    """A server that needs more memory than its limit is killed, and restarted, as OOMKilled."""
    chart = Chart(App(), "test", namespace=SMALL)
    ModelDeployment(chart, SMALL, model=model.WEIGHTS, gpu=WholeGpu(PRODUCT), memory="4Gi", cpu="1")
    (workload,) = (one for one in chart.to_json() if one["kind"] == "Deployment")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    # The construct refuses so little.
    for amounts in container["resources"].values():
        amounts["memory"] = "256Mi"
    kubectl.run("create", "namespace", SMALL)
    kubectl.create(workload)

    def ends() -> list[dict[str, Any]]:
        return [
            status["lastState"]["terminated"]
            for pod in kubectl.items("pods", SMALL)
            for status in pod["status"].get("containerStatuses", [])
            if "terminated" in status["lastState"]
        ]

    try:
        end = wait_for("a restart", ends, 120)[0]
    finally:
        # It has one of the two GPUs.
        kubectl.delete([workload])
    assert ("OOMKilled", 128 + signal.SIGKILL) == (end["reason"], end["exitCode"])


def test_volume(deployed: Deployed, kubectl: Kubectl) -> None:
    """A pod that fills a volume above its limit is evicted without a drain, and replaced."""
    (pod,) = deployed.pods()
    # A drain would let it run for longer than this test takes.
    rate = speed(model.PORT, model.MODEL, 1, headers=model.HEADERS, host=deployed.address)
    stream = deployed.stream(min(int(rate * 200), 30_000))
    fill = f"dd if=/dev/zero of={model.SCRATCH}/fill bs=1M count=48 && sleep 120"
    with pytest.raises(RefusedError):
        deployed.execute("sh", "-c", fill)

    def evicted() -> list[dict[str, Any]]:
        found = kubectl.items("pods", model.SPACE)
        return [one["status"] for one in found if one["status"].get("reason") == "Evicted"]

    (status,) = wait_for("the eviction", evicted, 60)
    told = time.monotonic()
    stream.join()
    assert stream.ended - told < model.PAUSE
    assert "Failed" == status["phase"]
    assert 'EmptyDir volume "scratch" exceeds the limit "32Mi"' in status["message"]
    assert not stream.is_complete
    kubectl.run("delete", "pod", pod["metadata"]["name"], "-n", model.SPACE)
    deployed.wait_ready()
