"""kubectl, the client that users have, for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from .api import Api, Manifest, RefusedError

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace"}
T = TypeVar("T")


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
    """kubectl for one control plane, and the API itself for what kubectl does not change."""

    kubeconfig: Path

    @cached_property
    def api(self) -> Api:
        """The API."""
        return Api(self.kubeconfig)

    def close(self) -> None:
        """End its connections."""
        if "api" in self.__dict__:
            self.api.close()

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

    def apply(self, manifests: Iterable[Mapping[str, Any]] | Path) -> list[str]:
        """Apply server-side with strict field validation, and give the warnings.

        Raises:
            RefusedError: An object is refused.
        """
        options = ["--server-side", "--validate=strict"]
        if isinstance(manifests, Path):
            done = self.run("apply", *options, "-f", str(manifests))
        else:
            done = self.run("apply", *options, "-f", "-", given=_listed(manifests))
        return [line for line in done.stderr.splitlines() if line.startswith("Warning")]

    def dry_run(self, *manifests: Mapping[str, Any]) -> list[str]:
        """Apply objects with dry run, and give the warnings.

        Raises:
            RefusedError: An object is refused.
        """
        return [text for one in manifests for text in self.api.apply(one, dry_run=True).warnings]

    def diff(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Compare what is there with what an apply would leave.

        Raises:
            RefusedError: They differ.
        """
        self.run("diff", "--server-side", "-f", "-", given=_listed(manifests))

    def create(self, *manifests: Manifest) -> None:
        """Create objects, with their status where the API takes it."""
        for one in manifests:
            self.api.create(one)

    def delete(self, manifests: Iterable[Mapping[str, Any]], *, wait: bool = True) -> None:
        """Delete objects, and wait until they are gone."""
        left = [path for one in manifests if (path := self.api.delete(one))]

        def are_gone() -> bool:
            left[:] = [path for path in left if self.api.is_there(path)]
            return not left

        if wait:
            wait_for("objects to go", are_gone, 100, 0.1)

    def delete_all(self, kind: str, namespace: str) -> None:
        """Delete all objects of a kind, and wait until they are gone."""
        self.delete(self.api.items(kind, namespace))

    def get(self, kind: str, name: str, namespace: str = "default") -> Manifest:
        """One object as kubectl shows it."""
        return _shown(self.api.get(kind, name, namespace))

    def items(self, kind: str, namespace: str | None = None) -> list[Manifest]:
        """All objects of a kind as kubectl shows them."""
        return [_shown(one) for one in self.api.items(kind, namespace)]

    def running(self, kind: str, namespace: str) -> list[Manifest]:
        """Objects that are not being deleted."""
        found = self.items(kind, namespace)
        return [item for item in found if "deletionTimestamp" not in item["metadata"]]

    def patch(self, kind: str, name: str, namespace: str, change: Mapping[str, Any]) -> None:
        """A merge patch."""
        self.api.patch(kind, name, namespace, change)

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
    # Applied, so that an app which has the namespace, too, may set other levels afterwards.
    made = {**NAMESPACE, "metadata": {"name": name, "labels": security}}
    kubectl.api.apply(made, force=True)


def remove_namespace(kubectl: Kubectl, name: str) -> None:
    """Begin to delete a namespace."""
    kubectl.delete([{**NAMESPACE, "metadata": {"name": name}}], wait=False)


def _shown(found: Manifest) -> Manifest:
    """An object without `managedFields`."""
    found["metadata"].pop("managedFields", None)
    return found


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
