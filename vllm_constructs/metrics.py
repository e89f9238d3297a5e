"""vLLM's metrics as objects with units; every query of this library is made from them.

Names, types and labels: vllm/v1/metrics/loggers.py of 0.33. `model_name` is the first served
name; `engine` numbers data-parallel engines of one pod, so every query folds it. What a release
exposes is in its data file, which is read when `Metric.named` or `is_exposed` asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from . import _check, names
from ._units import UNITS, Unit, unit_of
from .errors import refuse, warn

if TYPE_CHECKING:
    from .release import VllmRelease

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SUFFIXES = ("_bucket", "_sum", "_count", "_total")
_OWN = ("engine", "model_name")

TARGET_LABELS = ("container", "endpoint", "instance", "job", "node", "pod", "service")
"""Labels that Prometheus puts on every series of a pod that it scrapes."""

FINISHED_REASONS = ("abort", "error", "length", "repetition", "stop")
"""Values of `finished_reason`: FinishReason in vllm/v1/engine/__init__.py of 0.33."""


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

    `Metric.named` finds one in the catalogue of a release, with its type, unit and labels.

    Args:
        name: Name as exposed, without the suffixes of a histogram.
        type: `"gauge"`, `"counter"` or `"histogram"`.
        unit: What its value counts.
        labels: Labels that vLLM puts on it. Default: `engine` and `model_name`, which nearly
            all have.
        has_more_labels: Whether it has labels that are known only at run time, so that any
            label may be matched. Default False.

    Raises:
        VllmConstructsError: A malformed name or label, or an unknown type or unit.
    """

    name: str
    type: Literal["gauge", "counter", "histogram"]
    unit: Unit
    labels: tuple[str, ...] = _OWN
    has_more_labels: bool = False

    def __post_init__(self) -> None:
        allowed = "a metric's name, such as 'vllm:num_requests_waiting'"
        _check.matching("Metric.name", self.name, _METRIC, allowed)
        _check.choice("Metric.type", self.type, ("gauge", "counter", "histogram"))
        _check.choice("Metric.unit", self.unit, UNITS)
        found = _check.texts("Metric.labels", self.labels, "a list of label names")
        object.__setattr__(self, "labels", tuple(sorted(found)))
        _check.boolean("Metric.has_more_labels", self.has_more_labels)

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
        _check.text("Metric.named name", name)
        return _from(name, _entry(name, release))

    def _select(self, scope: Scope, labels: Mapping[str, str], suffix: str = "") -> str:
        """The metric with the matchers of one model and of labels that it has."""
        if "model_name" not in self.labels:
            refuse(
                f"{self.name} has no label 'model_name', so it cannot be asked for one model; "
                "write a query of your own, with the job of the model's monitor."
            )
        for label, value in labels.items():
            allowed = sorted({*self.labels, *TARGET_LABELS} - {"model_name"})
            if label not in allowed and (not self.has_more_labels or label in _SCOPED):
                near = _check.nearest(label, allowed)
                end = f"; {near}" if near else f"; it takes {_check.one_of(allowed)}."
                refuse(f"{self.name} is asked for label {label!r}, which it lacks{end}")
            _check.text(f"label {label!r} of {self.name}", value)
            if label == "finished_reason":
                _check.choice("label 'finished_reason'", value, FINISHED_REASONS)
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
        _check.duration("Metric.rate window", window)
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
        _check.ratio("Metric.quantile quantile", quantile)
        _check.duration("Metric.quantile window", window)
        buckets = self._select(scope, labels, "_bucket")
        return f"histogram_quantile({quantile:g}, sum by (le) (rate({buckets}[{window}])))"


_SCOPED = ("model_name", "namespace")
# Of shares, times and facts a total says nothing.
_NO_SUM = ("info", "ratio", "seconds")


def _release(release: VllmRelease | None) -> VllmRelease:
    from .release import VllmRelease as Release

    if release is None:
        return Release()
    return _check.instance("release", release, Release, "a VllmRelease, such as one of an image")


def _entry(name: str, release: VllmRelease | None) -> dict[str, Any]:
    """What the catalogue says of a metric; refused with the replacement or the nearest name."""
    from .release import catalogue, releases

    found = _release(release)
    known = [cast("Mapping[str, Any]", one) for one in reversed(found.catalogues)]
    exposed: dict[str, dict[str, Any]] = {}
    for one in reversed(known):
        exposed |= one["metrics"]
    if name in exposed:
        return exposed[name]
    say = next((one["removed_metrics"].get(name) for one in known), None)
    if say:
        refuse(f"{name!r} is no metric of {found.called} any more; {say}.")
    bare = next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name)
    near = next((one for one in (bare, f"{name}_total", f"vllm:{name}") if one in exposed), "")
    if near:
        refuse(f"{name!r} is not how {found.called} calls a metric; write it as {near!r}.")
    for other in releases():
        if name in cast("Mapping[str, Any]", catalogue(other))["metrics"]:
            refuse(f"{name!r} is no metric of {found.called}; vLLM {other} has it.")
    hint = _check.nearest(name, exposed)
    return refuse(f"{name!r} is no metric of {found.called}{f'; {hint}' if hint else '.'}")


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


def is_exposed(metric: Metric, release: VllmRelease | None = None) -> bool:
    """Whether a release exposes a metric as it is, without a flag that brings it back.

    A release between two whose data is shipped does so where both do.
    """
    known = [cast("Mapping[str, Any]", one)["metrics"] for one in _release(release).catalogues]
    entries = [one.get(metric.name, {}) for one in known]
    return all(one.get("type") == metric.type and not one.get("hidden") for one in entries)


def counts_errors(release: VllmRelease | None = None) -> bool:
    """Whether a release counts requests that end with `finished_reason="error"`.

    Of the releases known here 0.12 alone does not (vllm/v1/engine/__init__.py).
    """
    version = _release(release).version
    return version is None or version >= (0, 16, 0)


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
REQUESTS_ENDED = Metric(
    name="vllm:request_success_total",
    type="counter",
    unit="requests",
    labels=(*_OWN, "finished_reason"),
)
PREEMPTIONS = Metric(name="vllm:num_preemptions_total", type="counter", unit="preemptions")
QUEUE_TIME = Metric(name="vllm:request_queue_time_seconds", type="histogram", unit="seconds")
PREFIX_CACHE_HITS = Metric(name="vllm:prefix_cache_hits_total", type="counter", unit="tokens")
PREFIX_CACHE_QUERIES = Metric(name="vllm:prefix_cache_queries_total", type="counter", unit="tokens")

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
