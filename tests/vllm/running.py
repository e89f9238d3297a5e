"""Containers that run, as processes with namespaces of their own."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import environment, processes, substitutions
from .container import Container

HERE = Path(__file__).parent


@dataclass
class Running:
    """A container that runs.

    Attributes:
        container: What it was made from.
        pid: Its process, which is 1 for itself.
        log: What it writes.
    """

    container: Container
    spawner: Spawner
    pid: int
    log: Path
    started: float = field(default_factory=time.monotonic)

    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        """A connection to its port."""
        return http.client.HTTPConnection("127.0.0.1", self.container.port, timeout=timeout)

    def request(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> tuple[int, str]:
        """Status and text of an answer: to a GET, or to a POST of a body."""
        connection = self.connect(timeout)
        try:
            told = {"Content-Type": "application/json", **(headers or {})}
            sent = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, sent, told)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def probe(self, name: str) -> int | None:
        """The status that a probe of the manifest gets; none where nobody listens.

        Raises:
            OSError: Somebody listens, and does not answer in time.
        """
        probe = self.container.manifest[name]
        asked = probe["httpGet"]
        headers = {one["name"]: one["value"] for one in asked.get("httpHeaders", [])}
        try:
            return self.request(
                asked["path"], headers=headers, timeout=probe.get("timeoutSeconds", 1)
            )[0]
        except ConnectionRefusedError:
            return None

    def wait_ready(self, seconds: float = 180) -> None:
        """Wait until its startup probe succeeds.

        Raises:
            RuntimeError: It ended.
            TimeoutError: It took longer.
        """
        while self.probe("startupProbe") != 200:
            if (code := self.spawner.code(self.pid)) is not None:
                raise RuntimeError(
                    f"{self.container.name} ended with {code}:\n{self.text()[-6000:]}"
                )
            if time.monotonic() - self.started > seconds:
                raise TimeoutError(f"{self.container.name} is not ready:\n{self.text()[-6000:]}")
            time.sleep(0.05)

    def inside(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command in its namespaces, as `kubectl exec` and hooks do."""
        return subprocess.Popen(
            ["nsenter", f"--target={self.pid}", "--pid", "--mount", "--root", "--wd", *command],
            env=self.container.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def engine(self) -> int:
        """The process of its engine, by the number that its log tells."""
        found = re.search(r"\(EngineCore pid=(\d+)\)", self.text())
        assert found is not None
        own = Path(f"/proc/{self.pid}/ns/pid").readlink()
        return processes.find(
            int(found[1]), lambda folder: (folder / "ns" / "pid").readlink() == own
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process 1."""
        os.kill(self.pid, number)

    def wait(self, seconds: float) -> int | None:
        """The exit code, or none if it still runs after so many seconds."""
        until = time.monotonic() + seconds
        while (code := self.spawner.code(self.pid)) is None and time.monotonic() < until:
            time.sleep(0.02)
        return code

    def delete(self) -> int:
        """End it as a kubelet ends a pod; gives the exit code."""
        grace = self.container.pod.get("terminationGracePeriodSeconds", 30)
        until = time.monotonic() + grace
        hook = self.container.manifest.get("lifecycle", {}).get("preStop", {}).get("exec")
        if hook is not None:
            process = self.inside(hook["command"])
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
        if self.spawner.code(self.pid) is None:
            self.signal(signal.SIGTERM)
        code = self.wait(until - time.monotonic())
        return self.kill() if code is None else code

    def kill(self) -> int:
        """End it and all its processes at once; gives the exit code."""
        if self.spawner.code(self.pid) is None:
            self.signal(signal.SIGKILL)
        code = self.wait(30)
        assert code is not None
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


class Spawner:
    """A process of `spawner.py`.

    Args:
        scratch: A folder for the logs and roots of its containers.
        variables: Its environment. With `fork`, that of the containers at import.
        fork: Whether containers are forks of a process that imported vLLM.
    """

    def __init__(self, scratch: Path, variables: Mapping[str, str], *, fork: bool) -> None:
        self._scratch = scratch
        self._codes: dict[int, int] = {}
        self._number = 0
        scratch.mkdir(parents=True, exist_ok=True)
        with (scratch / "spawner.log").open("wb") as log:
            self._process = subprocess.Popen(
                [environment.python(), HERE / "spawner.py", *(["--fork"] if fork else [])],
                env={**variables, **(substitutions.FORK if fork else {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._answer("ready")

    def _answer(self, wanted: str) -> Any:
        assert self._process.stdout is not None
        while True:
            line = self._process.stdout.readline()
            if not line:
                log = (self._scratch / "spawner.log").read_text(encoding="utf-8")
                raise RuntimeError(f"the spawner ended:\n{log[-3000:]}")
            if not line.startswith("{"):
                continue
            told = json.loads(line)
            if "ended" in told:
                self._codes[told["ended"]] = told["code"]
            if wanted in told:
                return told[wanted]

    def start(self, container: Container) -> Running:
        """Start a container."""
        self._number += 1
        name = f"{self._number}-{container.name}"
        log = self._scratch / f"{name}.log"
        told = {
            "command": container.command,
            "environment": container.environment,
            "mounts": [
                {
                    "path": mount.path,
                    "source": None if mount.source is None else str(mount.source),
                    "readOnly": mount.read_only,
                    "size": mount.size,
                }
                for mount in container.mounts
            ],
            "programs": sorted({str(environment.folder()), str(HERE / "site"), sys.base_prefix}),
            "readOnlyRoot": container.manifest.get("securityContext", {}).get(
                "readOnlyRootFilesystem", False
            ),
            "root": str(self._scratch / name),
            "log": str(log),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        log.touch()
        return Running(container, self, self._answer("started"), log)

    def code(self, pid: int) -> int | None:
        """The exit code of a container that has ended."""
        assert self._process.stdout is not None
        if pid not in self._codes and not Path(f"/proc/{pid}").exists():
            while pid not in self._codes:
                self._answer("ended")
        return self._codes.get(pid)

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
