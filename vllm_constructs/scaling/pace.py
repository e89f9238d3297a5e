"""ScalingPace: how fast replicas are added and removed, and the range that they stay in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse

from .trigger import Trigger


@dataclass(frozen=True, kw_only=True)
class ScalingPace:
    """How fast replicas are added and removed.

    A pod that is still loading shortens no queue, so by default two steps up are one load apart.
    Each step doubles the replicas: 2 become 20 in four loads, where one pod a step takes eighteen,
    and there are never more than twice as many as the queue asks for.

    Args:
        up_pods: Pods added in one step. Default: none beside `up_percent`.
        up_percent: Pods added in one step, as a percentage of those that there are. Default: 100,
            or none where `up_pods` is given. With both, the one that adds more counts.
        up_seconds: Seconds between two steps up. Default: the model's startup, at most 1800.
        up_window: Seconds that a higher demand must last; default 60.
        down_pods: Pods removed in one step; default 1.
        down_seconds: Seconds between two steps down; default 300.
        down_window: Seconds that a lower demand must last; default 600.

    Raises:
        VllmConstructsError: A number is outside of the range that an HPA accepts.
    """

    up_pods: int | None = None
    up_percent: int | None = None
    up_seconds: int | None = None
    up_window: int = 60
    down_pods: int = 1
    down_seconds: int = 300
    down_window: int = 600

    def __post_init__(self) -> None:
        if self.up_pods is not None:
            require.integer("ScalingPace.up_pods", self.up_pods, 1, 1000, "pods")
        if self.up_percent is not None:
            require.integer("ScalingPace.up_percent", self.up_percent, 1, 1000, "percent")
        require.integer("ScalingPace.down_pods", self.down_pods, 1, 1000, "pods")
        if self.up_seconds is not None:
            require.integer("ScalingPace.up_seconds", self.up_seconds, 1, 1800, "seconds")
        require.integer("ScalingPace.down_seconds", self.down_seconds, 1, 1800, "seconds")
        for name in ("up_window", "down_window"):
            require.integer(f"ScalingPace.{name}", getattr(self, name), 0, 3600, "seconds")

    def behavior(self, startup: int) -> dict[str, Any]:
        """`behavior` of an autoscaling/v2 HPA."""

        def direction(
            window: int, percent: int | None, pods: int | None, period: int
        ) -> dict[str, Any]:
            policies = [
                {"type": kind, "value": value, "periodSeconds": period}
                for kind, value in (("Percent", percent), ("Pods", pods))
                if value is not None
            ]
            return {"stabilizationWindowSeconds": window, "policies": policies}

        percent = self.up_percent
        if percent is None and self.up_pods is None:
            percent = 100
        up_seconds = self.up_seconds or min(startup, 1800)
        return {
            "scaleUp": direction(self.up_window, percent, self.up_pods, up_seconds),
            "scaleDown": direction(self.down_window, None, self.down_pods, self.down_seconds),
        }


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """The range of a scaler's replicas.

    Args:
        scaler: Name of the scaler, for the message.
        minimum: Replicas at least.
        maximum: Replicas at most.
        lowest: Lowest minimum that the scaler allows: 1 (default), or 0 where it scales to zero.

    Raises:
        VllmConstructsError: A number is out of range, or the minimum is above the maximum.
    """

    scaler: str
    minimum: int
    maximum: int
    lowest: InitVar[int] = 1

    def __post_init__(self, lowest: int) -> None:
        # Of an HPA, Kubernetes rejects 0 by default (feature gate HPAScaleToZero).
        zero = "to scale to 0, use KedaScaler with a trigger that wakes the model"
        advice = zero if lowest == 1 and self.minimum == 0 else ""
        where = f"{self.scaler}.min_replicas"
        require.integer(where, self.minimum, lowest, 1000, advice=advice)
        require.integer(f"{self.scaler}.max_replicas", self.maximum, 1, 1000)
        if self.minimum > self.maximum:
            refuse(
                Problem(
                    where=where,
                    text=f"is {self.minimum}, above {{max_replicas}} ({self.maximum})",
                    value=str(self.minimum),
                    advice="swap them or raise {max_replicas}",
                )
            )


@dataclass(frozen=True, kw_only=True)
class ReplicaRange:
    """The range of replicas that an autoscaler outside of this app sets.

    Args:
        min_replicas: Replicas at least. Default: 0.
        max_replicas: Replicas at most, all of which the cache must allow.

    Raises:
        VllmConstructsError: A number is out of range, or the minimum is above the maximum.
    """

    min_replicas: int = 0
    max_replicas: int

    def __post_init__(self) -> None:
        self.replicas()

    def replicas(self) -> Replicas:
        """The range as that of a scaler."""
        return Replicas(
            scaler="ReplicaRange",
            minimum=self.min_replicas,
            maximum=self.max_replicas,
            lowest=0,
        )


def pace_for(triggers: Sequence[Trigger], minimum: int) -> ScalingPace:
    """The pace that adds the replicas of a CronFloor in one step, since its time is known."""
    missing = max((trigger.floor for trigger in triggers), default=0) - minimum
    if missing <= max(minimum, 1):
        return ScalingPace()
    return ScalingPace(up_percent=100, up_pods=missing)


def check_pace(where: str, pace: object) -> ScalingPace:
    """The pace; other values are rejected.

    Args:
        where: Name of the option, for the message.
        pace: The value of the option.
    """
    return require.instance(where, pace, ScalingPace, "ScalingPace(...)")
