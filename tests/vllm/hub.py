"""A server on loopback that answers `hf download` as the Hugging Face Hub does."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """A hub with one model at one commit.

    Attributes:
        model: Its name.
        commit: The commit.
        folder: Its files.
        url: The address.
        missing: Files that are not found for now.
        asked: The paths of all requests.
    """

    model: str
    commit: str
    folder: Path
    url: str = ""
    missing: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[bytes, dict[str, str]] | None:
        """The body and headers for a path; none where nothing is."""
        self.asked.append(path)
        asked = unquote(urlsplit(path).path)
        names = sorted(one.name for one in self.folder.iterdir())
        if asked == f"/api/models/{self.model}/revision/{self.commit}":
            files = [{"rfilename": name} for name in names]
            told = {"id": self.model, "sha": self.commit, "siblings": files}
            return json.dumps(told).encode(), {"Content-Type": "application/json"}
        if asked == f"/api/models/{self.model}/tree/{self.commit}":
            tree = [self._listed(name) for name in names]
            return json.dumps(tree).encode(), {"Content-Type": "application/json"}
        start = f"/{self.model}/resolve/{self.commit}/"
        name = asked.removeprefix(start)
        if not asked.startswith(start) or name not in names or name in self.missing:
            return None
        body = (self.folder / name).read_bytes()
        return body, {"ETag": f'"{_tag(body)}"', "X-Repo-Commit": self.commit}

    def _listed(self, name: str) -> dict[str, object]:
        body = (self.folder / name).read_bytes()
        return {"type": "file", "path": name, "size": len(body), "oid": _tag(body)}


def _tag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@contextmanager
def serve(model: str, commit: str, folder: Path) -> Iterator[Hub]:
    """The hub while it runs."""
    hub = Hub(model, commit, folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = hub.answer(self.path)
            body, headers = (b"", {"X-Error-Code": "EntryNotFound"}) if found is None else found
            self.send_response(404 if found is None else 200)
            for name, text in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, text)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  # the base's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as above
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
