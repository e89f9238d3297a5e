"""Where manifests ask Prometheus for series, and how an adapter names them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from vllm_constructs.dataclass import dataclass

from .bounded_yaml import parsed
from .fields import items, mapping, strings
from .manifest import Manifest, Path
from .scalers import scalers

if TYPE_CHECKING:
    from .graph import Graph

Reader: TypeAlias = Literal["adapter", "dashboard", "picker", "rule", "trigger"]

_RULES = ("PrometheusRule", "VMRule", "Rules", "ClusterRules", "GlobalRules")
_DEEPEST = 30
# Flags and keys of endpoint pickers that name a metric of the model servers.
_PICKER_FLAG = re.compile(r"--?[A-Za-z-]*[Mm]etric")
_PICKER_KEY = re.compile(r"\b\w+Spec\"?\s*:\s*[\"']?(vllm:\w+)")
_REFERENCE = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, kw_only=True)
class Query:
    """PromQL in an object.

    Args:
        manifest: The object.
        path: The fields that lead to it, or to the text that has it.
        text: The query.
        reader: Who reads the series: a scaler, an alert or recording rule, prometheus-adapter, a
            dashboard or an endpoint picker.
        record: The series that a recording rule makes. Default: none.
    """

    manifest: Manifest
    path: Path
    text: str
    reader: Reader
    record: str = ""

    @property
    def is_in_text(self) -> bool:
        """Whether the path leads to a longer text that has the query."""
        return bool(self.manifest.at(*self.path) != self.text)


@dataclass(frozen=True, kw_only=True)
class AdapterRule:
    """How prometheus-adapter makes metrics of series.

    Args:
        manifest: The object that has it.
        path: The fields that lead to it, or to the text that has it.
        series: The selector of the series.
        query: The template of the query.
        matches: The pattern of the series' names.
        name: The template of the metric's name; empty for the name of the series.
        is_external: Whether it is a rule for external metrics.
    """

    manifest: Manifest
    path: Path
    series: str
    query: str
    matches: str
    name: str
    is_external: bool

    def metric(self, series: str) -> str | None:
        """The metric that it makes of a series; None if it leaves that out.

        Args:
            series: Name of the series.
        """
        try:
            found = re.search(self.matches or ".*", series)
            if found is None:
                return None
            name = self.name or ("$1" if found.re.groups == 1 else "$0")
            return _REFERENCE.sub(lambda one: _group(found, one[1]), name)
        except (IndexError, re.error):
            return None


def _group(found: re.Match[str], name: str) -> str:
    return str(found[int(name)] if name.isdecimal() else found[name])


def queries(graph: Graph) -> list[Query]:
    """All PromQL in the manifests but that of HPAs, which name metrics of an adapter.

    Args:
        graph: The graph.
    """
    if "queries" not in graph.made:
        graph.made["queries"] = _queries(graph)
    found: list[Query] = graph.made["queries"]
    return found


def _queries(graph: Graph) -> list[Query]:
    found = [
        Query(manifest=scaler.manifest, path=one.query_path, text=one.query, reader="trigger")
        for scaler in scalers(graph)
        for one in scaler.triggers
        if one.query is not None
    ]
    for manifest in graph.of(*_RULES):
        found += _of_groups(manifest, manifest.spec, ("spec",))
    for rule in adapter_rules(graph):
        for text in (rule.series, rule.query):
            if text and "<<" not in text:
                found.append(_query(rule.manifest, rule.path, text, "adapter"))
    for manifest in graph.of("GrafanaDashboard"):
        found += _of_dashboard(manifest, ("spec", "json"), manifest.spec.get("json"))
    for manifest in graph.of("ConfigMap"):
        for key, text in mapping(manifest.body.get("data")).items():
            if isinstance(text, str) and "vllm" in text:
                found += _of_text(manifest, ("data", key), text)
    return [*found, *_of_pickers(graph)]


def _query(manifest: Manifest, path: Path, text: str, reader: Reader, record: object = "") -> Query:
    return Query(manifest=manifest, path=path, text=text, reader=reader, record=str(record or ""))


def _of_text(manifest: Manifest, path: Path, text: str) -> Iterator[Query]:
    """The queries in a file of a ConfigMap: a dashboard, rules, or a picker's configuration."""
    if '"panels"' in text:
        yield from _of_dashboard(manifest, path, text)
    elif "EndpointPickerConfig" in text:
        for name in _PICKER_KEY.findall(text):
            yield _query(manifest, path, name, "picker")
    elif "groups:" in text and "expr:" in text:
        for one in _of_groups(manifest, mapping(parsed(text)), ()):
            # Where it is in the text is not known.
            yield _query(manifest, path, one.text, one.reader, one.record)
    elif str(path[-1]).endswith(".json") and "expr" in text:
        yield from _of_dashboard(manifest, path, text)


