"""Dashboard: the Grafana panels of one model, with units and queries from `metrics`.

Grafana's dashboard JSON, schema version 39; a grid of 24 columns. No string here contains double
braces; see `monitors`.
"""

from __future__ import annotations

import json
from typing import Any

from vllm_constructs.dataclass import dataclass
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.metrics.metric import Metric
from vllm_constructs.metrics.series import ModelSeries
from vllm_constructs.releases.metric_catalog import counts_errors
from vllm_constructs.releases.release import VllmRelease

from .objectives import Objectives

_COLUMNS = 24
_HEIGHT = 8
_VALUE_UNITS = {"seconds": "s", "ratio": "percentunit", "bytes": "bytes"}
_RATE_UNITS = {"requests": "reqps", "bytes": "Bps"}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title, metrics and queries.

    Args:
        title: Title in Grafana.
        metrics: The metrics in its queries, all of one unit.
        queries: Legend and PromQL of each line.
        shows: `"value"` of the metric, its `"rate"` per second, or a `"ratio"` of two rates.
        limit: The objective, shown as a line. Default None: no line.
    """

    title: str
    metrics: tuple[Metric, ...]
    queries: tuple[tuple[str, str], ...]
    shows: str = "value"
    limit: float | None = None

    @property
    def unit(self) -> str:
        """Grafana's name for the unit."""
        unit = self.metrics[0].unit
        if self.shows == "ratio":
            return "percentunit"
        if self.shows == "rate":
            return _RATE_UNITS.get(unit, f"suffix: {unit}/s")
        return _VALUE_UNITS.get(unit, "short")

    def manifest(self, number: int, place: dict[str, int]) -> dict[str, Any]:
        """The panel in the dashboard's JSON.

        Args:
            number: Its id in the dashboard.
            place: Its position in the grid, as `gridPos`.
        """
        source = {"type": "prometheus", "uid": "${datasource}"}
        defaults: dict[str, Any] = {"unit": self.unit, "min": 0}
        if self.limit is not None:
            steps = [{"color": "green", "value": None}, {"color": "red", "value": self.limit}]
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
            defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
        return {
            "id": number,
            "type": "timeseries",
            "title": self.title,
            "datasource": source,
            "gridPos": place,
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "targets": [
                {"refId": chr(65 + i), "datasource": source, "expr": query, "legendFormat": legend}
                for i, (legend, query) in enumerate(self.queries)
            ],
        }


def rows(
    series: ModelSeries, *, objectives: Objectives | None = None, release: VllmRelease | None = None
) -> list[tuple[str, list[Panel]]]:
    """The rows of the dashboard: titles, and panels whose metrics the release exposes."""
    goals = Objectives() if objectives is None else objectives
    titled = [
        ("Load", _load(series, goals)),
        ("Latency", _latency(series, goals)),
        ("Throughput", _throughput(series)),
        ("Trouble", _trouble(series, goals, release)),
    ]
    kept = [
        (
            title,
            [panel for panel in panels if all(one.is_exposed(release) for one in panel.metrics)],
        )
        for title, panels in titled
    ]
    return [(title, panels) for title, panels in kept if panels]


def _load(series: ModelSeries, goals: Objectives) -> list[Panel]:
    running, waiting = vllm_metrics.REQUESTS_RUNNING, vllm_metrics.REQUESTS_WAITING
    usage = vllm_metrics.KV_CACHE_USAGE
    return [
        Panel(
            title="Requests",
            metrics=(running, waiting),
            queries=(("running", running.total(series)), ("waiting", waiting.total(series))),
        ),
        Panel(
            title="KV cache in use",
            metrics=(usage,),
            queries=(("average", usage.mean(series)),),
            limit=goals.kv_cache_usage,
        ),
    ]


def _latency(series: ModelSeries, goals: Objectives) -> list[Panel]:
    latencies: list[tuple[str, Metric, float | None]] = [
        ("Time to first token", vllm_metrics.TIME_TO_FIRST_TOKEN, goals.time_to_first_token),
        ("Time between tokens", vllm_metrics.INTER_TOKEN_LATENCY, goals.inter_token_latency),
        ("Time in the queue", vllm_metrics.QUEUE_TIME, None),
        ("Time of a request", vllm_metrics.END_TO_END_LATENCY, None),
    ]
    quantiles = sorted({0.5, goals.quantile, 0.99})
    return [
        Panel(
            title=title,
            metrics=(metric,),
            queries=tuple((f"p{100 * q:g}", metric.quantile(series, q)) for q in quantiles),
            limit=limit,
        )
        for title, metric, limit in latencies
    ]


