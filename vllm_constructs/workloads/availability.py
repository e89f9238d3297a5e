"""Availability: how long a model may load and drain, and how it is rolled out.

Each is one number, from which probes, deadlines, grace period and rollout strategy follow.
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse, warn
from vllm_constructs.kube import names

from .probes import PERIOD

_FASTEST = 5000
"""MB/s that hardly any storage exceeds: a local NVMe disk."""
_AFTER = 300
"""Seconds for compilation and CUDA graphs after the weights have been read."""


def reading_time(weights: int, mb_per_second: int = _FASTEST) -> int:
    """Seconds in which weights are read.

    Args:
        weights: Bytes of the weights.
        mb_per_second: The speed of the storage. Default: what hardly any exceeds.
    """
    return math.ceil(weights / (mb_per_second * 10**6))


_CLEAN_UP = 15
"""Seconds for vLLM's processes to end after the drain: up to 14 were measured on two cores."""


@dataclass(frozen=True, kw_only=True)
class Startup:
    """How long a model may take from the start of its container until it serves requests.

    This includes the download (if the cache is empty), loading, compilation and CUDA graph
    capture, but not the image pull. The failure threshold of the startup probe,
    `progressDeadlineSeconds`, `VLLM_ENGINE_READY_TIMEOUT_S` and the pace of scaling up follow
    from it.

    Args:
        minutes: Minutes. Default: 15 if no seconds are given, otherwise 0.
        seconds: Seconds, which are added to the minutes. Default: 0.
        mb_per_second: Megabytes of weights that are read in a second, from the network or from
            the cache, whichever comes first. Models whose weights take longer than the whole time
            are then rejected. Default: not known; only what no storage does is warned about.

    Raises:
        VllmConstructsError: The sum is less than 30 seconds or more than 24 hours.
    """

    minutes: int | None = None
    seconds: int | None = None
    mb_per_second: int | None = None

    def __post_init__(self) -> None:
        if self.minutes is not None:
            require.integer("Startup.minutes", self.minutes, 0, 24 * 60, "minutes")
        if self.seconds is not None:
            require.integer("Startup.seconds", self.seconds, 0, 24 * 3600, "seconds")
        if self.mb_per_second is not None:
            require.integer("Startup.mb_per_second", self.mb_per_second, 1, 10**6, "MB/s")
        if not 30 <= self.total <= 24 * 3600:
            allowed = "30 seconds to 24 hours in total"
            refuse(Problem(where="Startup", value=f"{self.total} seconds", allowed=allowed))

    @property
    def total(self) -> int:
        """Seconds in total."""
        if self.minutes is None and self.seconds is None:
            return 15 * 60
        return (self.minutes or 0) * 60 + (self.seconds or 0)

    def check(self, where: str, weights: int) -> None:
        """Reject or warn about weights that cannot be read in this time.

        Args:
            where: Name of what is checked, for the sentence.
            weights: Bytes of the weights on disk.

        Raises:
            VllmConstructsError: They take longer at the given speed.
        """
        speed = _FASTEST if self.mb_per_second is None else self.mb_per_second
        needed = reading_time(weights, speed)
        if needed <= self.total:
            return
        size = f"{weights / 2**30:.1f} GiB"
        how = (
            f"{speed} MB/s, faster than most storage is"
            if self.mb_per_second is None
            else f"the {{Startup.mb_per_second}} of {speed}"
        )
        problem = Problem(
            where="Startup",
            text=f"of {escaped(where)} is {self.total} seconds, but its weights of {size} take "
            f"{needed} seconds at {how}",
            value=f"{self.total} seconds",
            advice=f"give {{minutes={math.ceil((needed + _AFTER) / 60)}}} or more, which leaves "
            f"{_AFTER // 60} minutes for compilation",
        )
        if self.mb_per_second is None:
            warn(problem)
        else:
            refuse(problem)

    @property
    def budget(self) -> int:
        """Seconds after which the startup probe has failed in any case."""
        return self.failure_threshold * PERIOD

    @property
    def failure_threshold(self) -> int:
        """Startup probes that may fail: one more than there are periods in `total`.

        The kubelet's probe timer does not start with the container, so the first probe may run
        at once. The last one then runs one period before the product of threshold and period
        (Kubernetes, pkg/kubelet/prober/worker.go).
        """
        return math.ceil(self.total / PERIOD) + 1

    @property
    def progress_deadline(self) -> int:
        """Seconds until a rollout counts as failed: the budget, and 10 minutes for the image."""
        return self.budget + 600


