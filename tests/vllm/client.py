"""A client of an OpenAI server, as far as the tests need one."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

DONE = "[DONE]"


class Stream(threading.Thread):
    """A streamed completion, read by a thread of its own.

    Attributes:
        status: Of the answer, 0 if none came.
        events: The data of each event, with the seconds from the start.
        error: What broke the connection.
        ended: When its last byte came, by the monotonic clock.
    """

    def __init__(
        self,
        port: int,
        model: str,
        tokens: int,
        headers: Mapping[str, str] | None = None,
        *,
        host: str = "127.0.0.1",
        prompt: str = "A pod is",
        timeout: float = 120,
    ) -> None:
        super().__init__(daemon=True)
        self.status = 0
        self.events: list[tuple[float, str]] = []
        self.error: Exception | None = None
        self.ended = 0.0
        self.began = time.monotonic()
        self._timeout = timeout
        self._where = (host, port)
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._body = {
            "model": model,
            "prompt": prompt,
            "max_tokens": tokens,
            "ignore_eos": True,
            "stream": True,
        }

    def run(self) -> None:
        """Read all events."""
        host, port = self._where
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        try:
            connection.request("POST", "/v1/completions", json.dumps(self._body), self._headers)
            answer = connection.getresponse()
            self.status = answer.status
            while line := answer.readline():
                if line.startswith(b"data:"):
                    told = line.removeprefix(b"data:").strip().decode()
                    self.events.append((time.monotonic() - self.began, told))
        except (OSError, http.client.HTTPException) as broken:
            self.error = broken
        finally:
            self.ended = time.monotonic()
            connection.close()

    @classmethod
    def begun(cls, port: int, model: str, tokens: int, **options: Any) -> Self:
        """A stream that has its first token."""
        found = cls(port, model, tokens, **options)
        found.start()
        while not found.events and found.is_alive():
            time.sleep(0.01)
        return found

    @property
    def is_done(self) -> bool:
        """Whether it ended as the protocol says."""
        return bool(self.events) and self.events[-1][1] == DONE

    @property
    def finish_reason(self) -> str | None:
        """Why vLLM says that it ended."""
        for _, told in reversed(self.events):
            if told != DONE:
                choices = json.loads(told).get("choices", [])
                if choices and choices[0].get("finish_reason"):
                    reason: str = choices[0]["finish_reason"]
                    return reason
        return None

    @property
    def is_complete(self) -> bool:
        """Whether all tokens came."""
        return self.is_done and self.finish_reason == "length"

    @property
    def failure(self) -> str | None:
        """The message of an error event."""
        for _, told in self.events:
            if told != DONE and "error" in (event := json.loads(told)):
                return str(event["error"])
        return None


class Load:
    """Clients, each with one stream after the other.

    Args:
        make: Makes the next stream of a client.
        clients: How many.

    Attributes:
        complete: How many streams have all their tokens.
        lost: What happened to each of the others.
    """

    def __init__(self, make: Callable[[], Stream], clients: int) -> None:
        self.complete = 0
        self.lost: list[str] = []
        self._make = make
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        while not self._stopped.is_set():
            stream = self._make()
            stream.run()
            if stream.is_complete:
                self.complete += 1
            else:
                self.lost.append(f"{stream.status} {stream.error} {stream.events[-1:]}")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


def speed(port: int, model: str, count: int, **options: Any) -> float:
    """Tokens a second of each of so many streams at once."""
    tokens = 200
    streams = [Stream(port, model, tokens, **options) for _ in range(count)]
    begun = time.monotonic()
    for stream in streams:
        stream.start()
    for stream in streams:
        stream.join()
        assert stream.is_complete, (stream.status, stream.error, stream.events[-2:])
    return tokens / (time.monotonic() - begun)
