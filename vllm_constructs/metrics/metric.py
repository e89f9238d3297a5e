"""vLLM's metrics as objects with units; every query of this library is made from them.

Names, types and labels: vllm/v1/metrics/loggers.py of 0.33. `model_name` is the first served
name; `engine` numbers data-parallel engines of one pod, so every query folds it. What a release
exposes is in its data file, which `exposed` reads when somebody asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vllm_constructs import require
from vllm_constructs.errors import refuse, warn
from vllm_constructs.kube import names

from .units import UNITS, Unit, unit_of

if TYPE_CHECKING:
    from vllm_constructs.releases.release import VllmRelease

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_OWN = ("engine", "model_name")

TARGET_LABELS = ("container", "endpoint", "instance", "job", "node", "pod", "service")
"""Labels that Prometheus puts on every series of a pod that it scrapes."""

# Values of labels: FinishReason in vllm/v1/engine/__init__.py and loggers.py of 0.33.
_VALUES = {
    ("vllm:num_requests_waiting_by_reason", "reason"): ("capacity", "deferred"),
    ("vllm:request_success_total", "finished_reason"): (
        "abort",
        "error",
        "length",
        "repetition",
        "stop",
    ),
}


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
        require.text("Scope.model_name", self.model_name)

    def matchers(self, **more: str) -> str:
        """The label matchers, as PromQL writes them."""
        labels = {"namespace": self.namespace, "model_name": self.model_name, **more}
        return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of vLLM.

    `Metric.named` finds one in the catalogue of a release, with its type, unit and labels.

    A metric whose name begins with `vllm:` is as some shipped release has it; others, such as a
    gateway's, are as you say.

    Args:
        name: Name as exposed, without the suffixes of a histogram.
        type: `"gauge"`, `"counter"` or `"histogram"`.
        unit: What its value counts.
        labels: Labels that vLLM puts on it. Default: `engine` and `model_name`, which nearly
            all have.
        has_more_labels: Whether it has labels that are known only at run time, so that any
            label may be matched. Default False.

    Raises:
        VllmConstructsError: A malformed name or label, an unknown type or unit, or a metric that
            no release of vLLM has like that.
    """

    name: str
    type: Literal["gauge", "counter", "histogram"]
    unit: Unit
    labels: tuple[str, ...] = _OWN
    has_more_labels: bool = False

    def __post_init__(self) -> None:
        allowed = "a metric's name, such as 'vllm:num_requests_waiting'"
        require.matching("Metric.name", self.name, _METRIC, allowed)
        require.choice("Metric.type", self.type, ("gauge", "counter", "histogram"))
        require.choice("Metric.unit", self.unit, UNITS)
        found = require.texts("Metric.labels", self.labels, "a list of label names")
        object.__setattr__(self, "labels", tuple(sorted(found)))
        require.boolean("Metric.has_more_labels", self.has_more_labels)
        if self.name.startswith("vllm:"):
            self._check_known()

    def _check_known(self) -> None:
        """Refuse what no release exposes under this name."""
        from vllm_constructs.releases import metric_catalogue as exposed

        entries = exposed.entries(self.name) or [exposed.entry(self.name)]
        for name, value, known in (
            ("type", self.type, {one["type"] for one in entries}),
            ("unit", self.unit, {unit_of(self.name)}),
        ):
            if value not in known:
                is_what = " or ".join(repr(one) for one in sorted(known))
                refuse(
                    f"Metric.{name} of {self.name} is {value!r}, but it is {is_what}; give that."
                )
        labels = {label for one in entries for label in one["labels"]}
        more = sorted(set(self.labels) - labels)
        if more and not any(one.get("more_labels") for one in entries):
            refuse(
                f"Metric.labels of {self.name} has {more[0]!r}, which vLLM does not put on it; it "
                f"takes {require.one_of(sorted(labels))}."
            )

    @classmethod
    def named(cls, name: str, *, release: VllmRelease | None = None) -> Metric:
        """The metric of that name in a vLLM release.

        Args:
            name: Name as exposed, such as `vllm:num_requests_waiting`: a counter with `_total`,
                a histogram without its suffixes.
            release: vLLM release of the image. Default: the newest that this library knows.

        Raises:
            VllmConstructsError: The release has no such metric; the sentence names what replaced
                it, the release that has it, or the nearest name.
        """
        from vllm_constructs.releases import metric_catalogue as exposed

        require.text("Metric.named name", name)
        return _from(name, exposed.entry(name, release))

    def _select(self, scope: Scope, labels: Mapping[str, str], suffix: str = "") -> str:
        """The metric with the matchers of one model and of labels that it has."""
        if "model_name" not in self.labels:
            refuse(
                f"{self.name} has no label 'model_name', so it cannot be asked for one model; "
                "write a query of your own, with the job of the model's monitor."
            )
        for label, value in labels.items():
            if label in ("model", *_SCOPED):
                refuse(
                    f"{self.name} is asked for label {label!r}; the model's name and namespace "
                    "are those of the Scope: leave it out."
                )
            allowed = sorted({*self.labels, *TARGET_LABELS} - {"model_name"})
            if label not in allowed and not self.has_more_labels:
                near = require.nearest(label, allowed)
                end = f"; {near}" if near else f"; it takes {require.one_of(allowed)}."
                refuse(f"{self.name} is asked for label {label!r}, which it lacks{end}")
            require.text(f"label {label!r} of {self.name}", value)
            options = _VALUES.get((self.name, label))
            if options:
                require.choice(f"label {label!r} of {self.name}", value, options)
        return f"{self.name}{suffix}{{{scope.matchers(**labels)}}}"

    @property
    def adapter_name(self) -> str:
        """Name that prometheus-adapter gives it: the custom metrics API has no colons."""
        return self.name.replace(":", "_")

    def total(self, scope: Scope, **labels: str) -> str:
        """The sum over all pods of the model: one series, to be compared per replica."""
        if self.type != "gauge" or self.unit in _NO_SUM:
            refuse(f"{self.name} is a {self.type} in {self.unit}; a sum of it means nothing.")
        return f"sum({self._select(scope, labels)})"

    def mean(self, scope: Scope, **labels: str) -> str:
        """The average over all pods of the model: one series."""
        if self.type != "gauge":
            refuse(f"{self.name} is a {self.type}; take its rate or a quantile, not its average.")
        if self.unit == "info":
            refuse(f"{self.name} says something by its labels; its value means nothing.")
        return f"avg({self._select(scope, labels)})"

    def rate(self, scope: Scope, window: str = "5m", **labels: str) -> str:
        """What a counter grows per second, over all pods: one series."""
        if self.type != "counter":
            refuse(f"{self.name} is a {self.type}; only a counter has a rate.")
        require.duration("Metric.rate window", window)
        return f"sum(rate({self._select(scope, labels)}[{window}]))"

    def share(self, scope: Scope, window: str = "5m", **labels: str) -> str:
        """The part of a counter's growth that has these labels, over all pods: one series.

        It is a ratio, and NaN while nothing grows, which is above no threshold.
        """
        if not labels:
            refuse(f"a share of {self.name} is asked for without a label; say the part of what.")
        return f"{self.rate(scope, window, **labels)} / {self.rate(scope, window)}"

    def quantile(self, scope: Scope, quantile: float, window: str = "5m", **labels: str) -> str:
        """A quantile of a histogram, over all pods: one series."""
        if self.type != "histogram":
            refuse(f"{self.name} is a {self.type}; only a histogram has quantiles.")
        require.ratio("Metric.quantile quantile", quantile)
        require.duration("Metric.quantile window", window)
        buckets = self._select(scope, labels, "_bucket")
        return f"histogram_quantile({quantile:g}, sum by (le) (rate({buckets}[{window}])))"