@dataclass(frozen=True, kw_only=True)
class Drain:
    """How long running requests may take to finish after Kubernetes has stopped a pod.

    By default vLLM aborts them at once. Here a preStop hook waits for `pre_stop` seconds, while
    load balancers remove the endpoint of the pod, and then until the server has no requests, at
    most `seconds`. Until then the server works as ever, and also answers requests that still
    come. Requests that take longer end with an error, right after that time. A pod that is still
    loading, or whose server does not answer, is ended at once.
    `terminationGracePeriodSeconds` is the sum of both and 15 seconds for the processes to end;
    that of the startup and liveness probe leaves out the running requests, since a container that
    they restart mostly serves none.

    Args:
        seconds: Seconds for running requests. 0 aborts them, and is rejected unless the model
            has `runner="pooling"`, which streams no responses. The default of `drain=` is the
            model's `response_timeout`.
        pre_stop: Seconds until all load balancers have removed the endpoint. Default: 15.

    Raises:
        VllmConstructsError: `seconds` is negative or more than a day, or `pre_stop` is not from
            1 second to 1 hour.
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

    @property
    def restart_grace_period(self) -> int:
        """`terminationGracePeriodSeconds` of the startup and the liveness probe.

        A server that hangs does not handle SIGTERM: it would keep its GPUs for the whole drain.
        """
        return self.pre_stop + _CLEAN_UP


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The resources that a rollout may use.

    Args:
        spare_gpus: Free GPUs of the model's kind. If they suffice for one more pod, a new pod
            starts before an old one stops; otherwise an old pod stops first. If only one node
            can mount the cache, all old pods stop first. Default: 0.

    Raises:
        VllmConstructsError: `spare_gpus` is not an integer from 0 to 10000.
    """

    spare_gpus: int = 0

    def __post_init__(self) -> None:
        require.integer("Rollout.spare_gpus", self.spare_gpus, 0, 10_000, "GPUs")

    def surge(self, *, gpus: int, can_share_cache: bool) -> int:
        """Pods that a rollout may add to the replicas: 1 or 0."""
        return int(can_share_cache and self.spare_gpus >= gpus)

    def strategy(self, *, gpus: int, can_share_cache: bool) -> dict[str, Any]:
        """The `spec.strategy` of a Deployment whose pods have `gpus` GPUs each."""
        if not can_share_cache:
            return {"type": "Recreate"}
        surge = self.surge(gpus=gpus, can_share_cache=can_share_cache)
        return {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1 - surge},
        }


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limit of a DisruptionBudget: one of two numbers of pods."""

    min_available: int | None = field(default=None)
    max_unavailable: int | None = field(default=None)

    def __post_init__(self) -> None:
        if self.min_available is not None and self.max_unavailable is not None:
            refuse(
                Problem(
                    where="DisruptionBudget",
                    text="has both {min_available} and {max_unavailable}, of which Kubernetes "
                    "accepts one",
                    advice="leave {min_available} out to limit how many pods are evicted at a time",
                )
            )
        if self.min_available is not None:
            require.integer("DisruptionBudget.min_available", self.min_available, 1, 1000, "pods")
        if self.max_unavailable is not None:
            require.integer(
                "DisruptionBudget.max_unavailable", self.max_unavailable, 1, 1000, "pods"
            )

    def check(
        self, where: str, replicas: int, *, scaler: str | None = None, most: int | None = None
    ) -> None:
        """Reject a budget that never allows an eviction, and one that protects no pod.

        Args:
            where: Name of the budget, for the sentence.
            replicas: Number of pods, or the scaler's minimum.
            scaler: What sets the replicas, such as KedaScaler. Default: nothing does.
            most: Number of pods at most. Default: as many as at least.

        Raises:
            VllmConstructsError: Such a budget.
        """
        found = self.problem(where, replicas, scaler=scaler, most=most)
        if found is not None:
            refuse(found)

    def problem(
        self, where: str, replicas: int, *, scaler: str | None = None, most: int | None = None
    ) -> Problem | None:
        """Why a budget never allows an eviction, or protects no pod; None if it does neither.

        Args:
            where: Name of the budget, for the sentence.
            replicas: Number of pods, or the scaler's minimum.
            scaler: What sets the replicas, such as KedaScaler. Default: nothing does.
            most: Number of pods at most. Default: as many as at least.
        """
        minimum = "{replicas}" if scaler is None else f"{{{scaler}.min_replicas}}"
        if self.min_available is not None and self.min_available >= replicas:
            ways = [f"lower {{min_available}}, raise {minimum}", "give {max_unavailable=1}"]
            ways += [] if scaler else ["make a scaler with a higher minimum before the budget"]
            return Problem(
                where=where,
                text=f"keeps {self.min_available} of at least {replicas} pods ({minimum}), so "
                "no eviction is allowed and a node could never be drained",
                advice=f"{', '.join(ways[:-1])}, or {ways[-1]}",
            )
        unavailable = self.max_unavailable or 1
        most = replicas if most is None else most
        if self.min_available is None and unavailable >= most:
            maximum = "{replicas}" if scaler is None else f"{{{scaler}.max_replicas}}"
            choices = [f"raise {maximum} to at least {unavailable + 1}"]
            choices += [f"give {{max_unavailable={most - 1}}}"] if most > 1 else []
            choices += ["leave the budget out"]
            choices += ["make a scaler before the budget"] if scaler is None else []
            return Problem(
                where=where,
                text=f"allows the eviction of {unavailable} of {most} pods, which protects nothing",
                advice=f"{', '.join(choices[:-1])}, or {choices[-1]}",
            )
        return None

    def manifest(self, name: str, selector: dict[str, str]) -> dict[str, Any]:
        """The PodDisruptionBudget, which never blocks the eviction of pods that are not ready."""
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
