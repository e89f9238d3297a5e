"""Subjects: which engines a query is about, and what else may set its names and labels."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Collection

from vllm_constructs.releases.release import VllmRelease

from .engines import Engine
from .fields import items, mapping
from .graph import Graph
from .lazy import lazy
from .manifest import Manifest
from .queries import Query, queries
from .scalers import Scaler, scalers

PLACEHOLDER = re.compile(r"\{\{|\[\[|<\w|\$[({A-Za-z_]|%[(s]")
"""Of a template, or of a variable that somebody else replaces."""
_MONITORS = (
    "ClusterPodMonitoring",
    "PodMonitor",
    "PodMonitoring",
    "ScrapeConfig",
    "ServiceMonitor",
    "VMPodScrape",
    "VMServiceScrape",
)
_INVALID_IN_LABELS = re.compile(r"\W", re.ASCII)
_TARGET_LABEL = re.compile(r"target_?[lL]abel\"?\s*:\s*[\"']?(\w+)")


class Subjects:
    """Which engines a query is about, and what else may set its names and labels."""

    def __init__(self, graph: Graph) -> None:
        """Keep the graph.

        Args:
            graph: The graph.
        """
        self.graph = graph

    @lazy
    def _scalers(self) -> dict[int, Scaler]:
        return {one.manifest.number: one for one in scalers(self.graph)}

    @lazy
    def _engines(self) -> dict[str | None, dict[object, Engine]]:
        """By model, one engine for each release and what it is told to expose."""
        found: dict[str | None, dict[object, Engine]] = defaultdict(dict)
        for one in self.graph.engines:
            found[model_name(one)].setdefault(_exposure(one), one)
        return found

    @lazy
    def _exposures(self) -> dict[object, Engine]:
        """Of all models, one engine for each release and what it is told to expose."""
        found: dict[object, Engine] = {}
        for engines in self._engines.values():
            for key, one in engines.items():
                found.setdefault(key, one)
        return found

    def scaler(self, query: Query) -> Scaler | None:
        """The scaler that reads a query.

        Args:
            query: The query.
        """
        return self._scalers.get(query.manifest.number) if query.reader == "trigger" else None

    def engines(self, query: Query, models: Collection[str] = ()) -> list[Engine]:
        """The engines that a query is about: of a scaler's target, or one of each release.

        Args:
            query: The query.
            models: The models whose series it selects. Default: any.
        """
        scaler = self.scaler(query)
        if scaler is not None and scaler.target is not None:
            return scaler.engines
        if not models:
            return [*self._exposures.values()]
        return [one for name in [*models, None] for one in self._engines.get(name, {}).values()]

    @lazy
    def records(self) -> dict[str, str]:
        """The series that recording rules of the manifests make, with their queries."""
        return {one.record: one.text for one in queries(self.graph) if one.record}

    @lazy
    def recorded(self) -> frozenset[str]:
        """The names of those series."""
        return frozenset(self.records)

    @lazy
    def _pod_labels(self) -> frozenset[str]:
        return frozenset(_labels_of(self.graph.engines))

    @lazy
    def _workloads(self) -> dict[str | None, set[int]]:
        found: dict[str | None, set[int]] = defaultdict(set)
        for one in self.graph.engines:
            found[model_name(one)].add(one.manifest.number)
        return found

    @lazy
    def workloads(self) -> int:
        """How many objects run engines."""
        return len({one.manifest.number for one in self.graph.engines})

    def workloads_of(self, model: str) -> int:
        """How many objects run engines that serve a model.

        Args:
            model: The model.
        """
        return len(self._workloads.get(model, ()))

    @lazy
    def model_names(self) -> frozenset[str]:
        """The models that the engines of the manifests serve, as far as they are known."""
        return frozenset(name for name in self._workloads if name is not None)

    @lazy
    def assumed(self) -> VllmRelease:
        """The release where the manifests have no engine."""
        with warnings.catch_warnings(action="ignore"):
            try:
                return VllmRelease("vllm:unknown", vllm=self.graph.settings.vllm)
            except ValueError:
                return VllmRelease("vllm:unknown")

    @lazy
    def copied(self) -> frozenset[str] | None:
        """The labels that scrapers of the manifests add; None if they add all of a pod."""
        found: set[str] = set()
        for monitor in self.graph.of(*_MONITORS):
            found |= _copied_by(monitor)
        for data in self.graph.config_data.values():
            for text in data.values():
                if isinstance(text, str) and "scrape_configs" in text:
                    found |= {"*"} if "labelmap" in text else set(_TARGET_LABEL.findall(text))
        return None if "*" in found else frozenset(found)

    def copies(self, label: str) -> bool:
        """Whether a scraper of the manifests may set a label.

        Args:
            label: The label of a series.
        """
        return self.copied is None or label in self.copied

    @lazy
    def has_monitors(self) -> bool:
        """Whether the manifests say how engines are scraped."""
        return bool(self.graph.of(*_MONITORS))

    def may_be_copied(self, label: str, query: Query) -> bool:
        """Whether pods have a label that scrapers outside of the manifests may copy.

        Args:
            label: The label of a series.
            query: The query that selects by it.
        """
        scaler = self.scaler(query)
        is_known = scaler is not None and scaler.target is not None
        own = _labels_of(scaler.engines) if scaler is not None and is_known else self._pod_labels
        return label in own and not self.has_monitors


def _exposure(engine: Engine) -> object:
    """What decides which metrics an engine exposes."""
    release = engine.release
    hidden = engine.flag("show-hidden-metrics-for-version")
    return release.version, release.is_open, str(hidden)


def _labels_of(engines: Collection[Engine]) -> set[str]:
    """The labels of pods, as Prometheus writes them."""
    return {_INVALID_IN_LABELS.sub("_", str(key)) for one in engines for key in one.pod.labels}


def _copied_by(monitor: Manifest) -> set[str]:
    spec = monitor.spec
    found = {
        _INVALID_IN_LABELS.sub("_", str(label))
        for field in ("targetLabels", "podTargetLabels")
        for label in items(spec.get(field))
    }
    from_pods = items(mapping(spec.get("targetLabels")).get("fromPod"))
    found |= {str(one.get("to") or one.get("from")) for one in map(mapping, from_pods)}
    fields = ("endpoints", "podMetricsEndpoints")
    places = [spec, *(mapping(one) for field in fields for one in items(spec.get(field)))]
    for place in places:
        for field in ("relabelings", "metricRelabelings", "relabelConfigs", "metricRelabeling"):
            for one in map(mapping, items(place.get(field))):
                found.add(str(one.get("targetLabel")))
                if str(one.get("action")).lower() == "labelmap":
                    found.add("*")
    return found


def model_name(engine: Engine) -> str | None:
    """The label `model_name` of an engine's series: its first name; None if it is not known.

    Args:
        engine: The engine.
    """
    served = engine.served_names
    if not served or PLACEHOLDER.search(served[0]):
        return None
    is_given = "served-model-name" in engine.options
    # vLLM then takes the folder into which it has downloaded the model.
    is_folder = "://" in served[0] or any(
        engine.env.get(name, "0") not in ("", "0", "false", "False")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "VLLM_USE_MODELSCOPE")
    )
    return None if is_folder and not is_given else served[0]
