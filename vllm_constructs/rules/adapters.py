"""What the prometheus-adapters of manifests make of vLLM's series."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs.metrics import promql
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.lazy import lazy
from vllm_constructs.reading.queries import AdapterRule, adapter_rules
from vllm_constructs.releases.metric_catalog import all_series


class Adapters:
    """The metrics that adapters make of vLLM's series."""

    def __init__(self, graph: Graph) -> None:
        """Keep the graph.

        Args:
            graph: The graph.
        """
        self._graph = graph

    def made(self, kind: str) -> dict[str, tuple[AdapterRule, str]]:
        """The metrics by name, each with its rule and its series.

        Args:
            kind: The kind of an HPA's metric, such as `Pods` or `External`.
        """
        return self._external if kind == "External" else self._custom

    @lazy
    def _custom(self) -> dict[str, tuple[AdapterRule, str]]:
        return self._of(is_external=False)

    @lazy
    def _external(self) -> dict[str, tuple[AdapterRule, str]]:
        return self._of(is_external=True)

    def _of(self, *, is_external: bool) -> dict[str, tuple[AdapterRule, str]]:
        found: dict[str, tuple[AdapterRule, str]] = {}
        for rule in adapter_rules(self._graph):
            if rule.is_external == is_external:
                for series in _series(rule):
                    name = rule.metric(series)
                    if name is not None:
                        found.setdefault(name, (rule, series))
        return found


def adapted(rule: AdapterRule, series: str, *, group: str) -> promql.Node | None:
    """What an adapter asks Prometheus; None if it cannot be parsed.

    Args:
        rule: Its rule.
        series: The series.
        group: The label of the objects that have the metric.
    """
    text = rule.query
    for field, value in (
        ("Series", series),
        ("LabelMatchers", f'{group}="x"'),
        ("GroupBy", group),
    ):
        for mark in (f"<<.{field}>>", f"<< .{field} >>"):
            text = text.replace(mark, value)
    return promql.read(text)


def _series(rule: AdapterRule) -> Iterator[str]:
    tree = promql.read(rule.series)
    for one in [] if tree is None else tree.selectors():
        if "vllm" in one.name:
            yield one.name
        for label, how, pattern in one.matchers:
            if (label, how) == ("__name__", "=~"):
                yield from promql.matching(pattern, all_series())
