"""Scaling: the HorizontalPodAutoscaler and the ScaledObject of a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import refuse, warn
from vllm_constructs.kube import names
from vllm_constructs.metrics import metric as metrics
from vllm_constructs.metrics.metric import Scope

from . import triggers
from .triggers import CpuUtilization, CronFloor, PrometheusQuery

_ADDRESS = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+)(:\d{1,5})?(/[\w./-]*)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ScalingPace:
    """How fast replicas come and go.

    Args:
        up_pods: Pods added at once; default 1.
        up_seconds: Seconds between two steps up. Default: the model's startup, at most 1800,
            since a pod that is still loading lowers no queue.
        up_window: Seconds that demand must last; default 60.
        down_pods: Pods removed at once; default 1.
        down_seconds: Seconds between two steps down; default 300.
        down_window: Seconds that demand must be lower; default 600.

    Raises:
        VllmConstructsError: Numbers that an HPA does not take.
    """

    up_pods: int = 1
    up_seconds: int | None = None
    up_window: int = 60
    down_pods: int = 1
    down_seconds: int = 300
    down_window: int = 600

    def __post_init__(self) -> None:
        for name in ("up_pods", "down_pods"):
            require.integer(f"ScalingPace.{name}", getattr(self, name), 1, 1000, "pods")
        if self.up_seconds is not None:
            require.integer("ScalingPace.up_seconds", self.up_seconds, 1, 1800, "seconds")
        require.integer("ScalingPace.down_seconds", self.down_seconds, 1, 1800, "seconds")
        for name in ("up_window", "down_window"):
            require.integer(f"ScalingPace.{name}", getattr(self, name), 0, 3600, "seconds")

    def behavior(self, startup: int) -> dict[str, Any]:
        """`behavior` of an autoscaling/v2 HPA."""

        def direction(window: int, pods: int, period: int) -> dict[str, Any]:
            policy = {"type": "Pods", "value": pods, "periodSeconds": period}
            return {"stabilizationWindowSeconds": window, "policies": [policy]}

        up_seconds = self.up_seconds or min(startup, 1800)
        return {
            "scaleUp": direction(self.up_window, self.up_pods, up_seconds),
            "scaleDown": direction(self.down_window, self.down_pods, self.down_seconds),
        }


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """The range of a scaler."""

    scaler: str
    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        lowest = 0 if self.scaler == "KedaScaler" else 1
        require.integer(f"{self.scaler}.min_replicas", self.minimum, lowest, 1000)
        require.integer(f"{self.scaler}.max_replicas", self.maximum, 1, 1000)
        if self.minimum > self.maximum:
            refuse(
                f"{self.scaler}.min_replicas is {self.minimum}, above max_replicas "
                f"({self.maximum}); swap them or raise max_replicas."
            )


def hpa_manifest(
    *,
    name: str,
    target: str,
    replicas: Replicas,
    wanted: Sequence[Any],
    pace: ScalingPace,
    startup: int,
) -> dict[str, Any]:
    """The HorizontalPodAutoscaler."""
    found = []
    for item in wanted:
        if isinstance(item, CpuUtilization):
            goal = {"type": "Utilization", "averageUtilization": item.percent}
            found.append({"type": "Resource", "resource": {"name": "cpu", "target": goal}})
        else:
            goal = {"type": "AverageValue", "averageValue": _milli(item.threshold)}
            pods = {"metric": {"name": item.metric.adapter_name}, "target": goal}
            found.append({"type": "Pods", "pods": pods})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": names.subdomain("HpaScaler.name", name)},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": replicas.minimum,
            "maxReplicas": replicas.maximum,
            "metrics": found,
            "behavior": pace.behavior(startup),
        },
    }


def _milli(value: float) -> str:
    """A number as a Kubernetes quantity: 0.85 is 850m."""
    return str(int(value)) if value == int(value) else f"{max(1, round(value * 1000))}m"


def _decimal(value: float) -> str:
    """A number without an exponent."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0").rstrip(".")


def _trigger(item: Any, scope: Scope, prometheus: str, *, nulls: bool) -> dict[str, Any]:
    if isinstance(item, CpuUtilization):
        metadata = {"value": str(item.percent)}
        return {"type": "cpu", "metricType": "Utilization", "metadata": metadata}
    if isinstance(item, CronFloor):
        metadata = {"timezone": item.timezone, "start": item.start, "end": item.end}
        return {"type": "cron", "metadata": metadata | {"desiredReplicas": str(item.replicas)}}
    own = isinstance(item, PrometheusQuery)
    query = item.query if own else item.query(scope)
    name = item.name if own else item.id
    found = {"serverAddress": prometheus, "query": query, "threshold": _decimal(item.threshold)}
    if not nulls:
        # A series that is gone is an error, for which `fallback` is there, and not 0 requests.
        found["ignoreNullValues"] = "false"
    kind = {"type": "prometheus", "name": name, "metricType": item.metric_type}
    return kind | {"metadata": found}


