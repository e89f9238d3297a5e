"""KEDA's own programs scale a model on the series of the real vLLM.

The control plane is real and its nodes are simulated; the series that KEDA reads are those of one
vLLM outside of it, under a load that fills its queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.cluster import binaries, keda
from tests.cluster.bed import Bed
from tests.cluster.kubectl import Kubectl, make_namespace, wait_for
from tests.cluster.servers import serve
from vllm_constructs import (
    EngineArgs,
    ExistingClaim,
    KedaScaler,
    ModelDeployment,
    PrometheusQuery,
    QueueDepth,
    RunningRequests,
    ScalingPace,
    Startup,
    WholeGpu,
)

from .client import Load, Stream
from .conftest import Spawners
from .container import Container
from .running import Running

pytestmark = pytest.mark.xdist_group("scaling")

SPACE = "llm"
NAME = "qwen"
AT_ONCE = ScalingPace(
    up_pods=10, up_seconds=1, up_window=0, down_pods=10, down_seconds=1, down_window=0
)
WAITING = 8
"""Clients: one request runs, the others wait."""


@dataclass
class Scene:
    """A control plane with KEDA, and a vLLM.

    Attributes:
        kubectl: The client.
        running: vLLM, which runs one request at a time.
        prometheus: The address of what scrapes vLLM and a gateway.
        calls: The requests that the gateway tells of.
    """

    kubectl: Kubectl
    running: Running
    prometheus: str = ""
    calls: int = 0

    def told(self, path: str) -> str | None:
        """The gateway's series."""
        return f"gateway_requests {self.calls}\n" if path == "/metrics" else None

    def load(self, clients: int, tokens: int = 200) -> Load:
        """Clients of vLLM."""
        return Load(lambda: Stream(self.running.container.port, NAME, tokens), clients)

    def reach(self, replicas: int) -> None:
        """Wait until KEDA has set so many replicas."""

        def are_there() -> bool:
            found = self.kubectl.get("deployment", NAME, SPACE)
            return bool(found["spec"]["replicas"] == replicas)

        wait_for(f"{replicas} replicas", are_there, 60)


def _render(**scaler: Any) -> list[dict[str, Any]]:
    chart = Chart(App(), "test", namespace=SPACE)
    model = ModelDeployment(
        chart,
        NAME,
        model="Qwen/Qwen2.5-7B-Instruct",
        served_name=NAME,
        gpu=WholeGpu("NVIDIA-L40S"),
        cache=ExistingClaim("weights"),
        engine=EngineArgs(max_num_seqs=1, max_model_len=4096),
        startup=Startup(seconds=30),
        allow_from=["monitoring"],
    )
    if scaler:
        KedaScaler(chart, "scaler", target=model, pace=AT_ONCE, **scaler)
    found: list[dict[str, Any]] = chart.to_json()
    return found


@pytest.fixture(scope="module")
def scene(spawners: Spawners, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """All of it."""
    folder: Path = tmp_path_factory.mktemp("scaling")
    container = Container.only(_render(), folder)
    with ExitStack() as stack:
        running = stack.enter_context(spawners.start(container))
        try:
            bed = stack.enter_context(Bed(binaries.versions()[0]))
            if bed.missing is not None:
                pytest.skip(bed.missing)
            found = Scene(bed.kubectl, running)
            make_namespace(bed.kubectl, SPACE)
            running.wait_ready()
            gateway = stack.enter_context(serve(found.told))
            scraping = keda.prometheus(bed, SPACE, container.port, gateway)
            found.prometheus = stack.enter_context(scraping)
            stack.enter_context(keda.running(bed, SPACE))
        except binaries.MissingError as missing:
            pytest.skip(str(missing))
        yield found


def test_queue(scene: Scene) -> None:
    """A queue in vLLM scales from 1 to 2, and back when it is empty."""
    objects = _render(
        min_replicas=1, max_replicas=2, prometheus=scene.prometheus, triggers=[QueueDepth(5)]
    )
    try:
        assert [] == scene.kubectl.apply(objects)
        scene.reach(1)
        with scene.load(WAITING):
            scene.reach(2)
        scene.reach(1)
    finally:
        scene.kubectl.delete(objects)


def test_zero(scene: Scene) -> None:
    """A gateway's request wakes a model from 0; vLLM's running requests keep it awake."""
    wake = PrometheusQuery(
        name="gateway",
        query="sum(gateway_requests)",
        threshold=5,
        metric_type="AverageValue",
    )
    objects = _render(
        min_replicas=0,
        polling_interval=1,
        max_replicas=2,
        prometheus=scene.prometheus,
        triggers=[RunningRequests(5), wake],
    )
    for item in objects:
        if item["kind"] == "ScaledObject":
            # The model's startup and the cooldown: longer than a test has patience for.
            item["spec"] |= {"initialCooldownPeriod": 1, "cooldownPeriod": 3}
    scene.kubectl.apply(objects)
    scene.reach(0)
    scene.calls = 1
    scene.reach(1)
    with scene.load(2):
        scene.calls = 0
        with pytest.raises(TimeoutError):
            wait_for("no replica", lambda: _replicas(scene) == 0, 10)
    scene.reach(0)


def _replicas(scene: Scene) -> int:
    found: int = scene.kubectl.get("deployment", NAME, SPACE)["spec"]["replicas"]
    return found
