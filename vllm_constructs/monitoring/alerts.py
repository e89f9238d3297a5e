"""Alerts of a model for an on-call engineer; the runbook has a section for each.

vLLM's own series come from `metrics`. Other programs expose what vLLM cannot:

- `up`: Prometheus, for each pod that it scrapes.
- `kube_...`: kube-state-metrics (docs/metrics of that project), which kube-prometheus-stack
  installs.
- `DCGM_FI_DEV_GPU_UTIL`: NVIDIA's dcgm-exporter (etc/default-counters.csv), which the GPU operator
  installs. It has no value for a MIG slice.

Without kube-state-metrics or dcgm-exporter, the alerts that use their series have no data and do
not fire. No string here contains double braces; see `monitors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vllm_constructs.dataclass import dataclass
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.metrics.cluster_series import (
    GPU_UTILIZATION,
    POD_READY,
    RESTARTS,
    SCALER_MINIMUM,
    SCALER_REPLICAS,
    SCALER_TARGET,
    UP,
    wanted_replicas,
)
from vllm_constructs.metrics.metric import Metric
from vllm_constructs.metrics.series import ModelSeries
from vllm_constructs.releases.metric_catalog import counts_errors
from vllm_constructs.releases.release import VllmRelease
from vllm_constructs.workloads.container import NAME
from vllm_constructs.workloads.workload import Workload

from .objectives import Objectives

# What opens without a page of one's own: where to look for causes of this kind.
_PODS = "https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/"
_SCALING = "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/"
_METRICS = "https://docs.vllm.ai/en/stable/usage/metrics/"
_TUNING = "https://docs.vllm.ai/en/stable/configuration/optimization/"
_PAGES = {
    "VllmEngineDown": _PODS,
    "VllmReplicaDown": _PODS,
    "VllmRestartingWhileLoading": _PODS,
    "VllmGpuIdle": _SCALING,
    "VllmRequestErrors": _METRICS,
}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert: its condition, duration, severity and annotations.

    Args:
        name: Name of the alert, and of its section in the runbook.
        expression: PromQL that has a result while something is wrong.
        lasts: How long it must have a result before the alert fires, such as `10m`.
        severity: `"critical"` pages somebody, `"warning"` is for working hours, `"info"` is for
            information only.
        summary: What is wrong, in one sentence.
        description: The effect on clients, and the numbers.
        metrics: The vLLM metrics in the expression.
    """

    name: str
    expression: str
    lasts: str
    severity: Literal["info", "warning", "critical"]
    summary: str
    description: str
    metrics: tuple[Metric, ...] = ()

    def manifest(self, labels: Mapping[str, str], runbook: str | None = None) -> dict[str, Any]:
        """The alert in a rule group.

        Args:
            labels: Labels besides the severity.
            runbook: URL or path of the runbook. Default: a page of Kubernetes or vLLM, and the
                command that prints the section of this project's runbook.
        """
        # The anchor of the heading, as MkDocs and others write it.
        links = {"runbook_url": f"{runbook}#{self.name.lower()}"}
        if runbook is None:
            links = {
                "runbook": f"vllm-constructs explain {self.name}",
                "runbook_url": _PAGES.get(self.name, _TUNING),
            }
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasts,
            "labels": {**labels, "severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                **links,
            },
        }


def model_alerts(
    series: ModelSeries,
    *,
    job: str,
    workload: Workload,
    startup: int,
    objectives: Objectives | None = None,
    release: VllmRelease | None = None,
) -> list[Alert]:
    """The alerts of a model whose metrics its vLLM release exposes.

    Args:
        series: The model's series.
        job: Label `job` of its scrapes.
        workload: The workload of its pods.
        startup: Seconds that loading may take.
        objectives: The service levels. Default: `Objectives()`.
        release: vLLM release of the image. Default: the newest that this library knows.
    """
    goals = Objectives() if objectives is None else objectives
    alerts = [
        *_availability(series, job=job, workload=workload, startup=startup),
        *_load(series, goals),
        *_latency(series, goals),
        *_endings(series, goals, release),
        _idle(series, workload, goals),
    ]
    return [one for one in alerts if all(metric.is_exposed(release) for metric in one.metrics)]