def check_address(where: str, address: object) -> str:
    """An address of Prometheus that KEDA's operator can resolve from its own namespace."""
    allowed = "an address such as 'http://prometheus-operated.monitoring.svc:9090'"
    found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if not found:
        require.wrong(where, address, allowed)
    if "." not in found["host"] and found["host"] != "localhost":
        warn(
            f"{where} is {address!r}, which KEDA looks up in its own namespace; "
            f"give the namespace too: 'http://{found['host']}.<namespace>.svc:9090'."
        )
    return str(address)


def namespace_of(address: str) -> str | None:
    """The namespace of a Service's address, `http://<service>.<namespace>.svc`."""
    found = _ADDRESS.fullmatch(address)
    parts = found["host"].split(".") if found else []
    return parts[1] if parts[2:3] == ["svc"] else None


def pace_for(wanted: Sequence[Any], minimum: int) -> ScalingPace:
    """The pace that brings a CronFloor's replicas in one step, since its time is known."""
    floors = [item.replicas for item in wanted if isinstance(item, CronFloor)]
    return ScalingPace(up_pods=max(1, max(floors, default=0) - minimum))


def _sleep(
    startup: int, polling_interval: int | None, cooldown: int | None, *, asleep: bool
) -> dict[str, int]:
    """The fields that decide when the last replica comes and goes.

    Above 0 they do nothing, and KEDA's admission webhook warns of them
    (apis/keda/v1alpha1/scaledobject_webhook.go).
    """
    found: dict[str, int] = {}
    for name, field, value, default, lowest, highest in (
        ("polling_interval", "pollingInterval", polling_interval, 15, 1, 3600),
        ("cooldown", "cooldownPeriod", cooldown, 300, 0, 86400),
    ):
        where = f"KedaScaler.{name}"
        given = default if value is None else value
        found[field] = require.integer(where, given, lowest, highest, "seconds")
        if value is not None and not asleep:
            warn(
                f"{where} is {value}, which does nothing while min_replicas is above 0; "
                "leave it out."
            )
    return found | {"initialCooldownPeriod": startup} if asleep else {}


def scaled_object_manifest(
    *,
    name: str,
    target: str,
    replicas: Replicas,
    wanted: Sequence[Any],
    pace: ScalingPace,
    startup: int,
    scope: Scope,
    prometheus: str,
    polling_interval: int | None,
    cooldown: int | None,
    fallback: int,
) -> dict[str, Any]:
    """The ScaledObject.

    With a minimum of 0 a last trigger keeps the model awake while requests wait or run: it is
    active above 0, and its threshold is out of reach, so it never asks for a second replica.
    """
    names.subdomain("KedaScaler.name", name)
    if len(name) > 54:
        refuse(
            f"KedaScaler.name is {name!r}, {len(name)} characters long; KEDA names its HPA "
            "'keda-hpa-' and this name, so give name= with at most 54."
        )
    for item in wanted:
        if isinstance(item, CronFloor) and item.replicas > replicas.maximum:
            refuse(
                f"CronFloor.replicas is {item.replicas}, above KedaScaler.max_replicas "
                f"({replicas.maximum}), which it could never reach; lower it or raise the maximum."
            )
    asleep = replicas.minimum == 0
    if asleep and not any(triggers.wakes(item) for item in wanted):
        refuse(
            "KedaScaler.min_replicas is 0, but all triggers read metrics of the model's own "
            "pods, which are gone at 0 replicas, so nothing could wake it; add a CronFloor or a "
            "PrometheusQuery of a gateway's metric, or give min_replicas=1."
        )
    reads = any(not isinstance(item, (CpuUtilization, CronFloor)) for item in wanted)
    found = [_trigger(item, scope, prometheus, nulls=asleep) for item in wanted]
    if asleep:
        awake = PrometheusQuery(
            name=triggers.AWAKE,
            query=metrics.in_flight(scope),
            threshold=1_000_000,
            metric_type="AverageValue",
        )
        found.append(_trigger(awake, scope, prometheus, nulls=True))
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicaCount": replicas.minimum,
        "maxReplicaCount": replicas.maximum,
        **_sleep(startup, polling_interval, cooldown, asleep=asleep),
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": pace.behavior(startup)}},
        "triggers": found,
    }
    if reads and not asleep:
        behavior = "currentReplicasIfHigher"
        spec["fallback"] = {"failureThreshold": 3, "replicas": fallback, "behavior": behavior}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name},
        "spec": spec,
    }
