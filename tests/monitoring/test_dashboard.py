"""Dashboard: panels with queries of one model, units of their metrics, and a drawing of them."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import parse_promql
from vllm_constructs import ModelSeries, VllmRelease
from vllm_constructs.metrics.metric import Metric
from vllm_constructs.monitoring import dashboard
from vllm_constructs.monitoring.objectives import Objectives
from vllm_constructs.releases import metric_catalog

ROOT = Path(__file__).parents[2]
SERIES = ModelSeries(namespace="llm", model_name="qwen-7b")
ROWS = dashboard.rows(SERIES)
PANELS = [panel for _, panels in ROWS for panel in panels]


@settings(max_examples=40, deadline=None)
@given(strategies.series())
def test_queries(series: ModelSeries) -> None:
    """Every panel has queries of this model that give one series each."""
    found = json.loads(dashboard.dashboard_json(series))

    assert len({one["id"] for one in found["panels"]}) == len(found["panels"])
    for panel in found["panels"]:
        if panel["type"] == "row":
            continue
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) >= 1
        for target in panel["targets"]:
            query = parse_promql(target["expr"])
            assert query.is_one_series
            for selector in query.selectors:
                assert selector.is_scoped(namespace=series.namespace, model_name=series.model_name)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_metrics(panel: dashboard.Panel) -> None:
    """A panel names the metrics of its queries, and they have one unit."""
    read = {name for _, query in panel.queries for name in parse_promql(query).metrics}

    assert {one.name for one in panel.metrics} == {name.removesuffix("_bucket") for name in read}
    assert 1 == len({one.unit for one in panel.metrics})
    is_rate = any("rate(" in query and "quantile" not in query for _, query in panel.queries)
    assert is_rate == (panel.shows != "value")
    assert all(("/" in query) == (panel.shows == "ratio") for _, query in panel.queries)


def test_units() -> None:
    """Grafana's units follow from those of the metrics."""
    expected = {
        "Requests": "short",
        "KV cache in use": "percentunit",
        "Time to first token": "s",
        "Time between tokens": "s",
        "Time in the queue": "s",
        "Time of a request": "s",
        "Tokens per second": "suffix: tokens/s",
        "Prefix cache hits": "percentunit",
        "Requests ended per second": "reqps",
        "Preemptions per second": "suffix: preemptions/s",
        "Requests that fail": "percentunit",
    }

    assert expected == {panel.title: panel.unit for panel in PANELS}


def test_places() -> None:
    """Panels fill the grid's 24 columns and do not lie on one another."""
    cells: list[tuple[int, int]] = []
    for panel in json.loads(dashboard.dashboard_json(SERIES))["panels"]:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells += [(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])]

    bottom = max(y for _, y in cells) + 1
    assert sorted(cells) == [(x, y) for x in range(24) for y in range(bottom)]


def test_objectives() -> None:
    """Objectives are lines in the panels that they are about, and a quantile of their own."""
    goals = Objectives(time_to_first_token=1.5, inter_token_latency=0.05, quantile=0.9)
    board = json.loads(dashboard.dashboard_json(SERIES, objectives=goals))
    defaults = {
        one["title"]: one["fieldConfig"]["defaults"] for one in board["panels"] if "targets" in one
    }

    limits = {
        title: one["thresholds"]["steps"][1]["value"]
        for title, one in defaults.items()
        if "thresholds" in one
    }
    assert limits == {
        "KV cache in use": 0.95,
        "Time to first token": 1.5,
        "Time between tokens": 0.05,
        "Preemptions per second": 0.1,
        "Requests that fail": 0.01,
    }
    first = next(one for one in board["panels"] if one["title"] == "Time to first token")
    assert ["p50", "p90", "p99"] == [one["legendFormat"] for one in first["targets"]]


def test_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panel is left out where the release lacks its metrics, and a row that has none left."""
    old = VllmRelease("vllm/vllm-openai:v0.12.0")
    (trouble,) = [panels for title, panels in dashboard.rows(SERIES, release=old)][3:]
    assert ["Preemptions per second"] == [panel.title for panel in trouble]

    latencies = {panel.title for panel in dict(ROWS)["Latency"]}
    real = metric_catalog.is_exposed
    monkeypatch.setattr(
        metric_catalog,
        "is_exposed",
        lambda name, *rest: "seconds" not in name and real(name, *rest),
    )
    found = dashboard.rows(SERIES)
    assert ["Load", "Throughput", "Trouble"] == [title for title, _ in found]
    left = {panel.title for _, panels in found for panel in panels}
    assert {panel.title for panel in PANELS} - latencies == left


def test_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture on the page is that of the dashboard: `make picture` draws it anew."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    drawn = importlib.import_module("dashboard_picture").picture(dashboard.dashboard_json(SERIES))

    assert drawn == (ROOT / "docs" / "dashboard.svg").read_text(encoding="utf-8")
    texts = re.findall(r"<text [^>]*>([^<]*)</text>", drawn)
    for panel in PANELS:
        assert panel.title in texts
        assert {legend for legend, _ in panel.queries} <= set(texts)
    # A red line for each objective.
    limits = [panel.limit for panel in PANELS if panel.limit is not None]
    assert drawn.count("<line ") == len(limits) > 2


def test_config_map() -> None:
    """A ConfigMap that Grafana's sidecar finds; its folder is an annotation."""

    def made(folder: str | None) -> dict[str, Any]:
        return dashboard.dashboard_config_map(name="qwen", series=SERIES, folder=folder)

    without, with_folder = made(None), made("Models & more")
    assert "annotations" not in without["metadata"]
    assert with_folder["metadata"]["annotations"] == {"grafana_folder": "Models & more"}
    assert without["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert {"qwen.json": dashboard.dashboard_json(SERIES)} == without["data"]


def test_byte_units() -> None:
    """Bytes are shown as bytes, or bytes per second."""
    moved = Metric.named("vllm:kv_offload_load_bytes_total")
    panel = dashboard.Panel(title="x", metrics=(moved,), queries=(), shows="rate")
    size = Metric.named("vllm:nixl_bytes_transferred")

    assert "Bps" == panel.unit
    assert "bytes" == dashboard.Panel(title="x", metrics=(size,), queries=()).unit
