"""ModelMonitor: monitor, alerts and dashboard of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from vllm_constructs import require
from vllm_constructs.errors import warn
from vllm_constructs.kube import names, peers
from vllm_constructs.kube.metadata import mark
from vllm_constructs.monitoring import alerts as alerting
from vllm_constructs.monitoring import dashboard as dashboards
from vllm_constructs.monitoring import monitors
from vllm_constructs.monitoring.objectives import Objectives

from .base import VllmConstruct
from .links import links_of
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


class ModelMonitor(VllmConstruct):
    """A monitor for Prometheus Operator, alerts, and a Grafana dashboard.

    The pods lose their `prometheus.io/scrape` annotations, since two scrapers of one pod would
    count everything twice.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model.
        interval: Time between two scrapes. Default `15s`.
        kind: `"ServiceMonitor"` (default) or `"PodMonitor"`.
        labels: Labels of monitor, rule and dashboard, by which the operator selects them.
            kube-prometheus-stack selects only those with `release: <its Helm release>`, so no
            label is warned about; OpenShift's selects all.
        alerts: Whether to make the PrometheusRule. Default True.
        dashboard: Whether to make the dashboard's ConfigMap. Default True.
        folder: Grafana folder of the dashboard. Default: Grafana's own.
        namespace: Namespace of Prometheus, for the NetworkPolicy. Default `monitoring`.
        name: Name of the monitor, and beginning of the others' names. Default: the model's.
        objectives: Objectives of the model: alerts fire where they are missed, and the
            dashboard draws them. Default: `Objectives()`.
        runbook: Address or path of your runbook's page; each alert adds its section. Default: a
            page of Kubernetes or vLLM for each, and the command that prints our runbook's section.
        annotations: More annotations of monitor, rule and dashboard. Default: none.

    Alerts and panels read only what the vLLM release of the model's image exposes.

    Attributes:
        monitor: The ServiceMonitor or PodMonitor.
        rule: The PrometheusRule, or None.
        dashboard: The ConfigMap, or None.

    Raises:
        VllmConstructsError: An illegal name, duration or label, or a model without metrics.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        target: ModelDeployment,
        interval: str = "15s",
        kind: Literal["ServiceMonitor", "PodMonitor"] = "ServiceMonitor",
        labels: Mapping[str, str] | None = None,
        alerts: bool = True,
        dashboard: bool = True,
        folder: str | None = None,
        namespace: str = "monitoring",
        name: str | None = None,
        objectives: Objectives | None = None,
        runbook: str | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        links = links_of("ModelMonitor.target", target, context)
        workload, pod = links.workload, links.pod
        require.duration("ModelMonitor.interval", interval)
        require.choice("ModelMonitor.kind", kind, ("ServiceMonitor", "PodMonitor"))
        require.boolean("ModelMonitor.alerts", alerts)
        require.boolean("ModelMonitor.dashboard", dashboard)
        names.label("ModelMonitor.namespace", namespace)
        if folder is not None:
            require.text("ModelMonitor.folder", folder)
        goals = Objectives() if objectives is None else objectives
        require.instance("ModelMonitor.objectives", goals, Objectives, "Objectives")
        if runbook is not None:
            require.text("ModelMonitor.runbook", runbook)
        picked = names.label_map("ModelMonitor.labels", {} if labels is None else labels)
        if not picked and namespace != peers.OPENSHIFT_PROMETHEUS:
            warn(
                "ModelMonitor.labels is empty, and kube-prometheus-stack picks up only monitors "
                "labelled with its Helm release; give labels={'release': 'kube-prometheus-stack'}."
            )
        own = names.subdomain("ModelMonitor.name", workload.name if name is None else name)
        series = target.series
        if kind == "ServiceMonitor":
            make, job = monitors.service_monitor, target.service_name
        else:
            make, job = monitors.pod_monitor, f"{series.namespace}/{own}"
        body = make(name=own, selector=workload.selector, interval=interval, labels=picked)
        release = pod.release
        wanted = alerting.model_alerts(
            series,
            job=job,
            workload=workload,
            startup=pod.startup.budget,
            objectives=goals,
            release=release,
        )
        rule = alerting.prometheus_rule(
            name=f"{own}-alerts",
            labels=picked,
            model=target.served_name,
            workload=None if series.pods is None else workload.name,
            alerts=wanted,
            runbook=runbook,
        )
        board = dashboards.dashboard_config_map(
            name=f"{own}-dashboard",
            series=series,
            workload=None if series.pods is None else workload.name,
            folder=folder,
            objectives=goals,
            release=release,
        )
        links.check_monitor()
        change = links.change(job=job, is_measured=True, peers=[peers.from_namespace(namespace)])
        made = {"Default": body}
        if alerts:
            made["alerts"] = rule
        if dashboard:
            board["metadata"]["labels"] = {**picked, **board["metadata"]["labels"]}
            made["dashboard"] = board
        mark("ModelMonitor", made.values(), annotations=annotations)
        super().__init__(scope, id, context, made, [change])

    @property
    def monitor(self) -> ApiObject:
        """The ServiceMonitor or PodMonitor."""
        return self._object("Default")

    @property
    def rule(self) -> ApiObject | None:
        """The PrometheusRule, or None."""
        return self._optional("alerts")

    @property
    def dashboard(self) -> ApiObject | None:
        """The ConfigMap of the dashboard, or None."""
        return self._optional("dashboard")
