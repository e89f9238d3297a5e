"""KEDA, and the HPA with prometheus-adapter, scale a model on the series of the real vLLM.

The control plane is real and its nodes are simulated; the series that scalers read are those of one
vLLM outside of it, under a load that fills its queue. A second pod has none, as while it loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.cluster import binaries, keda, metrics
from tests.cluster.bed import Bed
from tests.cluster.kubectl import Kubectl, make_namespace, wait_for
from tests.cluster.nodes import gpu_node
from tests.cluster.servers import serve
from tests.cluster.test_scheduling import provide, settled
from vllm_constructs import (
    EngineArgs,
    ExistingClaim,
    HpaScaler,
    KedaScaler,
    KvCacheUsage,
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
L40S = "NVIDIA-L40S"
AT_ONCE = ScalingPace(
    up_pods=10, up_seconds=1, up_window=0, down_pods=10, down_seconds=1, down_window=0
)
ADAPTED = {f"vllm_{name}" for name in ("num_requests_waiting", "num_requests_running")} | {
    "vllm_kv_cache_usage_perc"
}
WAITING = 8
"""Clients: one request runs, the others wait."""


@dataclass
class Scene:
    """A control plane with KEDA, and a vLLM.

    Attributes:
        bed: The control plane.
        running: vLLM, which runs one request at a time.
        prometheus: The address of what scrapes vLLM and a gateway.
        calls: The requests that the gateway tells of.
    """

    bed: Bed
    running: Running
    prometheus: str = ""
    calls: int = 0

    @property
    def kubectl(self) -> Kubectl:
        """The client."""
        return self.bed.kubectl

    def told(self, path: str) -> str | None:
        """The gateway's series."""
        return f"gateway_requests {self.calls}\n" if path == "/metrics" else None

    def load(self, clients: int, tokens: int = 200) -> Load:
        """Clients of vLLM."""
        return Load(lambda: Stream(self.running.container.port, NAME, tokens), clients)

    def reach(self, replicas: int) -> None:
        """Wait until the scaler has set so many replicas."""

        def are_there() -> bool:
            found = self.kubectl.get("deployment", NAME, SPACE)
            return bool(found["spec"]["replicas"] == replicas)

        wait_for(f"{replicas} replicas", are_there, 60)


Scale = Callable[[ModelDeployment], object]


def _render(scale: Scale | None = None) -> list[dict[str, Any]]:
    chart = Chart(App(), "test", namespace=SPACE)
    model = ModelDeployment(
        chart,
        NAME,
        model="Qwen/Qwen2.5-7B-Instruct",
        served_name=NAME,
        gpu=WholeGpu(L40S),
        cache=ExistingClaim("weights"),
        engine=EngineArgs(max_num_seqs=1, max_model_len=4096),
        startup=Startup(seconds=30),
        pod_annotations={"bed/loads": "1"},
        allow_from=["monitoring"],
    )
    if scale is not None:
        scale(model)
    found: list[dict[str, Any]] = chart.to_json()
    return found


def _keda(scene: Scene, **options: Any) -> Scale:
    def scale(model: ModelDeployment) -> object:
        given = {"prometheus": scene.prometheus, "max_replicas": 2, "pace": AT_ONCE, **options}
        return KedaScaler(Chart.of(model), "scaler", target=model, **given)

    return scale


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
            found = Scene(bed, running)
            make_namespace(bed.kubectl, SPACE)
            running.wait_ready()
            gateway = stack.enter_context(serve(found.told))
            scraping = metrics.prometheus(bed, SPACE, container.port, gateway)
            found.prometheus = stack.enter_context(scraping)
            stack.enter_context(keda.running(bed, SPACE))
        except binaries.MissingError as missing:
            pytest.skip(str(missing))
        yield found


def test_queue(scene: Scene) -> None:
    """A queue in vLLM scales from 1 to 2, and back when it is empty."""
    objects = _render(_keda(scene, min_replicas=1, triggers=[QueueDepth(5)]))
    try:
        assert [] == scene.kubectl.apply(objects)
        scene.reach(1)
        with scene.load(WAITING):
            scene.reach(2)
        scene.reach(1)
    finally:
        scene.kubectl.delete(objects)


def test_hpa(scene: Scene) -> None:
    """The HPA scales from 1 to 2 on the queue that prometheus-adapter tells, and back."""
    try:
        binaries.find("prometheus-adapter", "adapter")
    except binaries.MissingError as missing:
        pytest.skip(str(missing))

    def scale(model: ModelDeployment) -> object:
        return HpaScaler(
            Chart.of(model),
            "scaler",
            target=model,
            min_replicas=1,
            max_replicas=2,
            triggers=[QueueDepth(5), RunningRequests(5), KvCacheUsage(0.9)],
            pace=AT_ONCE,
        )

    objects = _render(scale)
    port = scene.running.container.port
    kubectl = scene.kubectl
    # An HPA reads pods that are ready; a trigger of KEDA asks Prometheus, whatever runs.
    given = [gpu_node("gpus", L40S, 2)]
    kubectl.apply(given)
    given += provide(kubectl, [], SPACE)
    try:
        assert [] == kubectl.apply(_render())
        (pod,) = settled(kubectl, SPACE, 1)
        with (
            metrics.prometheus(scene.bed, SPACE, port, pod=pod["metadata"]["name"]) as address,
            metrics.adapter(scene.bed, SPACE, address),
        ):
            assert [] == kubectl.apply(objects)
            # The controller looks for new APIs every 30 s.
            wait_for("all metrics", lambda: _read(kubectl) == ADAPTED, 90)
            with scene.load(WAITING):
                scene.reach(2)
            scene.reach(1)
    finally:
        kubectl.delete([*objects, *given])


def _read(kubectl: Kubectl) -> set[str]:
    """The metrics that the HPA has a number of."""
    found = kubectl.get("hpa", NAME, SPACE)["status"].get("currentMetrics") or []
    return {one["pods"]["metric"]["name"] for one in found if one["type"] == "Pods"}


def test_zero(scene: Scene) -> None:
    """A gateway's request wakes a model from 0; vLLM's running requests keep it awake."""
    wake = PrometheusQuery(
        name="gateway",
        query="sum(gateway_requests)",
        threshold=5,
        metric_type="AverageValue",
    )
    triggers = [RunningRequests(5), wake]
    objects = _render(_keda(scene, min_replicas=0, polling_interval=1, triggers=triggers))
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
