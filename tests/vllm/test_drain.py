"""What happens to requests when a pod stops, with the drain hook and without."""

from __future__ import annotations

import signal
import time

from tests.cluster.kubectl import wait_for
from vllm_constructs import Drain

from .client import Stream, speed
from .conftest import Deploy, Start
from .running import Running

NAME = "Qwen/Qwen2.5-7B-Instruct"
PAUSE = 3
COUNT = 4


def test_within(start: Start, deploy: Deploy) -> None:
    """Streams that end within the drain are complete, and the pod ends soon after them."""
    running = start(deploy(drain=Drain(seconds=60, pre_stop=PAUSE)))
    running.wait_ready()
    port = running.container.port
    tokens = int(speed(port, NAME, COUNT) * 10)
    streams = [Stream.begun(port, NAME, tokens) for _ in range(COUNT)]

    running.delete()
    ended = time.monotonic()
    for stream in streams:
        stream.join()
        assert stream.is_complete, (stream.error, stream.events[-2:])
    last = max(stream.ended for stream in streams)
    assert last - streams[0].began > PAUSE + 1
    assert ended - last < 10


def test_longer(start: Start, deploy: Deploy) -> None:
    """Streams longer than the drain end with an error event and [DONE], and the pod ends early."""
    seconds = 4
    container = deploy(drain=Drain(seconds=seconds, pre_stop=PAUSE))
    running = start(container)
    running.wait_ready()
    port = running.container.port
    tokens = int(speed(port, NAME, COUNT) * 60)
    streams = [Stream.begun(port, NAME, tokens) for _ in range(COUNT)]

    begun = time.monotonic()
    running.delete()
    ended = time.monotonic() - begun
    for stream in streams:
        stream.join()
        assert stream.is_done
        assert not stream.is_complete
        assert stream.failure is not None
        assert stream.ended - begun < PAUSE + seconds + 3
    assert ended < container.pod["terminationGracePeriodSeconds"]


def test_new_requests(start: Start, deploy: Deploy) -> None:
    """Requests that come in the pause and the drain are answered."""
    running = start(deploy(drain=Drain(seconds=60, pre_stop=PAUSE)))
    running.wait_ready()
    port = running.container.port
    long = Stream.begun(port, NAME, int(speed(port, NAME, 1) * 8))
    hook = running.inside(running.container.manifest["lifecycle"]["preStop"]["exec"]["command"])
    answered = 0
    while long.is_alive():
        stream = Stream.begun(port, NAME, 5)
        stream.join()
        assert stream.is_complete
        answered += 1
        time.sleep(0.2)
    assert 0 == hook.wait(30)
    assert answered > 4


def test_idle(start: Start, deploy: Deploy) -> None:
    """A pod without requests ends a few seconds after the pause."""
    running = start(deploy(drain=Drain(seconds=60, pre_stop=PAUSE)), fork=False)
    running.wait_ready()
    begun = time.monotonic()

    assert 0 == running.delete()
    assert PAUSE < time.monotonic() - begun < PAUSE + 10


def test_without_hook(start: Start, deploy: Deploy) -> None:
    """The control: at SIGTERM vLLM itself ends its engine, and loses every stream.

    Whether they end with an abort or stay open and silent is a race in vLLM.
    """
    running = start(deploy(), fork=False)
    running.wait_ready()
    port = running.container.port
    streams = [Stream.begun(port, NAME, 20_000, timeout=8) for _ in range(COUNT)]
    running.signal(signal.SIGTERM)
    begun = time.monotonic()
    for stream in streams:
        stream.join()
        assert not stream.is_complete
        assert stream.began + stream.events[-1][0] < begun + 3


def test_own_drain(start: Start, deploy: Deploy) -> None:
    """The control: vLLM's own drain ends new requests with an error, and its probes succeed."""
    container = deploy()
    container.command.append("--shutdown-timeout=30")
    running = start(container, fork=False)
    running.wait_ready()
    port = running.container.port
    stream = Stream.begun(port, NAME, int(speed(port, NAME, 1) * 8))
    running.signal(signal.SIGTERM)
    time.sleep(2)
    assert stream.is_alive()
    assert 500 == running.request("/v1/completions", {"model": NAME, "prompt": "A pod is"})[0]
    assert 200 == running.probe("readinessProbe")
    stream.join()
    assert stream.is_complete


def _ends_early(running: Running) -> None:
    assert running.probe("startupProbe") is None
    begun = time.monotonic()
    running.delete()
    assert time.monotonic() - begun < 20 < running.container.pod["terminationGracePeriodSeconds"]


def test_loading(start: Start, deploy: Deploy) -> None:
    """A pod that is deleted while it imports vLLM ends soon, though process 1 ignores SIGTERM."""
    running = start(deploy(drain=Drain(seconds=300, pre_stop=PAUSE)), fork=False)
    time.sleep(1)
    running.signal(signal.SIGTERM)
    assert running.wait(2) is None
    _ends_early(running)


def test_loading_engine(start: Start, deploy: Deploy) -> None:
    """A pod that is deleted while its engine loads ends soon."""
    running = start(deploy(drain=Drain(seconds=300, pre_stop=PAUSE)), fork=False)
    wait_for("the engine", lambda: "(EngineCore pid=" in running.text(), 120, 0.05)
    _ends_early(running)