def _availability(
    series: ModelSeries, *, job: str, workload: Workload, startup: int
) -> list[Alert]:
    """Some or all engines are down, or never become ready."""
    model, space = series.model_name, series.namespace
    up = UP.select(namespace=space, job=job)
    kind = workload.kind
    replicas = wanted_replicas(kind.replicas_series, kind.series_label)
    selected = {"namespace": space, kind.series_label: workload.name}
    asleep = f"{replicas.select(like=None, **selected)} == 0"
    patience = startup // 60 + 5
    # Long enough for two restarts by the startup probe and the pause before each.
    window = max(30, 3 * patience)
    pods = {"pod": workload.pod_names}
    restarts = RESTARTS.select(namespace=space, container=NAME, like=pods)
    ready = POD_READY.select(namespace=space, condition="true", like=pods)
    return [
        Alert(
            name="VllmEngineDown",
            expression=f"absent({up} == 1) unless on () {asleep}",
            # The first pod may load for as long as its startup probe allows.
            lasts=f"{patience}m",
            severity="critical",
            summary=f"No engine of {model} answers its scrapes.",
            description=(
                f"For {patience} minutes, which is longer than loading may take, no pod of "
                f"{workload.name} in {space} has answered. Clients get errors."
            ),
        ),
        Alert(
            name="VllmReplicaDown",
            expression=f"count({up} == 0) > 0 and on () count({up} == 1) > 0",
            lasts=f"{patience}m",
            severity="warning",
            summary=f"Some engines of {model} do not answer their scrapes; others do.",
            description=(
                f"At least one pod of {workload.name} in {space} has not answered for {patience} "
                "minutes, which is longer than loading may take. The others carry its load."
            ),
        ),
        Alert(
            name="VllmRestartingWhileLoading",
            expression=(
                f"max(changes({restarts}[{window}m]) and on (namespace, pod) {ready} == 0) >= 2"
            ),
            lasts="1m",
            severity="warning",
            summary=f"An engine of {model} restarts again and again before it is ready.",
            description=(
                f"A pod of {workload.name} in {space} has restarted at least twice within {window} "
                "minutes and is not ready: it fails while it loads, or its startup probe ends it."
            ),
        ),
    ]


def _load(series: ModelSeries, goals: Objectives) -> list[Alert]:
    """More requests than the replicas can serve."""
    model = series.model_name
    waiting, usage, preempted = (
        vllm_metrics.REQUESTS_WAITING,
        vllm_metrics.KV_CACHE_USAGE,
        vllm_metrics.PREEMPTIONS,
    )
    return [
        Alert(
            name="VllmQueueGrowing",
            expression=f"min_over_time({waiting.mean(series)}[10m:1m]) > {goals.queue_depth:g}",
            lasts="5m",
            severity="warning",
            summary=f"Too many requests to {model} have been waiting for 15 minutes.",
            description=(
                f"More than {goals.queue_depth:g} per replica wait all the time: more come than "
                "the replicas answer, so that each new one waits longer."
            ),
            metrics=(waiting,),
        ),
        Alert(
            name="VllmKvCacheFull",
            expression=f"{usage.mean(series)} > {goals.kv_cache_usage:g}",
            lasts="10m",
            severity="warning",
            summary=f"The KV cache of {model} is nearly full on all replicas.",
            description=(
                f"On average more than {_percent(goals.kv_cache_usage)} of it is in use. New "
                "requests wait, and running ones may be preempted."
            ),
            metrics=(usage,),
        ),
        Alert(
            name="VllmPreemptions",
            expression=f"{preempted.rate(series)} > {goals.preemptions:g}",
            lasts="15m",
            severity="warning",
            summary=f"{model} keeps preempting requests: its KV cache is too small for the load.",
            description=(
                f"More than {goals.preemptions:g} requests per second lose their place and are "
                "computed again, which clients see as pauses."
            ),
            metrics=(preempted,),
        ),
    ]


