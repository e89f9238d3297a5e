"""HpaScaler and KedaScaler: who decides about a model's replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.scaling import scalers as scaling
from vllm_constructs.scaling import triggers as kinds
from vllm_constructs.scaling.scalers import Replicas, ScalingPace
from vllm_constructs.scaling.triggers import CpuUtilization, CronFloor, HpaMetric, KedaTrigger
from vllm_constructs.workloads import network_policy as network

from .base import Room, place_of
from .deployment import model_of

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


def _reads_metrics(wanted: Sequence[object]) -> bool:
    return not all(isinstance(item, (CpuUtilization, CronFloor)) for item in wanted)


class HpaScaler(Room):
    """A HorizontalPodAutoscaler on CPU and vLLM's metrics.

    vLLM's metrics reach an HPA through prometheus-adapter; `PrometheusAdapter` delivers it with
    the rules that give them the names used here.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model.
        max_replicas: Replicas at most.
        metrics: What to scale on, for example `[QueueDepth(5), CpuUtilization(70)]`; the metric
            that asks for most replicas wins.
        min_replicas: Replicas at least. Default 1.
        pace: How fast replicas come and go.
        name: Name of the HorizontalPodAutoscaler. Default: the model's.

    Attributes:
        hpa: The HorizontalPodAutoscaler.

    Raises:
        VllmConstructsError: A range, metric or target that cannot work.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        target: ModelDeployment,
        max_replicas: int,
        metrics: Sequence[HpaMetric],
        min_replicas: int = 1,
        pace: ScalingPace | None = None,
        name: str | None = None,
    ) -> None:
        place = place_of(scope, id)
        model = model_of("HpaScaler.target", target)
        replicas = Replicas(scaler="HpaScaler", minimum=min_replicas, maximum=max_replicas)
        wanted = kinds.check("HpaScaler.metrics", metrics)
        body = scaling.hpa_manifest(
            name=model.name if name is None else name,
            target=model.name,
            replicas=replicas,
            wanted=wanted,
            pace=_pace("HpaScaler.pace", ScalingPace() if pace is None else pace),
            startup=model.pod.startup.budget,
        )
        model.check_scaler(replicas, reads_metrics=_reads_metrics(wanted))
        place.check_free(body)
        super().__init__(scope, id, place)
        self.hpa: ApiObject = self._add("Default", body)
        model.attach_scaler(replicas, reads_metrics=_reads_metrics(wanted))


class KedaScaler(Room):
    """A KEDA ScaledObject on vLLM's metrics, CPU, time of day and queries of your own.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model.
        max_replicas: Replicas at most.
        prometheus: Address of Prometheus as KEDA's operator resolves it, with the namespace:
            `http://prometheus-operated.monitoring.svc:9090`. Pods of that namespace may then
            scrape the model.
        triggers: What to scale on; the trigger that asks for most replicas wins.
        min_replicas: Replicas at least. Default 1. With 0, something that lives without the
            model has to wake it: a `CronFloor` or a `PrometheusQuery` of a gateway's metric.
        pace: How fast replicas come and go. Default: ScalingPace's, but with as many pods at once
            as the highest CronFloor needs above the minimum.
        polling_interval: Seconds between two looks for work at 0 replicas; only with a minimum
            of 0, since above it the HPA looks by itself. Default 15.
        cooldown: Seconds without work until the last replica goes; only with a minimum of 0.
            Default 300.
        fallback_replicas: Replicas at least while Prometheus does not answer. Default: the
            model's `replicas`, within the range.
        name: Name of the ScaledObject. Default: the model's.

    Attributes:
        scaled_object: The ScaledObject.

    Raises:
        VllmConstructsError: A range, trigger, address or target that cannot work.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        target: ModelDeployment,
        max_replicas: int,
        prometheus: str,
        triggers: Sequence[KedaTrigger],
        min_replicas: int = 1,
        pace: ScalingPace | None = None,
        polling_interval: int | None = None,
        cooldown: int | None = None,
        fallback_replicas: int | None = None,
        name: str | None = None,
    ) -> None:
        place = place_of(scope, id)
        model = model_of("KedaScaler.target", target)
        replicas = Replicas(scaler="KedaScaler", minimum=min_replicas, maximum=max_replicas)
        wanted = kinds.check("KedaScaler.triggers", triggers)
        if fallback_replicas is None:
            fallback_replicas = min(max(model.replicas, min_replicas), max_replicas)
        body = scaling.scaled_object_manifest(
            name=model.name if name is None else name,
            target=model.name,
            replicas=replicas,
            wanted=wanted,
            pace=_pace(
                "KedaScaler.pace",
                scaling.pace_for(wanted, min_replicas) if pace is None else pace,
            ),
            startup=model.pod.startup.budget,
            scope=model.metrics_scope,
            prometheus=scaling.check_address("KedaScaler.prometheus", prometheus),
            polling_interval=polling_interval,
            cooldown=cooldown,
            fallback=require.integer(
                "KedaScaler.fallback_replicas", fallback_replicas, 1, max_replicas
            ),
        )
        model.check_scaler(replicas, reads_metrics=_reads_metrics(wanted))
        place.check_free(body)
        super().__init__(scope, id, place)
        self.scaled_object: ApiObject = self._add("Default", body)
        namespace = scaling.namespace_of(prometheus)
        if namespace is not None:
            model.allow([network.from_namespace(namespace)])
        model.attach_scaler(replicas, reads_metrics=_reads_metrics(wanted))


def _pace(where: str, pace: ScalingPace) -> ScalingPace:
    return require.instance(where, pace, ScalingPace, "ScalingPace(...)")
