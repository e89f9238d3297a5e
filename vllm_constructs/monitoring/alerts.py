"""Alerts: what an on-call engineer wants to know of a model, each with a section in the runbook.

vLLM's own series come from `metrics`. What vLLM cannot say of itself comes from others:

- `up`: Prometheus, for each pod that it scrapes.
- `kube_...`: kube-state-metrics (docs/metrics of that project), which kube-prometheus-stack
  installs.
- `DCGM_FI_DEV_GPU_UTIL`: NVIDIA's dcgm-exporter (etc/default-counters.csv), which the GPU operator
  installs. It has no value for a MIG slice.

Where kube-state-metrics or dcgm-exporter is not there, the alerts made from them have no data and
stay quiet. No text here holds double braces, as in `monitoring`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vllm_constructs.metrics import metric as metrics
from vllm_constructs.metrics.cluster_series import (
    GPU_UTILIZATION,
    POD_READY,
    REPLICAS_WANTED,
    RESTARTS,
    SCALER_MINIMUM,
    SCALER_REPLICAS,
    SCALER_TARGET,
    UP,
    pods_like,
)
from vllm_constructs.metrics.metric import Metric, Scope
from vllm_constructs.releases import metric_catalogue as exposed
from vllm_constructs.releases.release import VllmRelease
from vllm_constructs.workloads import container

from .objectives import Objectives

RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert: when it fires, for how long first, how bad it is, and what it says.

    Args:
        name: Name of the alert; its section of the runbook has the same one.
        expression: PromQL that has a result while something is wrong.
        lasts: How long that has to be so.
        severity: `"critical"` wakes somebody, `"warning"` is for the working day, `"info"` for
            whoever looks.
        summary: One sentence: what is wrong.
        description: What that means for clients, and what the numbers are.
        metrics: The metrics of vLLM in the expression.
    """

    name: str
    expression: str
    lasts: str
    severity: Literal["info", "warning", "critical"]
    summary: str
    description: str
    metrics: tuple[Metric, ...] = ()

    def manifest(self, labels: Mapping[str, str], runbook: str = RUNBOOK) -> dict[str, Any]:
        """The entry of a rule group.

        Args:
            labels: Labels beside the severity.
            runbook: Address or path of the runbook's page. Default: its path in this project.
        """
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasts,
            "labels": {**labels, "severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                # A heading's anchor, as MkDocs and others write it.
                "runbook_url": f"{runbook}#{self.name.lower()}",
            },
        }


def alerts(
    scope: Scope,
    *,
    job: str,
    workload: str,
    startup: int,
    objectives: Objectives | None = None,
    release: VllmRelease | None = None,
) -> list[Alert]:
    """The alerts of a model, from what its vLLM release exposes.

    Args:
        scope: The model's series.
        job: Label `job` of its scrapes.
        workload: Name of its Deployment.
        startup: Seconds that loading may take.
        objectives: What is promised. Default: `Objectives()`.
        release: vLLM release of the image. Default: the newest that this library knows.
    """
    goals = Objectives() if objectives is None else objectives
    found = [
        *_availability(scope, job=job, workload=workload, startup=startup),
        *_load(scope, goals),
        *_latency(scope, goals),
        *_endings(scope, goals, release),
        _idle(scope, workload, goals),
    ]
    return [one for one in found if all(exposed.is_exposed(item, release) for item in one.metrics)]


def _availability(scope: Scope, *, job: str, workload: str, startup: int) -> list[Alert]:
    """Engines that are gone, in part or all of them, or that never become ready."""
    model, space = scope.model_name, scope.namespace
    up = UP.select(namespace=space, job=job)
    asleep = f"{REPLICAS_WANTED.select(namespace=space, deployment=workload)} == 0"
    patience = startup // 60 + 5
    # Long enough for two restarts by the startup probe and the pause before each.
    window = max(30, 3 * patience)
    pods = {"pod": pods_like(workload)}
    restarts = RESTARTS.select(namespace=space, container=container.NAME, like=pods)
    ready = POD_READY.select(namespace=space, condition="true", like=pods)
    return [
        Alert(
            name="VllmEngineDown",
            expression=f"absent({up} == 1) unless on () {asleep}",
            # A first pod may load for as long as its startup allows.
            lasts=f"{patience}m",
            severity="critical",
            summary=f"No engine of {model} answers its scrapes.",
            description=(
                f"For {patience} minutes, which is longer than loading may take, no pod of "
                f"{workload} in {space} has answered. Clients get errors."
            ),
        ),
        Alert(
            name="VllmReplicaDown",
            expression=f"count({up} == 0) > 0 and on () count({up} == 1) > 0",
            lasts=f"{patience}m",
            severity="warning",
            summary=f"Some engines of {model} do not answer their scrapes; others do.",
            description=(
                f"At least one pod of {workload} in {space} has not answered for {patience} "
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
                f"A pod of {workload} in {space} has restarted at least twice within {window} "
                "minutes and is not ready: it fails while it loads, or its startup probe ends it."
            ),
        ),
    ]