_SCOPED = ("model_name", "namespace")
# Of shares, times and facts a total says nothing.
_NO_SUM = ("info", "ratio", "seconds")


def _from(name: str, entry: dict[str, Any]) -> Metric:
    """The object for an entry of the catalogue."""
    if entry.get("hidden"):
        warn(f"{name} is hidden: vLLM exposes it only with show_hidden_metrics_for_version.")
    elif entry.get("deprecated"):
        warn(f"{name} is deprecated: a later release of vLLM may lack it.")
    return Metric(
        name=name,
        type=entry["type"],
        unit=unit_of(name),
        labels=tuple(entry["labels"]),
        has_more_labels=bool(entry.get("more_labels")),
    )


def _metric(
    name: str,
    kind: Literal["gauge", "counter", "histogram"],
    unit: Unit,
    labels: tuple[str, ...] = _OWN,
) -> Metric:
    """A metric that the tests compare with the catalogue, so that nothing is read at start."""
    found = object.__new__(Metric)
    fields = {"name": name, "type": kind, "unit": unit, "labels": labels, "has_more_labels": False}
    for key, value in fields.items():
        object.__setattr__(found, key, value)
    return found


REQUESTS_WAITING = _metric("vllm:num_requests_waiting", "gauge", "requests")
REQUESTS_RUNNING = _metric("vllm:num_requests_running", "gauge", "requests")
KV_CACHE_USAGE = _metric("vllm:kv_cache_usage_perc", "gauge", "ratio")
TIME_TO_FIRST_TOKEN = _metric("vllm:time_to_first_token_seconds", "histogram", "seconds")
INTER_TOKEN_LATENCY = _metric("vllm:inter_token_latency_seconds", "histogram", "seconds")
END_TO_END_LATENCY = _metric("vllm:e2e_request_latency_seconds", "histogram", "seconds")
PROMPT_TOKENS = _metric("vllm:prompt_tokens_total", "counter", "tokens")
GENERATION_TOKENS = _metric("vllm:generation_tokens_total", "counter", "tokens")
REQUESTS_ENDED = _metric(
    "vllm:request_success_total", "counter", "requests", ("engine", "finished_reason", "model_name")
)
PREEMPTIONS = _metric("vllm:num_preemptions_total", "counter", "preemptions")
QUEUE_TIME = _metric("vllm:request_queue_time_seconds", "histogram", "seconds")
PREFIX_CACHE_HITS = _metric("vllm:prefix_cache_hits_total", "counter", "tokens")
PREFIX_CACHE_QUERIES = _metric("vllm:prefix_cache_queries_total", "counter", "tokens")

ADAPTED = (KV_CACHE_USAGE, REQUESTS_RUNNING, REQUESTS_WAITING)
"""The metrics that an HPA can read through prometheus-adapter."""


def in_flight(scope: Scope) -> str:
    """Requests that wait or run, over all pods: one series."""
    return f"{REQUESTS_RUNNING.total(scope)} + {REQUESTS_WAITING.total(scope)}"


def quotient(part: Metric, whole: Metric, scope: Scope, window: str = "5m") -> str:
    """What one counter grows as a part of another, over all pods: one series, a ratio."""
    if part.unit != whole.unit:
        refuse(
            f"{part.name} counts {part.unit} and {whole.name} {whole.unit}; "
            "only counters of one unit divide into a ratio."
        )
    return f"{part.rate(scope, window)} / {whole.rate(scope, window)}"


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
