"""The preStop hook: what it counts, when it ends, and that it ends an engine that hangs on."""

import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vllm_constructs.workloads import drain_hook

HOOK = Path(drain_hook.__file__).read_text(encoding="utf-8")


class Server:
    """A server with vLLM's metrics on the loopback interface."""

    def __init__(self) -> None:
        self.metrics = ""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = server.metrics.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def set(self, running: int, waiting: int = 0) -> None:
        """Set the numbers of requests, of two engines."""
        labels = 'model_name="m"'
        self.metrics = textwrap.dedent(f"""\
            # TYPE vllm:num_requests_running gauge
            vllm:num_requests_running{{engine="0",{labels}}} {float(running)}
            vllm:num_requests_running{{engine="1",{labels}}} 0.0
            vllm:num_requests_waiting{{engine="0",{labels}}} {float(waiting)}
            vllm:num_requests_waiting_by_reason{{engine="0",{labels}}} 9.0
            """)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server, which ends with the test."""
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the engine was ended."""
    found: list[float] = []
    monkeypatch.setattr(drain_hook, "end_engine", lambda: found.append(time.monotonic()))
    return found


def test_requests(server: Server) -> None:
    """Running and waiting requests of all engines count; without metrics there may be some."""
    server.set(3, 2)
    assert drain_hook.requests(server.port) == 5
    server.set(0)
    assert drain_hook.requests(server.port) == 0
    server.metrics = "# nothing\n"
    assert drain_hook.requests(server.port) == 1


def test_idle(server: Server, ended: list[float]) -> None:
    """The hook ends soon after the pause if there is no request, and ends no engine."""
    server.set(0)
    start = time.monotonic()
    drain_hook.drain(server.port, 1, 60)

    assert 1 <= time.monotonic() - start < 10
    assert ended == []


def test_finishing(server: Server, ended: list[float]) -> None:
    """It waits for requests, and ends when they have ended."""
    server.set(1)
    threading.Timer(2, lambda: server.set(0)).start()
    start = time.monotonic()
    drain_hook.drain(server.port, 1, 60)

    assert 2 <= time.monotonic() - start < 20
    assert ended == []


def test_too_long(server: Server, ended: list[float]) -> None:
    """Requests that take longer than the drain are ended, right after it."""
    server.set(1)
    start = time.monotonic()
    drain_hook.drain(server.port, 1, 2)

    assert len(ended) == 1
    assert 3 <= ended[0] - start < 8


def test_not_serving(server: Server, ended: list[float]) -> None:
    """A server that does not serve has nothing to drain."""
    server.http.shutdown()
    server.http.server_close()
    start = time.monotonic()
    drain_hook.drain(server.port, 60, 60)

    assert len(ended) == 1
    assert ended[0] - start < 5


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), IncompleteRead(b"")])
def test_hanging(error: Exception, ended: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer three times is ended, whatever comes instead."""

    def hang(_: int) -> float:
        raise error

    monkeypatch.setattr(drain_hook, "requests", hang)
    drain_hook.drain(1, 60, 60)

    assert len(ended) == 1


SERVER = """
import signal, subprocess, sys
# As vLLM while it loads: it ignores SIGTERM, and ends with its engine.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
engine = subprocess.Popen(["sleep", "600"])
print("started", flush=True)
engine.wait()
"""


@pytest.mark.parametrize("name", ["vllm", "other"])
def test_process_one(name: str, tmp_path: Path) -> None:
    """In a container the engine is ended, and so its server; never beside another process 1."""
    if os.geteuid() or not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("only root can make a PID namespace here")
    script = tmp_path / f"{name}.py"
    script.write_text(SERVER, encoding="utf-8")
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    first = subprocess.Popen(
        [*command, sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout
        assert first.stdout.readline() == "started\n"
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text(encoding="utf-8")
        enter = ["nsenter", "--target", children.split()[0], "--pid", "--mount"]
        # Nothing listens on this port.
        hook = subprocess.Popen([*enter, sys.executable, "-c", HOOK, "1", "60", "60"])
        if name == "vllm":
            first.wait(timeout=20)
        else:
            assert hook.wait(timeout=20) == 0
            assert first.poll() is None
        hook.kill()
        hook.wait()
    finally:
        first.kill()
        first.wait()
        first.stdout.close() if first.stdout else None
