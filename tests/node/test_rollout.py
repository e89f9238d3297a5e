"""Rollouts, scale-downs and the drain of a node under a load of streams, through a real proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster import binaries, streaming
from tests.cluster.kubectl import Kubectl, wait_for
from tests.vllm.client import Load, Stream
from vllm_constructs.workloads.workload import INSTANCE_LABEL

from . import model
from .conftest import Deployed
from .node import NAME

CLIENTS = 4
TOKENS = 300
SILENCE = 20
"""Seconds without a token after which a client gives up."""


@pytest.fixture(scope="module")
def proxy(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Debian's nginx before the Service, with what an ingress of ours sets; gives its port."""
    settings = {"proxy_http_version": "1.1", "proxy_buffering": "off", "proxy_read_timeout": "300s"}
    folder = tmp_path_factory.mktemp("nginx")
    try:
        with streaming.nginx(folder, model.PORT, "/", settings, deployed.address) as client:
            yield client.port
    except binaries.MissingError as missing:
        pytest.skip(str(missing))


def _load(port: int, clients: int = CLIENTS) -> Load:
    def make() -> Stream:
        headers = model.HEADERS | {"Host": streaming.HOST}
        return Stream(port, model.MODEL, TOKENS, headers=headers, timeout=SILENCE)

    return Load(make, clients)


def _names(deployed: Deployed) -> set[str]:
    return {pod["metadata"]["name"] for pod in deployed.pods()}


def test_rollout(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """A rollout loses no request: the new pod is ready before the old one drains."""
    before = _names(deployed)
    with _load(proxy) as load:
        time.sleep(3)
        _restart(kubectl)
        wait_for("the old pod to drain", lambda: not before & _names(deployed), 300)
        deployed.wait_ready()
        time.sleep(3)
    assert [] == load.lost
    assert load.complete > 3 * CLIENTS


def _restart(kubectl: Kubectl) -> None:
    kubectl.run("rollout", "restart", f"deployment/{model.MODEL}", "-n", model.SPACE)


def _scale(kubectl: Kubectl, replicas: int) -> None:
    name = f"deployment/{model.MODEL}"
    kubectl.run("scale", name, "-n", model.SPACE, f"--replicas={replicas}")


def test_node_drain(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """`kubectl drain` of a node with two pods: the budget keeps one until the other is replaced."""
    (budget,) = (one for one in model.render(2) if one["kind"] == "PodDisruptionBudget")
    kubectl.create(budget)
    try:
        _scale(kubectl, 2)
        deployed.wait_ready(2)
        before = _names(deployed)
        options = ["--delete-emptydir-data", f"--pod-selector={INSTANCE_LABEL}={model.MODEL}"]
        with _load(proxy, 1) as load, kubectl.started("drain", NAME, *options) as drain:
            wait_for("the first pod to go", lambda: len(before & _all_names(kubectl)) == 1, 120)
            # It asks again every five seconds.
            time.sleep(7)
            assert len(before & _all_names(kubectl)) == 1
            assert drain.poll() is None
            # As if another node came.
            kubectl.run("uncordon", NAME)
            assert 0 == drain.wait(200)
            assert not before & _all_names(kubectl)
        deployed.wait_ready(2)
    finally:
        kubectl.run("uncordon", NAME)
        kubectl.delete([budget])
    assert [] == load.lost
    assert load.complete > 10


def _all_names(kubectl: Kubectl) -> set[str]:
    return {pod["metadata"]["name"] for pod in kubectl.items("pods", model.SPACE)}


def _deployment(spare_gpus: int) -> list[model.Manifest]:
    return [one for one in model.render(2, spare_gpus) if one["kind"] == "Deployment"]


def test_rollout_in_place(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """With no GPU to spare, a rollout of two pods loses no request: one of them always serves."""
    assert [] == kubectl.apply(_deployment(spare_gpus=0))
    deployed.wait_ready(2)
    before = _names(deployed)
    fewest = 2

    def are_replaced() -> bool:
        nonlocal fewest
        ready = deployed.ready()
        fewest = min(fewest, len(ready))
        return len(ready) == 2 and not before & ready

    try:
        with _load(proxy, 1) as load:
            _restart(kubectl)
            wait_for("both pods", are_replaced, 300)
    finally:
        kubectl.apply(_deployment(spare_gpus=1))
    assert 1 == fewest
    assert [] == load.lost
    assert load.complete > 10


def test_scale_down(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """From two pods to one, no request is lost."""
    _scale(kubectl, 2)
    deployed.wait_ready(2)
    with _load(proxy) as load:
        time.sleep(5)
        _scale(kubectl, 1)
        deployed.wait_ready(1)
        time.sleep(2)
    assert [] == load.lost
    assert load.complete > 3 * CLIENTS


def test_without_hook(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """The control: without the hook, a scale-down loses requests."""
    before = _names(deployed)
    change = '[{"op": "remove", "path": "/spec/template/spec/containers/0/lifecycle"}]'
    kubectl.run(
        *("patch", "deployment", model.MODEL, "-n", model.SPACE),
        *("--type=json", f"--patch={change}"),
    )
    wait_for("the old pod to end", lambda: not before & _names(deployed), 300)
    deployed.wait_ready()
    _scale(kubectl, 2)
    deployed.wait_ready(2)
    with _load(proxy) as load:
        time.sleep(5)
        _scale(kubectl, 1)
        wait_for("a lost request", lambda: load.lost, 60)