def _of_groups(manifest: Manifest, holder: dict[str, Any], path: Path) -> Iterator[Query]:
    for i, group in enumerate(map(mapping, items(holder.get("groups")))):
        for j, rule in enumerate(map(mapping, items(group.get("rules")))):
            text = rule.get("expr")
            if isinstance(text, str):
                place = (*path, "groups", i, "rules", j, "expr")
                yield _query(manifest, place, text, "rule", rule.get("record"))


def _of_dashboard(manifest: Manifest, path: Path, text: object) -> Iterator[Query]:
    if not isinstance(text, str) or "vllm" not in text:
        return
    try:
        dashboard = json.loads(text)
    except (RecursionError, ValueError):
        return
    for query in dict.fromkeys(_expressions(dashboard, 0)):
        yield _query(manifest, path, query, "dashboard")


def _expressions(value: object, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for one in value:
            yield from _expressions(one, depth + 1)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key in ("expr", "query") and isinstance(one, str):
                if "vllm" in one:
                    yield one
            else:
                yield from _expressions(one, depth + 1)


def _of_pickers(graph: Graph) -> Iterator[Query]:
    """The metrics that endpoint pickers are told to read."""
    for pod in graph.pods:
        for path, container in pod.containers:
            words = strings(container.get("args"))
            for i, word in enumerate(words):
                flag, is_given, name = word.partition("=")
                if "vllm:" not in word:
                    continue
                if not is_given:
                    flag, name = words[i - 1] if i else "", word
                if _PICKER_FLAG.fullmatch(flag):
                    yield _query(pod.manifest, (*path, "args", i), name, "picker")


def adapter_rules(graph: Graph) -> list[AdapterRule]:
    """The rules of prometheus-adapter: in its file, and in the values of its chart.

    Args:
        graph: The graph.
    """
    if "adapter rules" not in graph.made:
        graph.made["adapter rules"] = _adapter_rules(graph)
    found: list[AdapterRule] = graph.made["adapter rules"]
    return found


def _adapter_rules(graph: Graph) -> list[AdapterRule]:
    found: list[AdapterRule] = []
    for manifest in graph.of("ConfigMap"):
        for key, text in mapping(manifest.body.get("data")).items():
            if isinstance(text, str) and "seriesQuery" in text:
                found += _of_file(manifest, ("data", key), mapping(parsed(text)))
    for manifest in graph.of("HelmRelease", "Application", ""):
        for path in _VALUES:
            values = mapping(manifest.body, *path)
            for field, is_external in (("custom", False), ("external", True)):
                for place, entry in manifest.each(*path, "rules", field):
                    if values and "seriesQuery" in entry:
                        where = (*place, "seriesQuery")
                        found.append(_adapter_rule(manifest, where, entry, is_external=is_external))
    return found


_VALUES: tuple[tuple[str, ...], ...] = (
    (),
    ("spec", "values"),
    ("spec", "source", "helm", "valuesObject"),
)


def _of_file(manifest: Manifest, path: Path, config: dict[str, Any]) -> Iterator[AdapterRule]:
    for field, is_external in (("rules", False), ("externalRules", True)):
        for entry in map(mapping, items(config.get(field))):
            yield _adapter_rule(manifest, path, entry, is_external=is_external)


def _adapter_rule(
    manifest: Manifest, path: Path, entry: dict[str, Any], *, is_external: bool
) -> AdapterRule:
    name = mapping(entry.get("name"))
    return AdapterRule(
        manifest=manifest,
        path=path,
        series=str(entry.get("seriesQuery") or ""),
        query=str(entry.get("metricsQuery") or ""),
        matches=str(name.get("matches") or ""),
        name=str(name.get("as") or ""),
        is_external=is_external,
    )
