"""Streams of the real vLLM through nginx and Traefik.

nginx has the directives of our annotations, or a controller's defaults; Traefik finds vLLM by our
Ingress in a real API server. All timeouts are divided by `FASTER`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from cdk8s import App, Chart

from tests.cluster import binaries, streaming, traefik
from tests.cluster.bed import Bed
from tests.cluster.kubectl import make_namespace
from tests.cluster.nginx_directives import F5
from vllm_constructs import ModelDeployment, StreamingIngress, WholeGpu

from .client import Stream
from .conftest import Spawners
from .container import Container
from .running import Running

SPACE = "llm"
NAME = "Qwen/Qwen2.5-7B-Instruct"
HEADERS = {"Host": streaming.HOST}
MIB = 1024 * 1024
SENTENCE = "A pod is a group of containers. "
SHORTER = 100
"""What is rendered is a hundred times as long as the server's keep-alive here."""

pytestmark = pytest.mark.xdist_group("streaming")


SILENCE = 2.2
"""Seconds of silence: twice as long as nginx waits by default, here."""

OURS = ("ours", "traefik")

through = pytest.mark.parametrize("front", OURS)


@dataclass
class Fronts:
    """What stands before one vLLM.

    Attributes:
        running: vLLM.
        ports: nginx with F5's defaults, nginx with our annotations, and Traefik.
    """

    running: Running
    ports: dict[str, int]

    def stream(self, front: str, tokens: int, prompt: str = "A pod is") -> Stream:
        """A stream that has ended."""
        found = Stream(self.ports[front], NAME, tokens, headers=HEADERS, prompt=prompt)
        found.run()
        return found


@pytest.fixture(scope="module")
def fronts(spawners: Spawners, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    """All of it."""
    folder = tmp_path_factory.mktemp("streaming")
    chart = Chart(App(), "test", namespace=SPACE)
    model = ModelDeployment(chart, "qwen", model=NAME, gpu=WholeGpu("NVIDIA-L40S"))
    StreamingIngress(chart, "front", target=model, host=streaming.HOST, controller=F5.controller)
    objects: list[dict[str, Any]] = chart.to_json()
    (ingress,) = (item for item in objects if item["kind"] == "Ingress")
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    container = Container.only(objects, folder / "container")
    seconds = int(container.environment["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"])
    container.environment["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"] = str(seconds // SHORTER)
    with ExitStack() as stack:
        running = stack.enter_context(spawners.start(container))
        ports = {}
        try:
            for name, given in (("default", {}), ("ours", ingress["metadata"]["annotations"])):
                own = folder / name
                own.mkdir()
                front = streaming.nginx(own, container.port, path["path"], F5.directives(given))
                ports[name] = stack.enter_context(front).port
            bed = stack.enter_context(Bed(binaries.versions()[0], simulates_nodes=False))
            make_namespace(bed.kubectl, SPACE)
            running.wait_ready()
            controller = stack.enter_context(traefik.running(bed, SPACE, container.port))
            ports["traefik"] = controller.plain.port
        except binaries.MissingError as missing:
            pytest.skip(str(missing))
        yield Fronts(running, ports)


@through
def test_events(fronts: Fronts, front: str) -> None:
    """Events come one by one, to the last: `[DONE]`."""
    found = fronts.stream(front, 40)
    assert found.is_complete
    times = [seconds for seconds, _ in found.events]
    assert times[0] < times[-1] / 2
    assert len(set(times)) > 10


def test_pause(fronts: Fronts) -> None:
    """When vLLM makes no token for a while, nginx by default cuts the stream; ours do not."""
    streams = {
        name: Stream.begun(port, NAME, 800, headers=HEADERS) for name, port in fronts.ports.items()
    }
    engine = fronts.running.engine()
    os.kill(engine, signal.SIGSTOP)
    time.sleep(SILENCE)
    os.kill(engine, signal.SIGCONT)
    for stream in streams.values():
        stream.join()
    complete = {name: stream.is_complete for name, stream in streams.items()}
    assert complete == {"default": False, "ours": True, "traefik": True}


def test_long_prompt(fronts: Fronts) -> None:
    """Before the first token of a long prompt nginx by default gives up, and ours do not."""
    count, found = 1000, Stream(0, NAME, 0)
    # Twice as long as nginx waits by default, on this machine; each prompt starts otherwise, since
    # vLLM keeps those that it has seen.
    while count < 16000 and (not found.events or found.events[0][0] < 1.6):
        count = int(count * 1.3)
        found = fronts.stream("ours", 5, f"{count} {SENTENCE * count}")
        assert found.is_complete, (found.status, found.events[-1:])
    assert not fronts.stream("default", 5, f"Now {SENTENCE * count}").is_complete
    assert fronts.stream("traefik", 5, f"Then {SENTENCE * count}").is_complete


@through
def test_body(fronts: Fronts, front: str) -> None:
    """A body of nearly 100 MiB reaches vLLM, which rejects its prompt."""
    assert 400 == fronts.stream(front, 5, "a" * (99 * MIB)).status


def test_larger_body(fronts: Fronts) -> None:
    """A body above 100 MiB does not pass nginx with our annotations."""
    assert 413 == streaming.Client(port=fronts.ports["ours"]).status_of_size(101 * MIB)


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
