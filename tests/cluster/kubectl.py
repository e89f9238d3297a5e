"""kubectl, the client that users have, for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Manifest = dict[str, Any]
T = TypeVar("T")


class RefusedError(Exception):
    """What was refused, in the API server's or kubectl's own words."""


def wait_for(what: str, probe: Callable[[], T], seconds: float = 60, pause: float = 0.3) -> T:
    """The first true value of a probe.

    Raises:
        TimeoutError: It stays false; with the last value seen.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}; last seen: {value!r}")
        time.sleep(pause)


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """kubectl for one control plane."""

    kubeconfig: Path

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command.

        Raises:
            RefusedError: It fails.
        """
        done = subprocess.run(
            [*self._command, *arguments],
            input=given,
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )
        if done.returncode != 0:
            raise RefusedError(done.stderr.strip() or done.stdout.strip())
        return done

    def apply(
        self, manifests: Iterable[Mapping[str, Any]] | Path, *, dry_run: bool = False
    ) -> list[str]:
        """Apply server-side with strict field validation, and give the warnings.

        Raises:
            RefusedError: An object is refused.
        """
        options = ["--server-side", "--validate=strict"]
        if dry_run:
            options.append("--dry-run=server")
        if isinstance(manifests, Path):
            done = self.run("apply", *options, "-f", str(manifests))
        else:
            done = self.run("apply", *options, "-f", "-", given=_listed(manifests))
        return [line for line in done.stderr.splitlines() if line.startswith("Warning")]

    def diff(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Compare what is there with what an apply would leave.

        Raises:
            RefusedError: They differ.
        """
        self.run("diff", "--server-side", "-f", "-", given=_listed(manifests))

    def create(self, *manifests: Mapping[str, Any]) -> None:
        """Create objects, with their status where the API takes it."""
        self.run("create", "-f", "-", given=_listed(manifests))

    def delete(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Delete objects and wait until they are gone."""
        self.run("delete", "--ignore-not-found", "-f", "-", given=_listed(manifests))

    def get(self, kind: str, name: str, namespace: str = "default") -> Manifest:
        """One object."""
        done = self.run("get", kind, name, "-n", namespace, "-o", "json")
        found: Manifest = json.loads(done.stdout)
        return found

    def items(self, kind: str, namespace: str | None = None, *options: str) -> list[Manifest]:
        """All objects of a kind."""
        where = ["--all-namespaces"] if namespace is None else ["-n", namespace]
        done = self.run("get", kind, *where, "-o", "json", *options)
        found: list[Manifest] = json.loads(done.stdout)["items"]
        return found

    def running(self, kind: str, namespace: str) -> list[Manifest]:
        """Objects that are not being deleted."""
        found = self.items(kind, namespace)
        return [item for item in found if "deletionTimestamp" not in item["metadata"]]

    def patch(self, kind: str, name: str, namespace: str, change: Mapping[str, Any]) -> None:
        """A merge patch."""
        self.run("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(change))

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command that takes a while; it is ended where it still runs at the end."""
        command = subprocess.Popen([*self._command, *arguments], stdout=subprocess.DEVNULL)
        try:
            yield command
        finally:
            command.terminate()
            command.wait()

    @contextmanager
    def watch(
        self, kind: str, namespace: str, file: Path
    ) -> Iterator[Callable[[], list[Manifest]]]:
        """Record all changes; what is given returns those until now, the oldest first."""
        options = ["--watch", "--output-watch-events", "-o", "json"]
        with file.open("w", encoding="utf-8") as out:
            watcher = subprocess.Popen(
                [*self._command, "get", kind, "-n", namespace, *options], stdout=out
            )
            try:
                yield lambda: list(_documents(file.read_text(encoding="utf-8")))
            finally:
                watcher.terminate()
                watcher.wait()

    @property
    def _command(self) -> Sequence[str]:
        return [str(shutil.which("kubectl")), f"--kubeconfig={self.kubeconfig}"]


def make_namespace(kubectl: Kubectl, name: str) -> None:
    """A namespace in which a pod that is not "restricted" is refused, and a template warned of."""
    security = {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
    }
    metadata = {"name": name, "labels": security}
    # Applied, so that an app which has the namespace, too, may set other levels afterwards.
    kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}])


def _listed(manifests: Iterable[Mapping[str, Any]]) -> str:
    """One document for each object: a List would be validated by kubectl and not by the server."""
    return "\n---\n".join(json.dumps(item) for item in manifests)


def _documents(text: str) -> Iterator[Manifest]:
    """The whole JSON documents at the start of a text."""
    decoder = json.JSONDecoder()
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        try:
            found, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return
        yield found
