"""HpaScaler and KedaScaler: who decides about a model's replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.kube import peers
from vllm_constructs.scaling import hpa, keda
from vllm_constructs.scaling.pace import Replicas, ScalingPace, pace_for
from vllm_constructs.scaling.triggers import HpaTrigger, KedaTrigger, Trigger, check

from .base import VllmConstruct
from .links import links_of
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


def _reads_metrics(triggers: Sequence[Trigger]) -> bool:
    return any(trigger.reads_prometheus for trigger in triggers)


class HpaScaler(VllmConstruct):
    """A HorizontalPodAutoscaler on CPU and vLLM's metrics.

    vLLM's metrics reach an HPA through prometheus-adapter; `PrometheusAdapter` delivers it with
    the rules that give them the names used here.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model.
        max_replicas: Replicas at most.
        triggers: What to scale on, for example `[QueueDepth(5), CpuUtilization(70)]`; the trigger
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
        triggers: Sequence[HpaTrigger],
        min_replicas: int = 1,
        pace: ScalingPace | None = None,
        name: str | None = None,
    ) -> None:
        context = chart_context(scope, id)
        links = links_of("HpaScaler.target", target, context)
        replicas = Replicas(scaler="HpaScaler", minimum=min_replicas, maximum=max_replicas)
        checked = check("HpaScaler.triggers", triggers, for_hpa=True)
        body = hpa.manifest(
            name=links.workload.name if name is None else name,
            target=links.workload,
            replicas=replicas,
            triggers=checked,
            pace=_pace("HpaScaler.pace", ScalingPace() if pace is None else pace),
            startup=links.pod.startup.budget,
        )
        links.check_scaler(replicas, reads_metrics=_reads_metrics(checked))
        context.check_free(body)
        super().__init__(scope, id, context)
        self.hpa: ApiObject = self._add("Default", body)
        links.attach_scaler(replicas, reads_metrics=_reads_metrics(checked))


class KedaScaler(VllmConstruct):
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
        min_replicas: Replicas at least. Default 1. With 0, a trigger that
            does not read the model's own pods has to activate the scaler: a `CronFloor` or a
            `PrometheusQuery` of a gateway's metric.
        pace: How fast replicas come and go. Default: ScalingPace's, but with as many pods at once
            as the highest CronFloor needs above the minimum.
        polling_interval: Seconds between two polls at 0 replicas; only with a minimum
            of 0, since above it the HPA polls. Default 15.
        cooldown: Seconds without work until the last replica goes; only with a minimum of 0.
            Default 300.
        fallback_replicas: Replicas at least while Prometheus cannot be reached. Default: the
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
        context = chart_context(scope, id)
        links = links_of("KedaScaler.target", target, context)
        replicas = Replicas(
            scaler="KedaScaler", minimum=min_replicas, maximum=max_replicas, lowest=0
        )
        checked = check("KedaScaler.triggers", triggers, for_hpa=False)
        if fallback_replicas is None:
            fallback_replicas = min(max(links.replicas, min_replicas), max_replicas)
        body = keda.manifest(
            name=links.workload.name if name is None else name,
            target=links.workload,
            replicas=replicas,
            triggers=checked,
            pace=_pace(
                "KedaScaler.pace", pace_for(checked, min_replicas) if pace is None else pace
            ),
            startup=links.pod.startup.budget,
            series=target.series,
            prometheus=keda.check_address("KedaScaler.prometheus", prometheus),
            polling_interval=polling_interval,
            cooldown=cooldown,
            fallback=require.integer(
                "KedaScaler.fallback_replicas", fallback_replicas, 1, max_replicas
            ),
        )
        links.check_scaler(replicas, reads_metrics=_reads_metrics(checked))
        context.check_free(body)
        super().__init__(scope, id, context)
        self.scaled_object: ApiObject = self._add("Default", body)
        namespace = keda.namespace_of(prometheus)
        if namespace is not None:
            links.allow([peers.from_namespace(namespace)])
        links.attach_scaler(replicas, reads_metrics=_reads_metrics(checked))


def _pace(where: str, pace: ScalingPace) -> ScalingPace:
    return require.instance(where, pace, ScalingPace, "ScalingPace(...)")
