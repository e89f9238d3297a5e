"""A server of S3 on loopback: moto, with a bucket of the tests' models."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.cluster.bed import free_port
from tests.cluster.kubectl import wait_for

from . import environment

ADDRESS = "http://127.0.0.1:"
NAME = "weights"


@dataclass
class Bucket:
    """A bucket.

    Attributes:
        endpoint: The address of its server.
        log: The server's log, a line for each request.
    """

    endpoint: str
    log: Path

    def put(self, key: str, folder: Path) -> None:
        """Upload a folder."""
        for file in folder.iterdir():
            self._send(f"{NAME}/{key}/{file.name}", file.read_bytes())

    def create(self) -> None:
        """Make the bucket."""
        self._send(NAME)

    def _send(self, path: str, body: bytes = b"") -> None:
        answer = urllib3.request("PUT", f"{self.endpoint}/{path}", body=body)
        assert 200 == answer.status, answer.data

    def is_up(self) -> bool:
        """Whether the server answers."""
        try:
            urllib3.request("GET", self.endpoint, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return True

    def read(self, key: str) -> bool:
        """Whether somebody has read an object."""
        told = self.log.read_text(encoding="utf-8")
        return re.search(rf"GET \S*/{NAME}/{re.escape(key)} ", told) is not None


@contextmanager
def serve(scratch: Path) -> Iterator[Bucket]:
    """An empty bucket, whatever the keys of its clients."""
    port = free_port()
    log = scratch / "moto.log"
    with log.open("wb") as told:
        server = subprocess.Popen(
            [environment.folder() / "bin" / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=told,
            stderr=subprocess.STDOUT,
        )
    try:
        found = Bucket(f"{ADDRESS}{port}", log)
        wait_for("the object store", found.is_up, 60)
        found.create()
        yield found
    finally:
        server.terminate()
        server.wait()
