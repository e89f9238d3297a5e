"""Rollouts, scale-downs and evictions under a constant load of streams, through a real proxy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import binaries, streaming
from tests.cluster.kubectl import Kubectl, wait_for
from tests.vllm.client import Stream

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


class Load:
    """Clients, each with one stream after the other."""

    def __init__(self) -> None:
        self.complete = 0
        self.lost: list[str] = []

    @contextmanager
    def running(self, port: int) -> Iterator[None]:
        """Run them."""
        stopped = threading.Event()

        def ask() -> None:
            while not stopped.is_set():
                headers = model.HEADERS | {"Host": streaming.HOST}
                stream = Stream(port, model.MODEL, TOKENS, headers=headers, timeout=SILENCE)
                stream.run()
                if stream.is_complete:
                    self.complete += 1
                else:
                    self.lost.append(f"{stream.status} {stream.error} {stream.events[-1:]}")

        threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopped.set()
            for thread in threads:
                thread.join()


def _names(deployed: Deployed) -> set[str]:
    return {pod["metadata"]["name"] for pod in deployed.pods()}


def test_rollout(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """A rollout loses no request: the new pod is ready before the old one drains."""
    before = _names(deployed)
    load = Load()
    with load.running(proxy):
        time.sleep(3)
        kubectl.run("rollout", "restart", f"deployment/{model.MODEL}", "-n", model.SPACE)
        wait_for("the old pod to drain", lambda: not before & _names(deployed), 300)
        deployed.wait_ready()
        time.sleep(3)
    assert [] == load.lost
    assert load.complete > 3 * CLIENTS


def test_scale_down(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """From two pods to one, no request is lost."""
    scale = ("scale", f"deployment/{model.MODEL}", "-n", model.SPACE)
    kubectl.run(*scale, "--replicas=2")
    deployed.wait_ready(2)
    load = Load()
    with load.running(proxy):
        time.sleep(5)
        kubectl.run(*scale, "--replicas=1")
        deployed.wait_ready(1)
        time.sleep(2)
    assert [] == load.lost
    assert load.complete > 3 * CLIENTS


def test_without_hook(deployed: Deployed, kubectl: Kubectl, proxy: int) -> None:
    """The control: without the hook, a scale-down loses requests."""
    scale = ("scale", f"deployment/{model.MODEL}", "-n", model.SPACE)
    before = _names(deployed)
    change = '[{"op": "remove", "path": "/spec/template/spec/containers/0/lifecycle"}]'
    kubectl.run(
        *("patch", "deployment", model.MODEL, "-n", model.SPACE),
        *("--type=json", f"--patch={change}"),
    )
    wait_for("the old pod to end", lambda: not before & _names(deployed), 300)
    deployed.wait_ready()
    kubectl.run(*scale, "--replicas=2")
    deployed.wait_ready(2)
    load = Load()
    with load.running(proxy):
        time.sleep(5)
        kubectl.run(*scale, "--replicas=1")
        wait_for("a lost request", lambda: load.lost, 60)
