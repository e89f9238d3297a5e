"""Rollouts, scale-downs and evictions under a constant load of streams, through a real proxy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.cluster import binaries, streaming
from tests.cluster.kubectl import Kubectl, RefusedError, wait_for
from tests.vllm.client import Load, Stream

from . import model
from .conftest import Deployed

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


def _load(port: int) -> Load:
    def make() -> Stream:
        headers = model.HEADERS | {"Host": streaming.HOST}
        return Stream(port, model.MODEL, TOKENS, headers=headers, timeout=SILENCE)

    return Load(make, CLIENTS)


def _names(deployed: Deployed) -> set[str]:
    return {pod["metadata"]["name"] for pod in deployed.pods()}


def test_rollout(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """A rollout loses no request: the new pod is ready before the old one drains."""
    before = _names(deployed)
    with _load(proxy) as load:
        time.sleep(3)
        kubectl.run("rollout", "restart", f"deployment/{model.MODEL}", "-n", model.SPACE)
        wait_for("the old pod to drain", lambda: not before & _names(deployed), 300)
        deployed.wait_ready()
        time.sleep(3)
    assert [] == load.lost
    assert load.complete > 3 * CLIENTS


def _scale(kubectl: Kubectl, replicas: int) -> None:
    name = f"deployment/{model.MODEL}"
    kubectl.run("scale", name, "-n", model.SPACE, f"--replicas={replicas}")


def test_eviction(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """An eviction loses no request, and the budget blocks another one until the pod is replaced."""
    (budget,) = (one for one in model.render(2) if one["kind"] == "PodDisruptionBudget")
    kubectl.create(budget)
    try:
        _scale(kubectl, 2)
        deployed.wait_ready(2)
        first, second = (pod["metadata"]["name"] for pod in deployed.pods())
        wait_for("the budget", lambda: _may_evict(kubectl, second, dry_run=True))
        with _load(proxy) as load:
            time.sleep(3)
            assert _may_evict(kubectl, first)
            assert not _may_evict(kubectl, second)
            wait_for("the pod to go", lambda: first not in _all_names(kubectl), 120)
            deployed.wait_ready(2)
    finally:
        kubectl.delete([budget])
    assert [] == load.lost
    assert load.complete > 3 * CLIENTS


def _all_names(kubectl: Kubectl) -> set[str]:
    return {pod["metadata"]["name"] for pod in kubectl.items("pods", model.SPACE)}


def _may_evict(kubectl: Kubectl, pod: str, *, dry_run: bool = False) -> bool:
    """Ask for an eviction, as `kubectl drain` does; gives whether it is allowed."""
    options = {"deleteOptions": {"dryRun": ["All"]}} if dry_run else {}
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": model.SPACE},
    }
    path = f"/api/v1/namespaces/{model.SPACE}/pods/{pod}/eviction"
    try:
        kubectl.run("create", f"--raw={path}", "-f", "-", given=json.dumps(eviction | options))
    except RefusedError as refused:
        if "disruption budget" not in str(refused):
            raise
        return False
    return True


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