def _throughput(series: ModelSeries) -> list[Panel]:
    prompt, generated = vllm_metrics.PROMPT_TOKENS, vllm_metrics.GENERATION_TOKENS
    hits, queries = vllm_metrics.PREFIX_CACHE_HITS, vllm_metrics.PREFIX_CACHE_QUERIES
    ended = vllm_metrics.REQUESTS_ENDED
    return [
        Panel(
            title="Tokens per second",
            metrics=(prompt, generated),
            queries=(("prompt", prompt.rate(series)), ("generated", generated.rate(series))),
            shows="rate",
        ),
        Panel(
            title="Prefix cache hits",
            metrics=(hits, queries),
            queries=(("tokens found", vllm_metrics.quotient(hits, queries, series)),),
            shows="ratio",
        ),
        Panel(
            title="Requests ended per second",
            metrics=(ended,),
            queries=tuple(
                (reason, ended.rate(series, finished_reason=reason))
                for reason in ("stop", "length")
            ),
            shows="rate",
        ),
    ]


def _trouble(series: ModelSeries, goals: Objectives, release: VllmRelease | None) -> list[Panel]:
    preempted, ended = vllm_metrics.PREEMPTIONS, vllm_metrics.REQUESTS_ENDED
    return [
        Panel(
            title="Preemptions per second",
            metrics=(preempted,),
            queries=(("preemptions", preempted.rate(series)),),
            shows="rate",
            limit=goals.preemptions,
        ),
        *(
            [
                Panel(
                    title="Requests that fail",
                    metrics=(ended,),
                    queries=(("error", ended.share(series, finished_reason="error")),),
                    shows="ratio",
                    limit=goals.errors,
                )
            ]
            if counts_errors(release)
            else []
        ),
    ]


def dashboard_json(
    series: ModelSeries,
    *,
    objectives: Objectives | None = None,
    release: VllmRelease | None = None,
    workload: str | None = None,
) -> str:
    """A Grafana dashboard of the model, as JSON.

    Args:
        series: The model's series.
        objectives: The service levels, shown as lines. Default: `Objectives()`.
        release: vLLM release of the image. Default: the newest that this library knows.
        workload: Name of the workload for the title, where others have the same model. Default:
            none.
    """
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in rows(series, objectives=objectives, release=release):
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
        head = {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place}
        panels.append({**head, "collapsed": False, "panels": []})
        width = _COLUMNS // len(row)
        for i, panel in enumerate(row):
            place = {"h": _HEIGHT, "w": width, "x": width * i, "y": top + 1}
            panels.append(panel.manifest(len(panels) + 1, place))
        top += 1 + _HEIGHT
    where = [series.namespace, *([] if workload is None else [workload])]
    variable = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    return json.dumps(
        {
            "title": f"vLLM {series.model_name} ({'/'.join(where)})",
            "schemaVersion": 39,
            "tags": ["vllm"],
            "time": {"from": "now-3h", "to": "now"},
            "refresh": "30s",
            "templating": {"list": [variable]},
            "panels": panels,
        },
        indent=1,
    )


def dashboard_config_map(
    *,
    name: str,
    series: ModelSeries,
    folder: str | None,
    objectives: Objectives | None = None,
    release: VllmRelease | None = None,
    workload: str | None = None,
) -> dict[str, Any]:
    """The ConfigMap with the dashboard, which Grafana's sidecar loads.

    Args:
        name: Name of the ConfigMap, and of the file in it.
        series: The model's series.
        folder: Folder in Grafana; None for the sidecar's default.
        objectives: As in `dashboard_json`.
        release: As in `dashboard_json`.
        workload: As in `dashboard_json`.
    """
    metadata: dict[str, Any] = {"name": name, "labels": {"grafana_dashboard": "1"}}
    if folder is not None:
        metadata["annotations"] = {"grafana_folder": folder}
    board = dashboard_json(series, objectives=objectives, release=release, workload=workload)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {f"{name}.json": board},
    }
