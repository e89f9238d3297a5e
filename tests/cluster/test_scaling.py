"""Scalers: the HPA by the real controller, and KEDA's own programs.

They read a real Prometheus, the HPA through a real prometheus-adapter.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from cdk8s import App, Chart

from vllm_constructs import (
    ExistingClaim,
    HpaScaler,
    KedaScaler,
    KvCacheUsage,
    ModelDeployment,
    PrometheusQuery,
    QueueDepth,
    ScalingPace,
    Startup,
    WholeGpu,
)

from . import binaries, metrics
from .api import RefusedError
from .bed import Bed, is_isolated
from .conftest import NEWEST, documents, rendered
from .keda import running
from .kubectl import Kubectl, wait_for
from .nodes import Manifest, condition, gpu_node
from .servers import serve
from .test_admission import APPS, SNAPSHOTS
from .test_scheduling import Nodes, provide, settled

pytestmark = [
    pytest.mark.parametrize("bed", [NEWEST], indirect=True),
    pytest.mark.usefixtures("cluster"),
]

L40S = "NVIDIA-L40S"
AT_ONCE = ScalingPace(
    up_pods=10, up_seconds=1, up_window=0, down_pods=10, down_seconds=1, down_window=0
)


def model(namespace: str, **options: Any) -> ModelDeployment:
    """A model that loads in a second."""
    chart = Chart(App(), "x", namespace=namespace)
    given = {"model": "a/b", "served_name": "qwen", "gpu": WholeGpu(L40S)}
    given |= {"cache": ExistingClaim("weights"), "pod_annotations": {"bed/loads": "1"}}
    return ModelDeployment(chart, "qwen", **{**given, **options})


def replicas(kubectl: Kubectl, namespace: str) -> int:
    """What the scaler made of the Deployment."""
    found: int = kubectl.get("deployment", "qwen", namespace)["spec"]["replicas"]
    return found


def reach(kubectl: Kubectl, namespace: str, wanted: int, seconds: float = 60) -> None:
    """Wait until the Deployment has so many replicas."""
    wait_for(f"{wanted} replicas", lambda: replicas(kubectl, namespace) == wanted, seconds)


def series(pod: str | None = None, **values: float) -> str:
    """What vLLM's /metrics tells with two data-parallel engines, each of a half."""
    given = {"model_name": "qwen"} | ({} if pod is None else {"pod": pod})
    lines = []
    for name, value in values.items():
        share = value if name.endswith("_perc") else value / 2
        for rank in (0, 1):
            told = ",".join(f'{key}="{one}"' for key, one in {**given, "engine": rank}.items())
            lines.append(f"vllm:{name}{{{told}}} {share}\n")
    return "".join(lines)


class Engines:
    """What each pod of a model tells of itself.

    Attributes:
        waiting: Its waiting requests.
        cache: The used part of its KV cache.
    """

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.waiting = 0.0
        self.cache = 0.0
        self._kubectl = kubectl
        self._namespace = namespace

    def answer(self, path: str) -> str | None:
        """The /metrics of all pods."""
        if path != "/metrics":
            return None
        values = {"num_requests_waiting": self.waiting, "kv_cache_usage_perc": self.cache}
        pods = self._kubectl.running("pods", self._namespace)
        return "".join(series(pod["metadata"]["name"], **values) for pod in pods)


@pytest.fixture
def engines(bed: Bed, namespace: str) -> Iterator[Engines]:
    """The series of a model's pods, in Prometheus and behind prometheus-adapter."""
    found = Engines(bed.kubectl, namespace)
    with ExitStack() as stack:
        port = stack.enter_context(serve(found.answer))
        try:
            address = stack.enter_context(metrics.prometheus(bed, namespace, port))
            stack.enter_context(metrics.adapter(bed, namespace, address))
        except binaries.MissingError as missing:
            pytest.skip(str(missing))
        yield found


def hpa_app(namespace: str, pace: ScalingPace | None, maximum: int = 4) -> list[Manifest]:
    """A model with an HPA."""
    qwen = model(namespace)
    HpaScaler(
        Chart.of(qwen),
        "scaler",
        target=qwen,
        min_replicas=1,
        max_replicas=maximum,
        triggers=[QueueDepth(5), KvCacheUsage(0.85)],
        pace=pace,
    )
    return rendered(Chart.of(qwen))


