"""HpaScaler: an HPA that sets the replicas of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vllm_constructs.kube import peers
from vllm_constructs.kube.metadata import mark
from vllm_constructs.scaling import hpa, keda
from vllm_constructs.scaling.pace import Replicas, ScalingPace, check_pace
from vllm_constructs.scaling.triggers import HpaTrigger, check, reads_prometheus

from .base import VllmConstruct
from .links import links_of
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


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
            that asks for the most replicas wins.
        min_replicas: Replicas at least. Default 1.
        pace: How fast replicas are added and removed. Default: `ScalingPace()`.
        prometheus: Address of the Prometheus behind the adapter; pods of its namespace may then
            scrape the model. Default: that of the app's `PrometheusAdapter`; without one, a
            `ModelMonitor` or the model's `allow_from` lets Prometheus in.
        name: Name of the HorizontalPodAutoscaler. Default: the model's.
        labels: More labels of the HorizontalPodAutoscaler. Default: none.
        annotations: More annotations of the HorizontalPodAutoscaler. Default: none.

    Attributes:
        hpa: The HorizontalPodAutoscaler.

    Raises:
        VllmConstructsError: An invalid range, trigger or target.
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
        prometheus: str | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
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
            pace=check_pace("HpaScaler.pace", ScalingPace() if pace is None else pace),
            startup=links.pod.startup.budget,
        )
        reads_metrics = reads_prometheus(checked)
        links.check_scaler(replicas, reads_metrics=reads_metrics)
        if prometheus is not None:
            scraper = keda.scraper_of(keda.check_address("HpaScaler.prometheus", prometheus))
        else:
            scraper = context.app.prometheus
        change = links.change(
            scaler=replicas,
            is_measured=reads_metrics,
            peers=[peers.from_namespace(scraper)] if scraper and reads_metrics else (),
        )
        mark("HpaScaler", [body], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, {"Default": body}, [change])
        if reads_metrics and prometheus is None:
            context.app.adapted.append(links)

    @property
    def hpa(self) -> ApiObject:
        """The HorizontalPodAutoscaler."""
        return self._object("Default")
