"""The preStop hook of a model: waits until its server has no requests, or ends them.

A container runs the text of this module, so it uses nothing but Python.
"""

import http.client
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def requests(port: int) -> float:
    """The requests of the server, as its own metrics tell; 1 if they do not."""
    server = http.client.HTTPConnection("localhost", port, timeout=10)
    server.request("GET", "/metrics")
    lines = server.getresponse().read().decode().splitlines()
    names = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
    counts = [float(line.split()[-1]) for line in lines if line.startswith(names)]
    return sum(counts) if counts else 1


def end_engine() -> None:
    """End the engine's processes: the server then ends its streams with an error, and itself.

    It is process 1, which its own container cannot kill, and ignores SIGTERM while it loads.
    """
    is_server = "vllm" in Path("/proc/1/cmdline").read_text()
    while is_server:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        time.sleep(1)


def drain(port: int, pause: int, seconds: int) -> None:
    """Wait for load balancers, then for requests."""
    paused = time.monotonic() + pause
    count, idle, failed = 1.0, 0, 0
    while idle < 2 and failed < 3 and time.monotonic() < paused + seconds:
        try:
            count, failed = requests(port), 0
        except ConnectionRefusedError:
            count, failed = 1, 3
        except (OSError, http.client.HTTPException):
            count, failed = 1, failed + 1
        idle = idle + 1 if count == 0 and time.monotonic() >= paused else 0
        time.sleep(1)
    if count:
        end_engine()


if __name__ == "__main__":
    drain(*(int(word) for word in sys.argv[1:]))
