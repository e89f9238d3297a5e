"""Availability: how long a model may load and drain, and how it is rolled out.

One number each; probes, deadlines, grace period and strategy follow from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import refuse
from vllm_constructs.kube import names

PERIOD = 10
"""Seconds between two startup probes."""

_CLEAN_UP = 15
"""Seconds that vLLM's workers get to end after the drain (5 s by default, ROCm longer)."""


@dataclass(frozen=True, kw_only=True)
class Startup:
    """How long a model may take from container start until it answers.

    Image pull is not part of it; download (where the cache is empty), loading, compilation and
    CUDA graph capture are. From it come the startup probe's budget, `progressDeadlineSeconds`,
    `VLLM_ENGINE_READY_TIMEOUT_S` and the pace of scaling up.

    Args:
        minutes: Default 15, where no seconds are given.
        seconds: Alone or beside the minutes; default 0.

    Raises:
        VllmConstructsError: Less than 30 seconds or more than 24 hours in all.
    """

    minutes: int | None = None
    seconds: int = 0

    def __post_init__(self) -> None:
        if self.minutes is not None:
            require.integer("Startup.minutes", self.minutes, 0, 24 * 60, "minutes")
        require.integer("Startup.seconds", self.seconds, 0, 24 * 3600, "seconds")
        if not 30 <= self.total <= 24 * 3600:
            require.wrong("Startup", f"{self.total} seconds", "30 seconds to 24 hours in all")

    @property
    def total(self) -> int:
        """Seconds in all."""
        if self.minutes is None:
            return self.seconds or 15 * 60
        return self.minutes * 60 + self.seconds

    @property
    def budget(self) -> int:
        """Seconds after which the startup probe has given up for certain."""
        return self.failure_threshold * PERIOD

    @property
    def failure_threshold(self) -> int:
        """Startup probes that may fail: one more than `total` has periods.

        kubelet probes at a beat that does not start with the container, so the first probe can
        come at once, and the last one a period before failures and periods multiply to
        (Kubernetes, pkg/kubelet/prober/worker.go).
        """
        return math.ceil(self.total / PERIOD) + 1

    @property
    def progress_deadline(self) -> int:
        """Seconds until a rollout counts as stuck: the budget and 10 minutes for the image."""
        return self.budget + 600


@dataclass(frozen=True, kw_only=True)
class Drain:
    """How long running requests may take to end when a pod is stopped.

    vLLM aborts them at once by default (`--shutdown-timeout 0`). Here the pod first waits for
    `pre_stop` seconds, while load balancers learn that it goes, then refuses new requests and
    ends the running ones for at most `seconds`. The grace period is the sum and 15 seconds for
    the workers.

    Args:
        seconds: For the running requests; 0 aborts them and is refused where answers stream.
            ModelDeployment's default is its `longest_answer`.
        pre_stop: Seconds until the endpoint is gone everywhere; default 15.

    Raises:
        VllmConstructsError: A negative number, or more than a day.
    """

    seconds: int
    pre_stop: int = 15

    def __post_init__(self) -> None:
        require.integer("Drain.seconds", self.seconds, 0, 86400, "seconds")
        require.integer("Drain.pre_stop", self.pre_stop, 1, 3600, "seconds")

    @property
    def grace_period(self) -> int:
        """`terminationGracePeriodSeconds`."""
        return self.pre_stop + self.seconds + _CLEAN_UP


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What a rollout may use.

    Args:
        spare_gpus: GPUs of the right kind that are free for a rollout. With enough for one more
            pod, a new pod starts before an old one goes; with fewer (default 0) an old pod goes
            first. Where the cache can be mounted on one node only, all pods go first.

    Raises:
        VllmConstructsError: A negative number.
    """

    spare_gpus: int = 0

    def __post_init__(self) -> None:
        require.integer("Rollout.spare_gpus", self.spare_gpus, 0, 10_000, "GPUs")

    def surge(self, *, gpus: int, can_share_cache: bool) -> int:
        """Pods that may be more than the replicas: 1 or 0."""
        return int(can_share_cache and self.spare_gpus >= gpus)

    def strategy(self, *, gpus: int, can_share_cache: bool) -> dict[str, Any]:
        """`spec.strategy` of a Deployment whose pods have `gpus` GPUs each."""
        if not can_share_cache:
            return {"type": "Recreate"}
        surge = self.surge(gpus=gpus, can_share_cache=can_share_cache)
        return {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1 - surge},
        }


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a DisruptionBudget promises: one of two numbers of pods."""

    min_available: int | None = field(default=None)
    max_unavailable: int | None = field(default=None)

    def __post_init__(self) -> None:
        if self.min_available is not None and self.max_unavailable is not None:
            refuse(
                "DisruptionBudget has both min_available and max_unavailable, and Kubernetes "
                "takes one; leave min_available out to let a fixed number of pods go at a time."
            )
        if self.min_available is not None:
            require.integer("DisruptionBudget.min_available", self.min_available, 1, 1000, "pods")
        if self.max_unavailable is not None:
            require.integer(
                "DisruptionBudget.max_unavailable", self.max_unavailable, 1, 1000, "pods"
            )

    def check(self, where: str, replicas: int, *, autoscaled: bool) -> None:
        """Refuse a budget that never lets a pod go, or that protects nothing.

        `replicas` is the number of pods, or the scaler's minimum.
        """
        least = "the scaler's minimum" if autoscaled else "replicas"
        if self.min_available is not None and self.min_available >= replicas:
            refuse(
                f"{where} keeps {self.min_available} of at least {replicas} pods ({least}), so a "
                f"node could never be drained; lower min_available, raise {least}, or give "
                f"max_unavailable=1 (a scaler that has a higher minimum comes before the budget)."
            )
        unavailable = self.max_unavailable or 1
        if self.min_available is None and not autoscaled and unavailable >= replicas:
            refuse(
                f"{where} lets {unavailable} of {replicas} pods go, which protects nothing; "
                f"raise replicas to at least {unavailable + 1}, or leave the budget out "
                f"(a scaler comes before the budget)."
            )

    def manifest(self, name: str, selector: dict[str, str]) -> dict[str, Any]:
        """The PodDisruptionBudget. Pods that never became ready do not hold a drain up."""
        spec: dict[str, Any] = {
            "selector": {"matchLabels": selector},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
        if self.min_available is not None:
            spec["minAvailable"] = self.min_available
        else:
            spec["maxUnavailable"] = self.max_unavailable or 1
        return {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": names.subdomain("DisruptionBudget.name", name)},
            "spec": spec,
        }
