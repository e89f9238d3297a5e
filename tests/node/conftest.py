"""Fixtures of the tests on a real node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.cluster import binaries
from tests.cluster.api import RefusedError
from tests.cluster.bed import Bed, is_isolated
from tests.cluster.kubectl import Kubectl, wait_for
from tests.cluster.nodes import condition
from tests.vllm.client import Stream

from . import model
from .node import Node, why_missing

HERE = Path(__file__).parent
RELEASE = "1.34"
"""The last release whose kubelet takes version 1 of cgroups as it is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a plain word, where no node was asked for or none can run."""
    reason = why_missing()
    if os.environ.get("TEST_NODE") != "1":
        reason = reason or "these start a node: `make test-node` runs them"
    elif not is_isolated():
        reason = reason or "no node: this machine gives tests no network of their own"
    if reason is not None:
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The control plane."""
    try:
        made = Bed(RELEASE, simulates_nodes=False).__enter__()
    except binaries.MissingError as missing:
        pytest.skip(str(missing))
    try:
        if made.missing is not None:
            pytest.skip(made.missing)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def node(bed: Bed) -> Iterator[Node]:
    """The node, ready and with two GPUs."""
    with Node(bed) as made:
        yield made


@pytest.fixture(scope="session")
def kubectl(bed: Bed) -> Kubectl:
    """The client."""
    return bed.kubectl


@dataclass
class Deployed:
    """The model, applied and ready.

    Attributes:
        kubectl: The client.
        address: The address of its Service.
    """

    kubectl: Kubectl
    address: str

    def pods(self) -> list[dict[str, Any]]:
        """Its pods that are not being deleted, the oldest first."""
        found = self.kubectl.running("pods", model.SPACE)
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def ready(self) -> set[str]:
        """The names of those that are ready."""
        return {
            pod["metadata"]["name"]
            for pod in self.pods()
            if condition(pod, "Ready").get("status") == "True"
        }

    def execute(self, *command: str) -> str:
        """Run a command in its container; gives what it prints."""
        (pod, *_) = self.pods()
        name = pod["metadata"]["name"]
        return self.kubectl.run("exec", "-n", model.SPACE, name, "--", *command).stdout

    def stream(self, tokens: int) -> Stream:
        """A stream that has begun."""
        return Stream.begun(
            model.PORT, model.MODEL, tokens, headers=model.HEADERS, host=self.address
        )

    def wait_ready(self, replicas: int = 1, seconds: float = 300) -> None:
        """Wait until so many pods are ready, and no other is there."""

        def is_ready() -> bool:
            found = self.kubectl.items("pods", model.SPACE)
            states = [
                status["ready"]
                for pod in found
                for status in pod["status"].get("containerStatuses", [{"ready": False}])
            ]
            return states == [True] * replicas

        wait_for("the pods", is_ready, seconds)
        self.wait_reached()

    def wait_reached(self) -> None:
        """Wait until its Service leads to a pod: kube-proxy learns of one a little later."""

        def is_reached() -> bool:
            try:
                url = f"http://{self.address}:{model.PORT}/health"
                return urllib3.request("GET", url, retries=False, timeout=3).status == 200
            except urllib3.exceptions.HTTPError:
                return False

        wait_for("the Service", is_reached, 60)


@pytest.fixture(scope="session")
def deployed(node: Node, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The model, ready for the first time."""
    objects = model.render()
    spaces = [item for item in objects if item["kind"] == "Namespace"]
    kubectl.create(*spaces, *model.cluster(tmp_path_factory.mktemp("weights")))
    assert [] == kubectl.apply(objects)
    try:
        kubectl.run(
            *("rollout", "status", f"deployment/{model.MODEL}", "-n", model.SPACE),
            "--timeout=400s",
        )
    except RefusedError as refused:
        pods = kubectl.run("describe", "pods", "-n", model.SPACE).stdout
        raise RuntimeError(f"{refused}\n{pods[-6000:]}\n{node.log('kubelet')}") from refused
    address: str = kubectl.get("service", model.MODEL, model.SPACE)["spec"]["clusterIP"]
    found = Deployed(kubectl, address)
    found.wait_reached()
    return found
