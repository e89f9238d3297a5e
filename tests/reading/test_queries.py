"""Queries: where manifests ask Prometheus for series."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rules import scaled as of
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.queries import adapter_rules, queries

NAME = "vllm:num_requests_waiting"


def texts(*objects: dict[str, Any]) -> list[tuple[str, str]]:
    """Reader and text of all queries."""
    return [(one.reader, one.text) for one in queries(Graph(objects))]


def test_scalers() -> None:
    """Triggers of KEDA and of KServe have queries; those of other types do not."""
    assert texts(of.scaled(of.prometheus("a"), of.cron()), of.kserve("b")) == [
        ("trigger", "b"),
        ("trigger", "a"),
    ]
    assert texts(of.scaled({"type": "mysql", "metadata": {"query": "SELECT 1"}})) == []


def test_rules() -> None:
    """Rules are in their own kind, in that of VictoriaMetrics, and in files of ConfigMaps."""
    own = of.rules("a > 1", **{"b:c": "d"})
    file = json.dumps(own["spec"]["groups"])
    found = queries(Graph([own, own | {"kind": "VMRule"}]))

    assert [(one.text, one.record) for one in found] == [("a > 1", ""), ("d", "b:c")] * 2
    assert found[1].path == ("spec", "groups", 0, "rules", 1, "expr")
    assert not found[1].is_in_text
    (inside,) = queries(
        Graph([of.config("r.yml", f"groups: {file}\n# expr: vllm".replace("a > 1", NAME))])
    )[:1]
    assert (inside.path, inside.is_in_text, inside.text) == (("data", "r.yml"), True, NAME)


def test_dashboards() -> None:
    """A dashboard is in a ConfigMap or a GrafanaDashboard; its variables have queries too."""
    board = {
        "panels": [{"targets": [{"expr": NAME}, {"expr": "up"}]}, {"panels": [{"expr": NAME}]}],
        "templating": {"list": [{"query": {"query": f"label_values({NAME}, x)"}}, {"query": 3}]},
    }
    expected = [("dashboard", NAME), ("dashboard", f"label_values({NAME}, x)")]
    text = json.dumps(board)
    custom = {"kind": "GrafanaDashboard", "spec": {"json": text}}

    assert texts(of.config("x.json", text)) == expected
    assert texts(custom) == expected
    deep: Any = {"expr": NAME}
    for _ in range(100):
        deep = [deep]
    for broken in ('{"panels": vllm', '{"panels": "vllm"}', json.dumps({"panels": deep})):
        assert texts(of.config("x.json", broken)) == []


def test_adapter() -> None:
    """Rules of prometheus-adapter are in its file, or in the values of its chart."""
    values = {"rules": {"custom": [{"seriesQuery": "a"}], "external": [{"seriesQuery": "b"}]}}
    flux = {"kind": "HelmRelease", "spec": {"values": values}}
    argo = {"kind": "Application", "spec": {"source": {"helm": {"valuesObject": values}}}}
    for objects in ([flux], [argo], [values]):
        found = adapter_rules(Graph(objects))
        assert [(one.series, one.is_external) for one in found] == [("a", False), ("b", True)]
    file = Graph([of.config("config.yaml", of.ADAPTER)])

    assert [one.is_external for one in adapter_rules(file)] == [False, False, True]
    # A template is no query.
    assert [one.text for one in queries(file)] == [one.series for one in adapter_rules(file)]
    assert adapter_rules(Graph([of.config("config.yaml", "seriesQuery: [")])) == []


@pytest.mark.parametrize(
    ("matches", "name", "metric"),
    [
        ("", "", NAME),
        ("^vllm:(.*)$", "", "num_requests_waiting"),
        ("^vllm:(.*)$", "vllm_${1}", "vllm_num_requests_waiting"),
        ("^vllm:(?P<x>.*)$", "vllm_$x", "vllm_num_requests_waiting"),
        ("waiting", "queue", "queue"),
        ("running", "queue", None),
        ("(", "queue", None),
        ("", "$3", None),
    ],
)
def test_adapter_names(matches: str, name: str, metric: str | None) -> None:
    """An adapter expands its template with the groups of its pattern."""
    values = {
        "rules": {"custom": [{"seriesQuery": NAME, "name": {"matches": matches, "as": name}}]}
    }

    assert adapter_rules(Graph([values]))[0].metric(NAME) == metric


def test_pickers() -> None:
    """Endpoint pickers are told by flags or by a file what the servers' metrics are called."""
    words = ["--kv-cache-usage-percentage-metric", NAME, f"-loraInfoMetric={NAME}", "--x", NAME]
    picker = of.deployment()
    picker["spec"]["template"]["spec"]["containers"][0] |= {"image": "epp:v1", "args": words}
    file = f"kind: EndpointPickerConfig\nplugins:\n- kvUsageSpec: '{NAME}'\n"

    assert [one.path[-1] for one in queries(Graph([picker]))] == [1, 2]
    assert texts(of.config("epp.yaml", file)) == [("picker", NAME)]