def test_hpa(kubectl: Kubectl, nodes: Nodes, namespace: str, engines: Engines) -> None:
    """The HPA reads both metrics by their adapter names, scales to the maximum, and back."""
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)
    assert [] == kubectl.apply(hpa_app(namespace, AT_ONCE))
    settled(kubectl, namespace, 1)

    engines.waiting = 20
    reach(kubectl, namespace, 4)
    hpa = kubectl.get("hpa", "qwen", namespace)
    assert "True" == condition(hpa, "ScalingActive")["status"]
    assert {"vllm_num_requests_waiting", "vllm_kv_cache_usage_perc"} == {
        metric["pods"]["metric"]["name"] for metric in hpa["status"]["currentMetrics"]
    }

    engines.waiting = 0
    reach(kubectl, namespace, 1)

    engines.cache = 0.96
    reach(kubectl, namespace, 2)


def test_hpa_apply(kubectl: Kubectl, nodes: Nodes, namespace: str, engines: Engines) -> None:
    """To apply the same YAML again while the HPA has scaled out takes no replica away."""
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)
    kubectl.apply(hpa_app(namespace, AT_ONCE))
    settled(kubectl, namespace, 1)
    engines.waiting = 20
    reach(kubectl, namespace, 4)

    kubectl.apply(hpa_app(namespace, AT_ONCE))

    assert 4 == replicas(kubectl, namespace)


def test_hpa_pace(kubectl: Kubectl, nodes: Nodes, namespace: str, engines: Engines) -> None:
    """At the default pace a queue doubles the pods, and brings no more while they may load."""
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)
    engines.waiting = 1000
    kubectl.apply(hpa_app(namespace, ScalingPace(up_window=0)))

    reach(kubectl, namespace, 2)

    for _ in range(5):
        time.sleep(1)
        assert 2 == replicas(kubectl, namespace)


def test_hpa_doubling(kubectl: Kubectl, nodes: Nodes, namespace: str, engines: Engines) -> None:
    """A queue that stays doubles the pods in each period, up to the maximum."""
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)
    engines.waiting = 1000
    kubectl.apply(hpa_app(namespace, ScalingPace(up_window=0, up_seconds=8), maximum=7))
    seen: list[int] = []
    times: list[float] = []

    def is_there() -> bool:
        found = replicas(kubectl, namespace)
        if [found] != seen[-1:]:
            seen.append(found)
            times.append(time.monotonic())
        return found == 7

    wait_for("7 replicas", is_there, 90)

    assert [2, 4, 7] == [one for one in seen if one > 1]
    assert times[-1] - times[-2] >= 6


class Keda:
    """KEDA's operator, metrics adapter and admission webhooks, and a Prometheus."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.prometheus = ""
        self.waiting = 0
        self.running = 0
        self.gateway = 0
        self.is_exporting = True

    def answer(self, path: str) -> str | None:
        """An engine's /metrics, with two data-parallel engines, and a gateway's."""
        if path != "/metrics" or not self.is_exporting:
            return None
        told = series(
            num_requests_waiting=self.waiting,
            num_requests_running=self.running,
            kv_cache_usage_perc=0.1,
        )
        return f"gateway_requests {self.gateway}\n{told}"


@pytest.fixture
def keda(bed: Bed, namespace: str) -> Iterator[Keda]:
    """KEDA and Prometheus, for the namespace of the test."""
    if not is_isolated():
        pytest.skip("KEDA listens on all addresses, and this network is not isolated")
    found = Keda(bed)
    with ExitStack() as stack:
        port = stack.enter_context(serve(found.answer))
        try:
            found.prometheus = stack.enter_context(metrics.prometheus(bed, namespace, port))
            stack.enter_context(running(bed, namespace))
        except binaries.MissingError as missing:
            pytest.skip(str(missing))
        yield found


def keda_app(namespace: str, keda: Keda, **options: Any) -> list[Manifest]:
    """A model with a ScaledObject."""
    qwen = model(namespace, startup=Startup(seconds=30), allow_from=["monitoring"])
    given: dict[str, Any] = {
        "min_replicas": 1,
        "max_replicas": 4,
        "triggers": [QueueDepth(5), KvCacheUsage(0.85)],
        "pace": AT_ONCE,
        **options,
    }
    KedaScaler(Chart.of(qwen), "scaler", target=qwen, prometheus=keda.prometheus, **given)
    return rendered(Chart.of(qwen))


def test_keda(kubectl: Kubectl, nodes: Nodes, namespace: str, keda: Keda) -> None:
    """KEDA admits the ScaledObject; a queue in Prometheus scales from 1 to 4, and back."""
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)
    assert [] == kubectl.apply(keda_app(namespace, keda))
    settled(kubectl, namespace, 1)
    wait_for(
        "the ScaledObject",
        lambda: (
            condition(kubectl.get("scaledobject", "qwen", namespace), "Ready").get("status")
            == "True"
        ),
    )

    keda.waiting = 20
    reach(kubectl, namespace, 4)
    settled(kubectl, namespace, 4)

    keda.waiting = 0
    reach(kubectl, namespace, 1)


@pytest.mark.usefixtures("keda")
def test_keda_admits(kubectl: Kubectl, namespace: str) -> None:
    """KEDA's webhook admits every ScaledObject of dist/, examples and snapshots, unwarned."""
    seen = 0
    for path in [*(path for files in APPS.values() for path in files), *SNAPSHOTS]:
        found = [
            {**item, "metadata": {**item["metadata"], "namespace": namespace}}
            for item in documents(path)
            if item["kind"] in ("Deployment", "ScaledObject")
        ]
        scaled = [item for item in found if item["kind"] == "ScaledObject"]
        if not scaled:
            continue
        assert [] == kubectl.apply(found), path.name
        seen += len(scaled)
        kubectl.delete(reversed(found))
    assert seen > 3


