"""Metric: one vLLM metric with its unit; every query of this library is made from such objects.

Names, types and labels: vllm/v1/metrics/loggers.py of 0.33. `model_name` is the first served
name; `engine` numbers the data-parallel engines of one pod, so every query aggregates over it. The
data file of a release has its metrics; `metric_catalog` reads it only when needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse, warn

from .series import ModelSeries
from .units import UNITS, Unit, unit_of

if TYPE_CHECKING:
    from vllm_constructs.releases.release import VllmRelease

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
OWN_LABELS = ("engine", "model_name")

TARGET_LABELS = ("container", "endpoint", "instance", "job", "node", "pod", "service")
"""Labels that Prometheus sets on every series of a pod that it scrapes."""

# Values of labels. Source: FinishReason in vllm/v1/engine/__init__.py and loggers.py of 0.33.
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
class Metric:
    """One metric of vLLM.

    `Metric.named` returns a metric of a release, with its type, unit and labels.

    A metric whose name begins with `vllm:` is compared with the shipped releases; any other, such
    as a gateway's, is taken as specified.

    Args:
        name: Name as exposed, without the suffixes of a histogram.
        type: `"gauge"`, `"counter"` or `"histogram"`.
        unit: The unit of its value.
        labels: Labels that vLLM sets on it. Default: `engine` and `model_name`, which nearly all
            metrics have.
        has_more_labels: Whether it has labels that are known only at run time, so that any
            label may be matched. Default False.

    Raises:
        VllmConstructsError: A malformed name or label, an unknown type or unit, or a metric that
            no release of vLLM has with this type, unit and labels.
    """

    name: str
    type: Literal["gauge", "counter", "histogram"]
    unit: Unit
    labels: tuple[str, ...] = OWN_LABELS
    has_more_labels: bool = False

    def __post_init__(self) -> None:
        allowed = "the name of a metric, such as 'vllm:num_requests_waiting'"
        require.matching("Metric.name", self.name, _METRIC, allowed)
        require.choice("Metric.type", self.type, ("gauge", "counter", "histogram"))
        require.choice("Metric.unit", self.unit, UNITS)
        labels = require.texts("Metric.labels", self.labels, "a list of label names")
        object.__setattr__(self, "labels", tuple(sorted(labels)))
        require.boolean("Metric.has_more_labels", self.has_more_labels)
        if self.name.startswith("vllm:"):
            self._check_known()

    def _check_known(self) -> None:
        """Reject a type, unit or label that no release exposes under this name."""
        from vllm_constructs.releases import metric_catalog

        entries = metric_catalog.entries(self.name) or [metric_catalog.entry(self.name)]
        for name, value, known in (
            ("type", self.type, {one["type"] for one in entries}),
            ("unit", self.unit, {unit_of(self.name)}),
        ):
            if value not in known:
                expected = " or ".join(repr(one) for one in sorted(known))
                require.wrong(f"Metric.{name}", value, f"{expected} for {self.name}")
        labels = {label for one in entries for label in one["labels"]}
        more = sorted(set(self.labels) - labels)
        if more and not any(one.get("more_labels") for one in entries):
            label = escaped(require.shown(more[0]))
            refuse(
                Problem(
                    where="Metric.labels",
                    text=f"has {label}, which vLLM does not set on {self.name}",
                    value=require.shown(self.labels),
                    allowed=require.one_of(sorted(labels)),
                )
            )

    @classmethod
    def named(cls, name: str, *, release: VllmRelease | None = None) -> Metric:
        """The metric of this name in a vLLM release.

        Args:
            name: Name as exposed, such as `vllm:num_requests_waiting`: a counter with `_total`,
                a histogram without its suffixes.
            release: vLLM release of the image. Default: the newest that this library knows.

        Raises:
            VllmConstructsError: The release has no such metric; the error names its replacement,
                the release that has it, or the nearest name.
        """
        from vllm_constructs.releases import metric_catalog

        require.text("Metric.name", name)
        return _from(name, metric_catalog.entry(name, release))

    def is_exposed(self, release: VllmRelease | None = None) -> bool:
        """Whether a release exposes the metric as it is, without a flag that brings it back.

        Args:
            release: vLLM release of the image. Default: the newest that this library knows.
        """
        from vllm_constructs.releases import metric_catalog

        return metric_catalog.is_exposed(self.name, self.type, release)

    def _select(self, series: ModelSeries, labels: Mapping[str, str], suffix: str = "") -> str:
        """The selector of the metric for one model, with matchers of other labels."""
        if "model_name" not in self.labels:
            refuse(
                Problem(
                    where=self.name,
                    text="has no label 'model_name', so that one model cannot be selected",
                    advice="write a query of your own, with the job of the model's monitor",
                )
            )
        for label, value in labels.items():
            if label in ("model", *_SELECTED):
                refuse(
                    Problem(
                        where=f"label {label!r} of {self.name}",
                        text="is not accepted, since the ModelSeries selects the model by its name "
                        "and namespace",
                        value=require.shown(value),
                        advice="leave it out",
                    )
                )
            allowed = sorted({*self.labels, *TARGET_LABELS} - {"model_name"})
            if label not in allowed and not self.has_more_labels:
                near = require.nearest(label, allowed)
                refuse(
                    Problem(
                        where=self.name,
                        text=f"has no label {escaped(require.shown(label))}",
                        value=require.shown(label),
                        allowed="" if near else require.one_of(allowed),
                        advice=near,
                    )
                )
            require.text(f"label {label!r} of {self.name}", value)
            options = _VALUES.get((self.name, label))
            if options:
                require.choice(f"label {label!r} of {self.name}", value, options)
        return f"{self.name}{suffix}{{{series.matchers(**labels)}}}"

    @property
    def adapter_name(self) -> str:
        """Its name from prometheus-adapter: the custom metrics API has no colons."""
        return self.name.replace(":", "_")

    def _check_type(self, kind: str, query: str) -> None:
        """Reject a query that only metrics of another type have."""
        if self.type != kind:
            advice = "" if self.unit == "info" else f"use {_QUERIES[self.type]}()"
            text = f"is a {self.type}, and only a {kind} {query}"
            refuse(Problem(where=self.name, text=text, advice=advice))
        if self.type == "gauge" and self.unit == "info":
            text = "is an info metric, whose value is always 1"
            refuse(Problem(where=self.name, text=text, advice="read its labels"))

    def total(self, series: ModelSeries, **labels: str) -> str:
        """The sum over all pods of the model: one series, to be compared per replica."""
        self._check_type("gauge", "has a total")
        if self.unit in ("ratio", "seconds"):
            text = f"is a gauge in {self.unit}, which has no meaningful sum"
            refuse(Problem(where=self.name, text=text, advice="use mean()"))
        return f"sum({self._select(series, labels)})"

    def mean(self, series: ModelSeries, **labels: str) -> str:
        """The average over all pods of the model: one series."""
        self._check_type("gauge", "has an average")
        return f"avg({self._select(series, labels)})"

    def rate(self, series: ModelSeries, window: str = "5m", **labels: str) -> str:
        """The increase of a counter per second, over all pods: one series."""
        self._check_type("counter", "has a rate")
        require.duration("window", window)
        return f"sum(rate({self._select(series, labels)}[{window}]))"

    def share(self, series: ModelSeries, window: str = "5m", **labels: str) -> str:
        """The part of a counter's increase that has these labels, over all pods: one series.

        It is a ratio, and NaN without an increase; NaN exceeds no threshold.
        """
        if not labels:
            advice = "specify the labels of the part"
            refuse(Problem(where=self.name, text="has no share without a label", advice=advice))
        return f"{self.rate(series, window, **labels)} / {self.rate(series, window)}"

    def quantile(
        self, series: ModelSeries, quantile: float, window: str = "5m", **labels: str
    ) -> str:
        """A quantile of a histogram, over all pods: one series."""
        self._check_type("histogram", "has quantiles")
        require.ratio("quantile", quantile)
        require.duration("window", window)
        buckets = self._select(series, labels, "_bucket")
        return f"histogram_quantile({quantile:g}, sum by (le) (rate({buckets}[{window}])))"

    def quantile_or_zero(
        self, series: ModelSeries, quantile: float, window: str = "5m", **labels: str
    ) -> str:
        """A quantile of a histogram, and 0 while nothing is observed; no series without pods.

        Without an observation in the window the quantile is NaN.
        """
        found = self.quantile(series, quantile, window, **labels)
        count = self._select(series, labels, "_count")
        return f"{found} >= 0 or 0 * sum(rate({count}[{window}]))"


_SELECTED = ("model_name", "namespace")
# The query of each type, for the error about that of another type.
_QUERIES = {"counter": "rate", "gauge": "mean", "histogram": "quantile"}


def _from(name: str, entry: dict[str, Any]) -> Metric:
    """The metric of an entry in the catalog."""
    if entry.get("hidden"):
        text = "is hidden: vLLM exposes it only with {EngineArgs.show_hidden_metrics_for_version}"
        warn(Problem(where=name, text=text))
    elif entry.get("deprecated"):
        warn(Problem(where=name, text="is deprecated: a later release of vLLM may remove it"))
    return Metric(
        name=name,
        type=entry["type"],
        unit=unit_of(name),
        labels=tuple(entry["labels"]),
        has_more_labels=bool(entry.get("more_labels")),
    )
