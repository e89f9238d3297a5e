"""KedaScaler: a ScaledObject, with which KEDA sets the replicas of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import refuse
from vllm_constructs.kube import names, peers
from vllm_constructs.kube.metadata import mark
from vllm_constructs.scaling import keda
from vllm_constructs.scaling.keda_authentication import KedaAuthentication
from vllm_constructs.scaling.pace import Replicas, ScalingPace, check_pace, pace_for
from vllm_constructs.scaling.triggers import KedaTrigger, check, reads_prometheus

from .base import VllmConstruct
from .links import links_of
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


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
        triggers: What to scale on; the trigger that asks for the most replicas wins.
        min_replicas: Replicas at least. Default 1. With 0, a trigger that
            does not read the model's own pods has to activate the scaler: a `CronFloor` or a
            `PrometheusQuery` of a gateway's metric.
        pace: How fast replicas are added and removed. Default: that of `ScalingPace()`, but at
            least as many pods at once as the highest CronFloor needs above the minimum.
        polling_interval: Seconds between two polls at 0 replicas; only with a minimum
            of 0, since above it the HPA polls. Default 15.
        cooldown: Idle seconds until the last replica is removed; only with a minimum of 0.
            Default: 300, and at least the time that a pod may load if a query wakes the model.
            Default 300.
        fallback_replicas: Replicas at least while Prometheus cannot be reached. Default: the
            model's `replicas`, within the range.
        authentication: How KEDA authenticates to Prometheus. Default: not at all.
        paused_replicas: Replicas at which the model stays while the scaler is paused; 0 parks it.
            Default: the scaler is not paused.
        name: Name of the ScaledObject. Default: the model's.
        labels: More labels of the ScaledObject. Default: none.
        annotations: More annotations of the ScaledObject. Default: none.

    Attributes:
        scaled_object: The ScaledObject.
        trigger_authentication: The TriggerAuthentication, or None.

    Raises:
        VllmConstructsError: An invalid range, trigger, address or target.
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
        authentication: KedaAuthentication | None = None,
        paused_replicas: int | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        links = links_of("KedaScaler.target", target, context)
        replicas = Replicas(
            scaler="KedaScaler", minimum=min_replicas, maximum=max_replicas, lowest=0
        )
        checked = check("KedaScaler.triggers", triggers, for_hpa=False)
        made: dict[str, dict[str, Any]] = {}
        if authentication is not None and not reads_prometheus(checked):
            refuse(
                "KedaScaler.authentication is given, but none of the triggers reads Prometheus; "
                "leave it out."
            )
        if authentication is not None:
            where, allowed = "KedaScaler.authentication", "KedaAuthentication(...)"
            require.instance(where, authentication, KedaAuthentication, allowed)
            context.check_reference(where, authentication)
            scaler = (
                links.workload.name if name is None else names.subdomain("KedaScaler.name", name)
            )
            beside = authentication.manifest(keda.authentication_name(scaler))
            if beside is not None:
                made["authentication"] = beside
        if fallback_replicas is None:
            fallback_replicas = min(max(links.replicas, min_replicas), max_replicas)
        body = keda.manifest(
            name=links.workload.name if name is None else name,
            target=links.workload,
            replicas=replicas,
            triggers=checked,
            pace=check_pace(
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
            authentication=authentication,
            paused_replicas=paused_replicas,
        )
        reads_metrics = reads_prometheus(checked)
        links.check_scaler(replicas, reads_metrics=reads_metrics)
        namespace = keda.scraper_of(prometheus)
        if reads_metrics and namespace is None:
            links.warn_of_scraper("KedaScaler.prometheus", prometheus)
        change = links.change(
            scaler=replicas,
            is_measured=reads_metrics,
            peers=() if namespace is None else [peers.from_namespace(namespace)],
        )
        mark("KedaScaler", [body, *made.values()], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, {**made, "Default": body}, [change])

    @property
    def trigger_authentication(self) -> ApiObject | None:
        """The TriggerAuthentication, or None."""
        return self._optional("authentication")

    @property
    def scaled_object(self) -> ApiObject:
        """The ScaledObject."""
        return self._object("Default")
