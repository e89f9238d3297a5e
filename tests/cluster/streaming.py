"""A model server that only talks, a client with a clock, and the fronts that stand between them."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import binaries
from .bed import Program, free_port
from .kubectl import wait_for

API = "/v1/completions"
HOST = "llm.example.com"

PREPARATION = 0.05
"""Seconds before the head of a stream, in which vLLM reads and tokenizes the prompt.

A proxy that is built with Go cuts an answer whose head comes before it has seen the end of the
request (golang/go#40747). It sees it within a millisecond where it has a CPU.
"""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a request asks the server to do.

    Args:
        tokens: How many events to send; 0 for one answer as a whole.
        gap: Seconds between two events.
        pause: Seconds of silence, half-way through the events or before the whole answer.
        chunked: Whether the stream is framed in chunks, or ends with its connection.
        padding: More bytes in the request.
    """

    tokens: int = 6
    gap: float = 0.2
    pause: float = 0
    chunked: bool = True
    padding: int = 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the client got, by one clock.

    Args:
        status: The status.
        sent: When the server sent each event.
        arrived: When each event arrived.
        whole: Whether the answer came to its end.
        body: The last event, or all of an answer that is no stream.
    """

    status: int
    sent: list[float]
    arrived: list[float]
    whole: bool
    body: str

    @property
    def came_one_by_one(self) -> bool:
        """Whether each event was there before the next one was sent."""
        pairs = zip(self.arrived, self.sent[1:], strict=False)
        return len(self.sent) > 1 and all(arrived < following for arrived, following in pairs)

    @property
    def came_in_one_lump(self) -> bool:
        """Whether the first event came after the last one was sent."""
        return len(self.sent) > 1 and self.arrived[0] >= self.sent[-1]


class _Handler(BaseHTTPRequestHandler):
    """Does as the request wishes, on every path."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return
        given = json.loads(body)
        given["padding"] = len(given["padding"])
        wish = Wish(**given)
        try:
            if wish.tokens:
                self._stream(wish)
            else:
                time.sleep(wish.pause)
                self._whole(str(wish.padding))
        except (BrokenPipeError, ConnectionResetError):
            # The front hung up, which some tests are about.
            self.close_connection = True

    def do_GET(self) -> None:
        self._whole("open")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def _whole(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _stream(self, wish: Wish) -> None:
        time.sleep(PREPARATION)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if wish.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        for number in range(wish.tokens):
            time.sleep(wish.pause if number == wish.tokens // 2 and wish.pause else wish.gap)
            token = {"sent": time.monotonic(), "choices": [{"text": f"token {number}"}]}
            self._send(json.dumps(token), chunked=wish.chunked)
        self._send("[DONE]", chunked=wish.chunked)
        if wish.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send(self, text: str, *, chunked: bool) -> None:
        event = f"data: {text}\n\n".encode()
        # A chunk goes out in one piece, as uvicorn sends it.
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event) if chunked else event)


@contextmanager
def model_server() -> Iterator[int]:
    """A server on 127.0.0.1 that answers as vLLM does, at its own pace; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client of a front.

    Args:
        port: The front's port on 127.0.0.1.
        host: The host that it asks for.
        trust: What it trusts; None for plain HTTP.
    """

    port: int
    host: str = HOST
    trust: ssl.SSLContext | None = None

    def ask(self, wish: Wish) -> Answer:
        """Ask for a completion."""
        body = {**asdict(wish), "padding": "x" * wish.padding}
        with self._connection() as connection:
            connection.request("POST", API, json.dumps(body), {"Host": self.host})
            return _read(connection.getresponse())

    def status(self, path: str) -> int:
        """The status of a plain request."""
        with self._connection() as connection:
            connection.request("GET", path, headers={"Host": self.host})
            return connection.getresponse().status

    def status_of_size(self, size: int) -> int:
        """The status of a request whose body is announced, and never sent: it must be refused."""
        with self._connection() as connection:
            connection.putrequest("POST", API, skip_host=True)
            connection.putheader("Host", self.host)
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            return connection.getresponse().status

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.connect()
        try:
            if self.trust is not None:
                connection.sock = self.trust.wrap_socket(connection.sock, server_hostname=self.host)
            yield connection
        finally:
            connection.close()


def _read(response: http.client.HTTPResponse) -> Answer:
    """Read a response as it comes, and look at the clock at each event."""
    sent: list[float] = []
    arrived: list[float] = []
    text = ""
    body = ""
    whole = True
    with response:
        is_stream = response.getheader("Content-Type") == "text/event-stream"
        try:
            while piece := response.read1():
                now = time.monotonic()
                text += piece.decode()
                while is_stream and "\n\n" in text:
                    event, text = text.split("\n\n", 1)
                    body = event.removeprefix("data: ")
                    if body != "[DONE]":
                        sent.append(json.loads(body)["sent"])
                        arrived.append(now)
        except http.client.IncompleteRead:
            whole = False
    body = body if is_stream else text
    return Answer(status=response.status, sent=sent, arrived=arrived, whole=whole, body=body)


def listens(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(
    folder: Path,
    upstream: int,
    path: str,
    directives: Mapping[str, str],
    address: str = "127.0.0.1",
) -> Iterator[Client]:
    """Debian's nginx before a model server.

    Args:
        folder: An empty folder of its own.
        upstream: Port of the model server.
        path: Path prefix that it passes on.
        directives: What stands in its location.
        address: Of the model server.
    """
    program = binaries.find_debian("nginx")
    port = free_port()
    # Where Debian keeps these belongs to root.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    scratch = " ".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    location = " ".join(f"{name} {value};" for name, value in directives.items())
    config = folder / "nginx.conf"
    config.write_text(
        # Root's nginx gives its folders away, and in a network of its own root may be alone.
        f"user root; daemon off; master_process off; pid {folder / 'pid'}; events {{}}\n"
        f"http {{ access_log off; {scratch}\n"
        f"server {{ listen 127.0.0.1:{port}; server_name {HOST};\n"
        f"location {path} {{ proxy_pass http://{address}:{upstream}; "
        f"proxy_set_header Host $host; {location} }} }} }}\n",
        encoding="utf-8",
    )
    log = folder / "nginx.log"
    with (folder / "nginx.out").open("wb") as out:
        process = subprocess.Popen(
            [program, "-p", folder, "-c", config, "-e", log],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    running = Program("nginx", process, folder / "nginx.out")
    try:

        def is_ready() -> bool:
            running.check()
            return listens(port)

        wait_for("nginx", is_ready, 20, 0.05)
        yield Client(port=port)
    finally:
        running.stop()
