"""vLLM's metrics as objects with units; every query of this library is made from them.

Names, types and labels: vllm/v1/metrics/loggers.py of 0.33. `model_name` is the first served
name; `engine` numbers data-parallel engines of one pod, so every query folds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from . import _check, names
from .errors import refuse

Unit: TypeAlias = Literal["requests", "ratio", "seconds", "tokens", "preemptions"]

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The series of one model: its namespace and its first served name.

    Args:
        namespace: Namespace of the model.
        model_name: Its first served name.

    Raises:
        VllmConstructsError: An illegal namespace, or an empty name.
    """

    namespace: str
    model_name: str

    def __post_init__(self) -> None:
        names.label("Scope.namespace", self.namespace)
        _check.text("Scope.model_name", self.model_name)

    def matchers(self, **more: str) -> str:
        """The label matchers, as PromQL writes them."""
        labels = {"namespace": self.namespace, "model_name": self.model_name, **more}
        return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of vLLM.

    Args:
        name: Name as exposed, without the suffixes of a histogram.
        type: `"gauge"`, `"counter"` or `"histogram"`.
        unit: What its value counts.

    Raises:
        VllmConstructsError: A malformed name, or an unknown type or unit.
    """

    name: str
    type: Literal["gauge", "counter", "histogram"]
    unit: Unit

    def __post_init__(self) -> None:
        allowed = "a metric's name, such as 'vllm:num_requests_waiting'"
        _check.matching("Metric.name", self.name, _METRIC, allowed)
        _check.choice("Metric.type", self.type, ("gauge", "counter", "histogram"))
        _check.choice("Metric.unit", self.unit, get_args(Unit))

    @property
    def adapter_name(self) -> str:
        """Name that prometheus-adapter gives it: the custom metrics API has no colons."""
        return self.name.replace(":", "_")

    def total(self, scope: Scope) -> str:
        """The sum over all pods of the model: one series, to be compared per replica."""
        if self.type != "gauge" or self.unit == "ratio":
            refuse(f"{self.name} is a {self.type} in {self.unit}; a sum of it means nothing.")
        return f"sum({self.name}{{{scope.matchers()}}})"

    def mean(self, scope: Scope) -> str:
        """The average over all pods of the model: one series."""
        if self.type != "gauge":
            refuse(f"{self.name} is a {self.type}; take its rate or a quantile, not its average.")
        return f"avg({self.name}{{{scope.matchers()}}})"

    def rate(self, scope: Scope, window: str = "5m", **labels: str) -> str:
        """What a counter grows per second, over all pods: one series."""
        if self.type != "counter":
            refuse(f"{self.name} is a {self.type}; only a counter has a rate.")
        _check.duration("Metric.rate window", window)
        return f"sum(rate({self.name}{{{scope.matchers(**labels)}}}[{window}]))"

    def quantile(self, scope: Scope, quantile: float, window: str = "5m") -> str:
        """A quantile of a histogram, over all pods: one series."""
        if self.type != "histogram":
            refuse(f"{self.name} is a {self.type}; only a histogram has quantiles.")
        _check.ratio("Metric.quantile quantile", quantile)
        _check.duration("Metric.quantile window", window)
        buckets = f"sum by (le) (rate({self.name}_bucket{{{scope.matchers()}}}[{window}]))"
        return f"histogram_quantile({quantile:g}, {buckets})"


REQUESTS_WAITING = Metric(name="vllm:num_requests_waiting", type="gauge", unit="requests")
REQUESTS_RUNNING = Metric(name="vllm:num_requests_running", type="gauge", unit="requests")
KV_CACHE_USAGE = Metric(name="vllm:kv_cache_usage_perc", type="gauge", unit="ratio")
TIME_TO_FIRST_TOKEN = Metric(
    name="vllm:time_to_first_token_seconds", type="histogram", unit="seconds"
)
INTER_TOKEN_LATENCY = Metric(
    name="vllm:inter_token_latency_seconds", type="histogram", unit="seconds"
)
END_TO_END_LATENCY = Metric(
    name="vllm:e2e_request_latency_seconds", type="histogram", unit="seconds"
)
PROMPT_TOKENS = Metric(name="vllm:prompt_tokens_total", type="counter", unit="tokens")
GENERATION_TOKENS = Metric(name="vllm:generation_tokens_total", type="counter", unit="tokens")
REQUESTS_ENDED = Metric(name="vllm:request_success_total", type="counter", unit="requests")
PREEMPTIONS = Metric(name="vllm:num_preemptions_total", type="counter", unit="preemptions")

ADAPTED = (KV_CACHE_USAGE, REQUESTS_RUNNING, REQUESTS_WAITING)
"""The metrics that an HPA can read through prometheus-adapter."""


def in_flight(scope: Scope) -> str:
    """Requests that wait or run, over all pods: one series."""
    return f"{REQUESTS_RUNNING.total(scope)} + {REQUESTS_WAITING.total(scope)}"


def adapter_rules() -> list[dict[str, object]]:
    """The prometheus-adapter rules (`rules.custom`) for all metrics that HpaScaler uses.

    They fold the `engine` label, so that each pod has one value: a sum, for a ratio the average.
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
