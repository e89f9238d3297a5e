"""Containers of rendered pods, run as processes with the real vLLM.

`Container` reads a pod as a kubelet does: command and args with `$(NAME)` replaced, environment,
volumes at their paths. `Spawner` runs it; `Running` is the handle.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vllm_constructs.kube import quantity

from . import environment

Manifest = dict[str, Any]

HERE = Path(__file__).parent
SECRET = "secret-of-the-tests"
POD = {
    "metadata.name": "pod-of-the-tests",
    "metadata.namespace": "llm",
    "metadata.uid": "00000000-0000-0000-0000-000000000000",
    "spec.nodeName": "node-of-the-tests",
    "status.podIP": "127.0.0.1",
    "status.hostIP": "127.0.0.1",
}
REFERENCE = re.compile(r"\$\$|\$\(([^)]+)\)")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume at a path of a container."""

    path: str
    source: Path | None
    """A folder or file of this machine; memory where there is none."""
    read_only: bool = False
    size: int | None = None


@dataclass(kw_only=True)
class Container:
    """A container as a kubelet starts it.

    Attributes:
        name: Of the workload.
        command: Command and arguments.
        environment: All variables.
        mounts: Its volumes.
        manifest: The container of the pod.
        pod: The pod's spec.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    mounts: list[Mount]
    manifest: Manifest
    pod: Manifest

    @classmethod
    def read(cls, workload: Manifest, objects: Sequence[Manifest], scratch: Path) -> Self:
        """The first container of a workload.

        Args:
            workload: A Deployment or something else with a pod template.
            objects: What is rendered with it, ConfigMaps among them.
            scratch: A folder for volumes.
        """
        pod = workload["spec"]["template"]["spec"]
        manifest = pod["containers"][0]
        space = workload["metadata"].get("namespace")
        kept = _Objects(objects, space)
        variables: dict[str, str] = {}
        for entry in manifest.get("env", []):
            value = kept.variable(entry)
            variables[entry["name"]] = expanded(value, variables)
        words = [*manifest.get("command", []), *manifest.get("args", [])]
        return cls(
            name=workload["metadata"]["name"],
            command=[expanded(word, variables) for word in words],
            environment=variables,
            mounts=_mounts(pod, manifest, kept, scratch),
            manifest=manifest,
            pod=pod,
        )

    @property
    def port(self) -> int:
        """The port that its probes ask."""
        asked = self.manifest["startupProbe"]["httpGet"]["port"]
        ports = {port.get("name"): port["containerPort"] for port in self.manifest["ports"]}
        found: int = ports.get(asked, asked)
        return found

    def path(self, path: str) -> Path:
        """Where a path of one of its volumes is on this machine.

        Raises:
            LookupError: No volume is there, so that a pod would not find it either.
        """
        for mount in sorted(self.mounts, key=lambda mount: -len(mount.path)):
            if mount.source is not None and Path(path).is_relative_to(mount.path):
                return mount.source / Path(path).relative_to(mount.path)
        raise LookupError(f"{self.name} has no volume at {path}")

    def place(self, path: str, source: Path) -> None:
        """Copy a folder to a path of one of its volumes."""
        shutil.copytree(source, self.path(path), dirs_exist_ok=True)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """A text with `$(NAME)` replaced, as Kubernetes does it; unknown names stay."""
    return REFERENCE.sub(
        lambda found: "$" if found[1] is None else variables.get(found[1], found[0]), text
    )


@dataclass
class _Objects:
    objects: Sequence[Manifest]
    namespace: str | None

    def data(self, kind: str, name: str) -> dict[str, bytes]:
        """The keys of a ConfigMap or Secret; none where users make it themselves."""
        for item in self.objects:
            metadata = item["metadata"]
            if (item["kind"], metadata["name"]) == (kind, name) and (
                metadata.get("namespace") == self.namespace
            ):
                plain = {key: text.encode() for key, text in item.get("data", {}).items()}
                if kind == "Secret":
                    plain = {key: base64.b64decode(text) for key, text in plain.items()}
                texts = item.get("stringData", {}).items()
                return plain | {key: text.encode() for key, text in texts}
        return {}

    def variable(self, entry: Manifest) -> str:
        """The value of an entry of `env`."""
        source = entry.get("valueFrom", {})
        if "fieldRef" in source:
            return POD[source["fieldRef"]["fieldPath"]]
        for kind, key in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
            if key in source:
                wanted = source[key]
                found = self.data(kind, wanted["name"]).get(wanted["key"], SECRET.encode())
                return found.decode()
        value: str = entry.get("value", "")
        return value


def _mounts(pod: Manifest, container: Manifest, kept: _Objects, scratch: Path) -> list[Mount]:
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    found = []
    for mount in container.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        empty = volume.get("emptyDir", {})
        if empty.get("medium") == "Memory":
            limit = empty.get("sizeLimit")
            size = None if limit is None else quantity.memory("sizeLimit", limit, 1)
            found.append(Mount(path=mount["mountPath"], source=None, size=size))
            continue
        folder = scratch / "volumes" / mount["name"]
        folder.mkdir(parents=True, exist_ok=True)
        _fill(folder, volume, kept)
        source = folder / mount["subPath"] if "subPath" in mount else folder
        if "emptyDir" in volume or "persistentVolumeClaim" in volume or "hostPath" in volume:
            source.mkdir(parents=True, exist_ok=True)
        read_only = mount.get("readOnly", False) or "configMap" in volume or "secret" in volume
        found.append(Mount(path=mount["mountPath"], source=source, read_only=read_only))
    return found


def _fill(folder: Path, volume: Manifest, kept: _Objects) -> None:
    for kind, key, name in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
        if key in volume:
            data = kept.data(kind, volume[key][name])
            items = volume[key].get("items") or [{"key": one, "path": one} for one in data]
            for item in items:
                path = folder / item["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data.get(item["key"], SECRET.encode()))


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
                env=dict(variables),
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
