"""What the endpoints of the probes say while vLLM loads, serves and drains, and when it dies."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.support import load_yaml
from vllm_constructs import ApiKey, Drain

from .client import Stream
from .conftest import Deploy, Start
from .container import SECRET, Container
from .running import Running

FLEET = Path(__file__).parents[2] / "examples" / "fleet" / "dist" / "models.k8s.yaml"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
NAME = "Qwen/Qwen2.5-7B-Instruct"


def _probes(running: Running) -> set[int | None]:
    return {running.probe(name) for name in PROBES}


def test_loading(start: Start, deploy: Deploy) -> None:
    """While vLLM loads nobody listens; all three probes succeed when it serves."""
    running = start(deploy(), fork=False)
    seen: list[set[int | None]] = []
    until = time.monotonic() + 180
    while 200 not in (found := _probes(running)):
        seen.append(found)
        assert running.wait(0.1) is None, running.text()
        assert time.monotonic() < until

    assert len(seen) > 10
    assert [{None}] * len(seen) == seen
    assert {200} == _probes(running)
    status, text = running.request("/v1/models")
    assert (200, True) == (status, NAME in text)


def test_api_key(start: Start, deploy: Deploy) -> None:
    """With an API key the probes need none, and requests do."""
    running = start(deploy(api_key=ApiKey.from_secret("keys", key="api-key")))
    running.wait_ready()

    assert {200} == _probes(running)
    assert 401 == running.request("/v1/models")[0]
    assert 200 == running.request("/v1/models", headers={"Authorization": f"Bearer {SECRET}"})[0]
    assert 200 == running.request("/metrics")[0]


def test_root_path(start: Start, tmp_path: Path) -> None:
    """Behind a path of a fleet the probes succeed, and the API answers with and without it."""
    objects = load_yaml(FLEET)
    (workload,) = (one for one in objects if one["kind"] == "Deployment" and _is_qwen(one))
    running = start(Container.read(workload, objects, tmp_path))
    running.wait_ready()

    assert "--root-path=/qwen-7b" in running.container.command
    assert {200} == _probes(running)
    assert [200, 200] == [running.request(path)[0] for path in ("/v1/models", "/qwen-7b/v1/models")]


def _is_qwen(item: dict[str, Any]) -> bool:
    return bool(item["metadata"]["name"] == "qwen-7b")


def test_draining(start: Start, deploy: Deploy) -> None:
    """While the hook waits for a stream, the probes still succeed."""
    running = start(deploy(drain=Drain(seconds=60, pre_stop=2)))
    running.wait_ready()
    stream = Stream.begun(running.container.port, NAME, 1500)
    hook = running.inside(running.container.manifest["lifecycle"]["preStop"]["exec"]["command"])
    rounds = 0
    while stream.is_alive():
        assert {200} == _probes(running)
        rounds += hook.poll() is None
        time.sleep(0.2)
    assert rounds > 10
    assert 0 == hook.wait(30)
    assert stream.is_complete


def test_dead_engine(start: Start, deploy: Deploy) -> None:
    """A dead engine ends the container within seconds, with exit code 0, so it is restarted."""
    running = start(deploy())
    running.wait_ready()
    os.kill(running.engine(), signal.SIGKILL)
    assert 0 == running.wait(30)
