"""Probes: how often the kubelet asks a running engine, and how many failures it accepts."""

from __future__ import annotations

from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass

PERIOD = 10
"""Seconds between two startup probes."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    """How often the kubelet asks a running engine, and how many failures it accepts.

    The startup probe follows from `Startup`; the others begin after it. All ask `/health`, which
    answers while the engine is busy: a probe that fails means that the server hangs, has ended, or
    has too few CPUs to answer in time.

    Args:
        readiness_period: Seconds between two readiness probes. Default: 10.
        readiness_failures: Failures after which the pod gets no more requests. Default: 3.
        liveness_period: Seconds between two liveness probes. Default: 30.
        liveness_failures: Failures after which the container is restarted, which loads the model
            again. Default: 3.
        timeout: Seconds after which a probe has failed. Default: 5, for liveness probes 10.

    Raises:
        VllmConstructsError: A number out of range.
    """

    readiness_period: int = 10
    readiness_failures: int = 3
    liveness_period: int = 30
    liveness_failures: int = 3
    timeout: int | None = None

    def __post_init__(self) -> None:
        for name in ("readiness_period", "liveness_period"):
            require.integer(f"Probes.{name}", getattr(self, name), 1, 3600, "seconds")
        for name in ("readiness_failures", "liveness_failures"):
            require.integer(f"Probes.{name}", getattr(self, name), 1, 1000)
        if self.timeout is not None:
            require.integer("Probes.timeout", self.timeout, 1, 600, "seconds")

    def manifest(
        self, port: str, *, startup_failures: int, restart_grace_period: int
    ) -> dict[str, Any]:
        """The three probes of the container.

        Args:
            port: Name of the port of the API.
            startup_failures: Failures after which a container that starts is restarted.
            restart_grace_period: Seconds that a container has to end before it is restarted.
        """
        short, long = (5, 10) if self.timeout is None else (self.timeout, self.timeout)
        values = {
            "startupProbe": (PERIOD, short, startup_failures),
            "readinessProbe": (self.readiness_period, short, self.readiness_failures),
            "livenessProbe": (self.liveness_period, long, self.liveness_failures),
        }
        found: dict[str, Any] = {
            name: {
                "httpGet": {"path": "/health", "port": port},
                "periodSeconds": period,
                "timeoutSeconds": timeout,
                "failureThreshold": failures,
            }
            for name, (period, timeout, failures) in values.items()
        }
        for name in ("startupProbe", "livenessProbe"):
            found[name]["terminationGracePeriodSeconds"] = restart_grace_period
        return found
