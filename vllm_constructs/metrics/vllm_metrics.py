"""The metrics of vLLM that this library reads, and queries of several metrics.

Names, types and labels: vllm/v1/metrics/loggers.py of 0.33.
"""

from __future__ import annotations

from typing import Literal

from vllm_constructs.errors import Problem, refuse

from .metric import OWN_LABELS, Metric
from .series import ModelSeries
from .units import Unit


def _vllm_metric(
    name: str,
    kind: Literal["gauge", "counter", "histogram"],
    unit: Unit,
    labels: tuple[str, ...] = OWN_LABELS,
) -> Metric:
    """A metric that no data file is read for at start; tests compare it with the catalog."""
    metric = object.__new__(Metric)
    fields = {"name": name, "type": kind, "unit": unit, "labels": labels, "has_more_labels": False}
    for key, value in fields.items():
        object.__setattr__(metric, key, value)
    return metric


REQUESTS_WAITING = _vllm_metric("vllm:num_requests_waiting", "gauge", "requests")
REQUESTS_RUNNING = _vllm_metric("vllm:num_requests_running", "gauge", "requests")
KV_CACHE_USAGE = _vllm_metric("vllm:kv_cache_usage_perc", "gauge", "ratio")
TIME_TO_FIRST_TOKEN = _vllm_metric("vllm:time_to_first_token_seconds", "histogram", "seconds")
INTER_TOKEN_LATENCY = _vllm_metric("vllm:inter_token_latency_seconds", "histogram", "seconds")
END_TO_END_LATENCY = _vllm_metric("vllm:e2e_request_latency_seconds", "histogram", "seconds")
PROMPT_TOKENS = _vllm_metric("vllm:prompt_tokens_total", "counter", "tokens")
GENERATION_TOKENS = _vllm_metric("vllm:generation_tokens_total", "counter", "tokens")
REQUESTS_ENDED = _vllm_metric(
    "vllm:request_success_total", "counter", "requests", ("engine", "finished_reason", "model_name")
)
PREEMPTIONS = _vllm_metric("vllm:num_preemptions_total", "counter", "preemptions")
QUEUE_TIME = _vllm_metric("vllm:request_queue_time_seconds", "histogram", "seconds")
PREFIX_CACHE_HITS = _vllm_metric("vllm:prefix_cache_hits_total", "counter", "tokens")
PREFIX_CACHE_QUERIES = _vllm_metric("vllm:prefix_cache_queries_total", "counter", "tokens")

ADAPTED = (KV_CACHE_USAGE, REQUESTS_RUNNING, REQUESTS_WAITING)
"""The metrics that an HPA can read through prometheus-adapter."""


def in_flight(series: ModelSeries) -> str:
    """Waiting and running requests of all pods: one series."""
    return f"{REQUESTS_RUNNING.total(series)} + {REQUESTS_WAITING.total(series)}"


def quotient(part: Metric, whole: Metric, series: ModelSeries, window: str = "5m") -> str:
    """The rate of one counter divided by that of another, over all pods: one series, a ratio.

    Args:
        part: The counter in the numerator.
        whole: The counter in the denominator, of the same unit.
        series: The series of the model.
        window: Range of the rates. Default `5m`.

    Raises:
        VllmConstructsError: Different units, a metric that is not a counter, or an invalid range.
    """
    if part.unit != whole.unit:
        refuse(
            Problem(
                where=part.name,
                text=f"counts {part.unit}, but {whole.name} counts {whole.unit}",
                advice="divide only counters of the same unit",
            )
        )
    return f"{part.rate(series, window)} / {whole.rate(series, window)}"


def adapter_rules() -> list[dict[str, object]]:
    """The prometheus-adapter rules (`rules.custom`) for all metrics that HpaScaler uses.

    They aggregate over the label `engine`, so that each pod has one value: the sum, or the average
    of a ratio.
    """
    return [
        {
            "seriesQuery": f'{metric.name}{{namespace!="",pod!=""}}',
            "resources": {
                "overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}
            },
            "name": {"matches": f"^{metric.name}$", "as": metric.adapter_name},
            "metricsQuery": (
                f"{'avg' if metric.unit == 'ratio' else 'sum'}"
                "(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
            ),
        }
        for metric in ADAPTED
    ]
