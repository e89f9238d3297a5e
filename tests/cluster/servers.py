"""Small servers for tests: they listen on loopback, and stop with a `with` block."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@contextmanager
def serve(answer: Callable[[str], str | None], certificate: Path | None = None) -> Iterator[int]:
    """A server that answers each path with a text, or with 404; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answer(self.path)
            body = (found or "").encode()
            self.send_response(404 if found is None else 200)
            is_json = body.startswith(b"{")
            self.send_header("Content-Type", "application/json" if is_json else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as above
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class CustomMetrics:
    """What prometheus-adapter serves of one namespace: a value for each pod and metric.

    Args:
        pods: Gives the names of the pods that have metrics now.
    """

    def __init__(self, namespace: str, pods: Callable[[], list[str]]) -> None:
        self._namespace = namespace
        self._pods = pods
        self.values: dict[str, str] = {}
        """By metric, what each pod reports."""

    def answer(self, path: str) -> str | None:
        """The custom metrics API, as far as an HPA asks."""
        group = "/apis/custom.metrics.k8s.io/v1beta2"
        if path == group:
            resources = [
                {"name": f"pods/{name}", "namespaced": True, "kind": "MetricValueList"}
                | {"singularName": "", "verbs": ["get"]}
                for name in self.values
            ]
            found = {"kind": "APIResourceList", "apiVersion": "v1", "resources": resources}
            return json.dumps(found | {"groupVersion": group.removeprefix("/apis/")})
        start = f"{group}/namespaces/{self._namespace}/pods/*/"
        asked = unquote(urlsplit(path).path)
        name = asked.removeprefix(start)
        if not asked.startswith(start) or name not in self.values:
            return None
        items = [
            {
                "describedObject": {"kind": "Pod", "namespace": self._namespace, "name": pod},
                "metric": {"name": name},
                "timestamp": _now(),
                "value": self.values[name],
            }
            for pod in self._pods()
        ]
        kind = {"kind": "MetricValueList", "apiVersion": group.removeprefix("/apis/")}
        return json.dumps(kind | {"metadata": {}, "items": items})


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