def _latency(series: ModelSeries, goals: Objectives) -> list[Alert]:
    """Responses that are slower than the objectives."""
    model = series.model_name
    first, token = vllm_metrics.TIME_TO_FIRST_TOKEN, vllm_metrics.INTER_TOKEN_LATENCY
    missed = _percent(1 - goals.quantile)
    return [
        Alert(
            name="VllmFirstTokenSlow",
            expression=(
                f"{first.quantile(series, goals.quantile)} > {goals.time_to_first_token:g}"
            ),
            lasts="10m",
            severity="warning",
            summary=f"Requests to {model} wait too long for their first token.",
            description=(
                f"More than {missed} of the requests wait longer than "
                f"{goals.time_to_first_token:g} s, which is the objective."
            ),
            metrics=(first,),
        ),
        Alert(
            name="VllmTokensSlow",
            expression=(
                f"{token.quantile(series, goals.quantile)} > {goals.inter_token_latency:g}"
            ),
            lasts="10m",
            severity="warning",
            summary=f"The tokens of {model} come too slowly, one after another.",
            description=(
                f"More than {missed} of the tokens come later than "
                f"{goals.inter_token_latency:g} s after the one before, which is the objective."
            ),
            metrics=(token,),
        ),
    ]


def _endings(series: ModelSeries, goals: Objectives, release: VllmRelease | None) -> list[Alert]:
    """Requests that end without a response."""
    model, ended = series.model_name, vllm_metrics.REQUESTS_ENDED
    # Shorter than `lasts`, so that one failed request fires no alert.
    window = "3m"
    failed = Alert(
        name="VllmRequestErrors",
        expression=f"{ended.share(series, window, finished_reason='error')} > {goals.errors:g}",
        lasts="5m",
        severity="critical",
        summary=f"Requests to {model} end with errors.",
        description=f"More than {_percent(goals.errors)} of its requests fail inside the engine.",
        metrics=(ended,),
    )
    return [failed] if counts_errors(release) else []


def _idle(series: ModelSeries, workload: Workload, goals: Objectives) -> Alert:
    """Replicas above the minimum whose GPUs are idle."""
    space, pods = series.namespace, workload.pod_names
    # A monitor without honorLabels, such as the GPU operator's, writes the exporter's own pod to
    # `pod` and the model's to `exported_pod`; no series matches both selectors.
    busy = [
        GPU_UTILIZATION.select(namespace=space, like={"pod": pods}),
        GPU_UTILIZATION.select(exported_namespace=space, like={"exported_pod": pods}),
    ]
    used = f"avg({' or '.join(f'avg_over_time({one}[15m])' for one in busy)})"
    same = "on (namespace, horizontalpodautoscaler)"
    target = SCALER_TARGET.select(
        namespace=space,
        scaletargetref_kind=workload.kind.kind,
        scaletargetref_name=workload.name,
    )
    scaled_out = (
        f"count({SCALER_REPLICAS.select(namespace=space)} > {same} "
        f"{SCALER_MINIMUM.select(namespace=space)} and {same} {target})"
    )
    return Alert(
        name="VllmGpuIdle",
        expression=f"{used} < {100 * goals.gpu_utilization:g} and on () {scaled_out} > 0",
        lasts="15m",
        severity="info",
        summary=f"{series.model_name} is scaled out, but its GPUs are idle.",
        description=(
            f"For half an hour the GPUs of {workload.name} in {space} have computed less than "
            f"{_percent(goals.gpu_utilization)} of the time, with more replicas than the minimum."
        ),
    )


def _percent(ratio: float) -> str:
    return f"{round(100 * ratio, 3):g} %"


def prometheus_rule(
    *,
    name: str,
    labels: dict[str, str],
    model: str,
    alerts: Sequence[Alert],
    workload: str | None = None,
    runbook: str | None = None,
) -> dict[str, Any]:
    """The PrometheusRule.

    Args:
        name: Name of the object and of its rule group.
        labels: Its labels.
        model: Label `model_name` of each alert.
        alerts: Its alerts.
        workload: Label `workload` of each alert, where others have the same model. Default: none.
        runbook: URL or path of the runbook. Default: see `Alert.manifest`.
    """
    own = {"model_name": model} | ({} if workload is None else {"workload": workload})
    rules = [alert.manifest(own, runbook) for alert in alerts]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": labels},
        "spec": {"groups": [{"name": name, "rules": rules}]},
    }
