"""Streams of the real vLLM through nginx, with the directives of our annotations and without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.cluster import binaries, streaming
from tests.cluster.nginx_directives import F5
from vllm_constructs import ModelDeployment, StreamingIngress, WholeGpu

from .client import Stream
from .conftest import Spawners
from .container import Container, Running
from .substitutions import substitute

NAME = "Qwen/Qwen2.5-7B-Instruct"
HEADERS = {"Host": streaming.HOST}
MIB = 1024 * 1024
SENTENCE = "A pod is a group of containers. "
SHORTER = 100
"""What is rendered is a hundred times as long as the server's keep-alive here."""

pytestmark = pytest.mark.xdist_group("streaming")


@dataclass
class Fronts:
    """nginx twice before one vLLM: with F5's defaults, and with our annotations."""

    running: Running
    default: int
    ours: int

    def stream(self, port: int, tokens: int, prompt: str = "A pod is") -> Stream:
        """A stream that has ended."""
        found = Stream(port, NAME, tokens, headers=HEADERS, prompt=prompt)
        found.run()
        return found


@pytest.fixture(scope="module")
def fronts(spawners: Spawners, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    """VLLM and both."""
    folder = tmp_path_factory.mktemp("streaming")
    chart = Chart(App(), "test", namespace="llm")
    model = ModelDeployment(chart, "qwen", model=NAME, gpu=WholeGpu("NVIDIA-L40S"))
    StreamingIngress(chart, "front", target=model, host=streaming.HOST, controller=F5.controller)
    objects: list[dict[str, Any]] = chart.to_json()
    (workload,) = (item for item in objects if item["kind"] == "Deployment")
    (ingress,) = (item for item in objects if item["kind"] == "Ingress")
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    container = Container.read(workload, objects, folder / "container")
    substitute(container)
    seconds = int(container.environment["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"])
    container.environment["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"] = str(seconds // SHORTER)
    with ExitStack() as stack:
        running = stack.enter_context(spawners.start(container, fork=True))
        running.wait_ready()
        ports = []
        for name, given in (("default", {}), ("ours", ingress["metadata"]["annotations"])):
            own = folder / name
            own.mkdir()
            try:
                front = streaming.nginx(own, container.port, path["path"], F5.directives(given))
                ports.append(stack.enter_context(front).port)
            except binaries.MissingError as missing:
                pytest.skip(str(missing))
        yield Fronts(running, *ports)


def test_events(fronts: Fronts) -> None:
    """Events come one by one, to the last: `[DONE]`."""
    found = fronts.stream(fronts.ours, 40)
    assert found.is_complete
    times = [seconds for seconds, _ in found.events]
    assert times[0] < times[-1] / 2
    assert len(set(times)) > 10


def test_long_prompt(fronts: Fronts) -> None:
    """With a long prompt nginx by default gives up before the first token, and not with ours."""
    count, found = 1000, Stream(0, NAME, 0)
    # Twice as long as nginx waits by default, on this machine; each prompt starts otherwise, since
    # vLLM keeps those that it has seen.
    while count < 16000 and (not found.events or found.events[0][0] < 1.6):
        count = int(count * 1.3)
        found = fronts.stream(fronts.ours, 5, f"{count} {SENTENCE * count}")
        assert found.is_complete, (found.status, found.events[-1:])
    assert not fronts.stream(fronts.default, 5, f"Now {SENTENCE * count}").is_complete


def test_body(fronts: Fronts) -> None:
    """A body of nearly 100 MiB reaches vLLM, which rejects its prompt; a larger one does not."""
    assert 400 == fronts.stream(fronts.ours, 5, "a" * (99 * MIB)).status
    assert 413 == streaming.Client(port=fronts.ours).status_of_size(101 * MIB)


def test_keep_alive(fronts: Fronts) -> None:
    """An idle connection stays open for as long as the manifest says, and no longer."""
    (given,) = (
        int(one["value"])
        for one in fronts.running.container.manifest["env"]
        if one["name"] == "VLLM_HTTP_TIMEOUT_KEEP_ALIVE"
    )
    seconds = given // SHORTER
    connection = fronts.running.connect()
    connection.request("GET", "/health")
    connection.getresponse().read()
    time.sleep(seconds - 1)
    connection.request("GET", "/health")
    assert 200 == connection.getresponse().status
    connection.close()

    connection = fronts.running.connect()
    connection.request("GET", "/health")
    connection.getresponse().read()
    connection.sock.settimeout(seconds + 3)
    assert b"" == connection.sock.recv(1)
    connection.close()
