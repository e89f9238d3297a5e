"""Readers: what in the manifests reads the metrics of an engine."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vllm_constructs.metrics import promql, query_value
from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.queries import queries
from vllm_constructs.reading.scalers import scalers
from vllm_constructs.reading.selectors import selects
from vllm_constructs.reading.subjects import model_name

if TYPE_CHECKING:
    from vllm_constructs.reading.engines import Engine
    from vllm_constructs.reading.graph import Graph
    from vllm_constructs.reading.manifest import Manifest
    from vllm_constructs.reading.pods import Pod
    from vllm_constructs.reading.queries import Query
    from vllm_constructs.reading.scalers import Scaler

    from .rule import Level

_NAME = re.compile(r"(.*\|)?vllm[:_]\w+(\|.*)?")
_SCRAPE = "prometheus.io/scrape"


class Readers:
    """What reads the metrics of engines.

    What decides by them is told apart from what only shows them.
    """

    def __init__(self, graph: Graph) -> None:
        """Find all readers.

        Args:
            graph: The graph.
        """
        self._graph = graph
        self._scalers: dict[int, list[Manifest]] = defaultdict(list)
        for scaler in scalers(graph):
            if scaler.target is not None and _reads(scaler):
                self._scalers[scaler.target.number].append(scaler.manifest)
        # By the id of a pod.
        self._pools = self._selectors("InferencePool")
        self._monitors = self._selectors("PodMonitor", "VMPodScrape")
        for monitor, pod in _scraped_by_services(graph):
            self._monitors[id(pod)].append(monitor)
        self._queries: dict[str, list[Query]] = defaultdict(list)
        for query in queries(graph):
            if query.reader in ("dashboard", "rule") and "vllm:" in query.text:
                for model in _models(query):
                    self._queries[model].append(query)

    def _selectors(self, *kinds: str) -> dict[int, list[Manifest]]:
        found: dict[int, list[Manifest]] = defaultdict(list)
        for one in self._graph.of(*kinds):
            selector = mapping(one.spec.get("selector"))
            if selector and not selector.keys() & {"matchLabels", "matchExpressions"}:
                # As pools had it before v1.
                selector = {"matchLabels": selector}
            for pod in self._graph.selected_pods(one.namespace, selector) if selector else ():
                found[id(pod)].append(one)
        return found

    def of(self, engine: Engine) -> tuple[list[str], Level | None]:
        """The readers of an engine in words, and the level if none of them decides anything.

        Args:
            engine: The engine.
        """
        deciding = [*self._scalers.get(engine.manifest.number, ())]
        deciding += self._pools.get(id(engine.pod), ())
        showing = [*self._monitors.get(id(engine.pod), ())]
        queries = self._queries.get(model_name(engine) or "\0", ())
        if len(self._graph.engines) == 1:
            queries = [*queries, *self._queries.get("", ())]
        for query in queries:
            (deciding if query.reader == "rule" else showing).append(query.manifest)
        named = list(dict.fromkeys(one.title for one in (*deciding, *showing)))
        if not named and _is_scraped(engine.pod):
            named = [f"the annotation {_SCRAPE}"]
        return named, None if deciding else "warning"


def _scraped_by_services(graph: Graph) -> Iterator[tuple[Manifest, Pod]]:
    """The pods behind Services that monitors select."""
    services: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
    for service in graph.of("Service"):
        for key, value in service.labels.items():
            services[key, str(value)].append(service)
    for monitor in graph.of("ServiceMonitor", "VMServiceScrape"):
        selector = mapping(monitor.spec.get("selector"))
        labels = mapping(selector.get("matchLabels"))
        lists = [services.get((key, str(value)), []) for key, value in labels.items()]
        for service in min(lists, key=len, default=[]):
            if selects(selector, service.labels) and service.may_be_in(monitor.namespace):
                for pod in graph.pods_behind(service):
                    yield monitor, pod


def _is_scraped(pod: Pod) -> bool:
    return str(pod.annotations.get(_SCRAPE)).lower() == "true"


def _reads(scaler: Scaler) -> bool:
    """Whether a scaler reads metrics of engines."""
    for one in scaler.triggers:
        tree = None if one.query is None else promql.read(one.query)
        names = [] if tree is None else [node.name for node in tree.selectors()]
        if any(name.startswith("vllm:") and query_value.is_of_pods(name) for name in names):
            return True
        if one.query is None and not scaler.is_keda and _NAME.fullmatch(one.name):
            return True
    return False


def _models(query: Query) -> set[str]:
    """The models whose metrics a query reads; an empty string for those of any."""
    tree = promql.read(query.text)
    return {
        node.equal("model_name") or ""
        for node in ([] if tree is None else tree.selectors())
        if query_value.is_of_pods(node.name)
    }