def _load(scope: Scope, goals: Objectives) -> list[Alert]:
    """More demand than the replicas can take."""
    model = scope.model_name
    waiting, usage, preempted = (
        metrics.REQUESTS_WAITING,
        metrics.KV_CACHE_USAGE,
        metrics.PREEMPTIONS,
    )
    return [
        Alert(
            name="VllmQueueGrowing",
            expression=f"min_over_time({waiting.mean(scope)}[10m:1m]) > {goals.queue_depth:g}",
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
            expression=f"{usage.mean(scope)} > {goals.kv_cache_usage:g}",
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
            expression=f"{preempted.rate(scope)} > {goals.preemptions:g}",
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


def _latency(scope: Scope, goals: Objectives) -> list[Alert]:
    """Answers that come more slowly than promised."""
    model = scope.model_name
    first, token = metrics.TIME_TO_FIRST_TOKEN, metrics.INTER_TOKEN_LATENCY
    missed = _percent(1 - goals.quantile)
    return [
        Alert(
            name="VllmFirstTokenSlow",
            expression=(f"{first.quantile(scope, goals.quantile)} > {goals.time_to_first_token:g}"),
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
            expression=(f"{token.quantile(scope, goals.quantile)} > {goals.inter_token_latency:g}"),
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


def _endings(scope: Scope, goals: Objectives, release: VllmRelease | None) -> list[Alert]:
    """Requests that end in another way than with an answer."""
    model, ended = scope.model_name, metrics.REQUESTS_ENDED
    # Shorter than the time that it has to last, so that one failed request is no alert.
    window = "3m"
    failed = Alert(
        name="VllmRequestErrors",
        expression=f"{ended.share(scope, window, finished_reason='error')} > {goals.errors:g}",
        lasts="5m",
        severity="critical",
        summary=f"Requests to {model} end with errors.",
        description=f"More than {_percent(goals.errors)} of its requests fail inside the engine.",
        metrics=(ended,),
    )
    dropped = Alert(
        name="VllmRequestsAborted",
        expression=f"{ended.share(scope, window, finished_reason='abort')} > {goals.aborts:g}",
        lasts="10m",
        severity="warning",
        summary=f"Many clients of {model} hang up before their answer ends.",
        description=(
            f"More than {_percent(goals.aborts)} of its requests are aborted: clients or a proxy "
            "on the way stop waiting."
        ),
        metrics=(ended,),
    )
    return [failed, dropped] if exposed.counts_errors(release) else [dropped]


def _idle(scope: Scope, workload: str, goals: Objectives) -> Alert:
    """Replicas above the minimum whose GPUs have nothing to do."""
    space, pods = scope.namespace, pods_like(workload)
    # A monitor without honorLabels, such as the GPU operator's, puts the exporter's own pod into
    # `pod` and the model's into `exported_pod`; no series is selected by both.
    busy = [
        GPU_UTILIZATION.select(namespace=space, like={"pod": pods}),
        GPU_UTILIZATION.select(exported_namespace=space, like={"exported_pod": pods}),
    ]
    used = f"avg({' or '.join(f'avg_over_time({one}[15m])' for one in busy)})"
    same = "on (namespace, horizontalpodautoscaler)"
    target = SCALER_TARGET.select(
        namespace=space, scaletargetref_kind="Deployment", scaletargetref_name=workload
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
        summary=f"{scope.model_name} is scaled out, but its GPUs are idle.",
        description=(
            f"For half an hour the GPUs of {workload} in {space} have computed less than "
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
    wanted: Sequence[Alert],
    runbook: str = RUNBOOK,
) -> dict[str, Any]:
    """The PrometheusRule."""
    rules = [alert.manifest({"model_name": model}, runbook) for alert in wanted]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": labels},
        "spec": {"groups": [{"name": name, "rules": rules}]},
    }