def test_keda_fallback(kubectl: Kubectl, nodes: Nodes, namespace: str, keda: Keda) -> None:
    """When the series are gone, KEDA keeps what runs and does not take it for an empty queue."""
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)
    kubectl.apply(keda_app(namespace, keda))
    settled(kubectl, namespace, 1)
    keda.waiting = 20
    reach(kubectl, namespace, 4)

    keda.is_exporting = False

    def is_fallback() -> bool:
        found = kubectl.get("scaledobject", "qwen", namespace)
        return condition(found, "Fallback").get("status") == "True"

    wait_for("the fallback", is_fallback)
    for _ in range(5):
        time.sleep(1)
        assert 4 == replicas(kubectl, namespace)


def test_keda_zero(kubectl: Kubectl, nodes: Nodes, namespace: str, keda: Keda) -> None:
    """A gateway's queue wakes a model from 0; running requests keep it awake; then it sleeps."""
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)
    gateway = PrometheusQuery(
        name="gateway", query="sum(gateway_requests)", threshold=5, metric_type="AverageValue"
    )
    sleep = {"min_replicas": 0, "polling_interval": 1}
    manifests = keda_app(namespace, keda, **sleep, triggers=[QueueDepth(5), gateway])
    for item in manifests:
        if item["kind"] == "ScaledObject":
            # The model's startup and the cooldown: longer than the bed has patience for.
            item["spec"] |= {"initialCooldownPeriod": 1, "cooldownPeriod": 3}
    kubectl.apply(manifests)
    reach(kubectl, namespace, 0)

    keda.gateway = 1
    reach(kubectl, namespace, 1)
    keda.gateway, keda.running = 0, 2
    for _ in range(7):
        time.sleep(1)
        assert 1 == replicas(kubectl, namespace)

    keda.running = 0
    reach(kubectl, namespace, 0)


def test_keda_refusals(kubectl: Kubectl, nodes: Nodes, namespace: str, keda: Keda) -> None:
    """KEDA's webhook refuses two scalers of one model, as we do before it is asked."""
    nodes(gpu_node("gpus", L40S, 8))
    provide(kubectl, [], namespace)
    manifests = keda_app(namespace, keda)
    kubectl.apply(manifests)
    (scaled,) = [item for item in manifests if item["kind"] == "ScaledObject"]
    wait_for("KEDA's HPA", lambda: kubectl.items("hpa", namespace))

    second = {**scaled, "metadata": {**scaled["metadata"], "name": "second"}}
    with pytest.raises(RefusedError, match=r"is already managed by the (hpa|ScaledObject)"):
        kubectl.apply([second])

    kubectl.delete([scaled])
    wait_for("KEDA's HPA to go", lambda: not kubectl.items("hpa", namespace))
    kubectl.apply([item for item in hpa_app(namespace, None) if item["kind"].startswith("Horiz")])
    with pytest.raises(RefusedError, match="is already managed by the hpa 'qwen'"):
        kubectl.apply([scaled])
