"""Dashboard: the Grafana panels of one model, with units and queries from `metrics`.

Grafana's dashboard JSON, schema version 39; a grid of 24 columns. No text here holds double
braces, as in `monitoring`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from vllm_constructs.metrics import metric as metrics
from vllm_constructs.metrics.metric import Metric, Scope
from vllm_constructs.releases import metric_catalogue as exposed
from vllm_constructs.releases.release import VllmRelease

from .objectives import Objectives

_COLUMNS = 24
_HEIGHT = 8
_VALUE_UNITS = {"seconds": "s", "ratio": "percentunit", "bytes": "bytes"}
_RATE_UNITS = {"requests": "reqps", "bytes": "Bps"}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: a title, the metrics that it reads, and its queries.

    Args:
        title: What Grafana writes above it.
        metrics: The metrics in its queries, all of one unit.
        queries: Legend and PromQL of each line.
        shows: `"value"` of the metric, its `"rate"` per second, or a `"ratio"` of two rates.
        limit: The objective, drawn as a line. Default None: no line.
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
        """The panel of a dashboard."""
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
    scope: Scope, *, objectives: Objectives | None = None, release: VllmRelease | None = None
) -> list[tuple[str, list[Panel]]]:
    """The rows of the dashboard, each with its title and the panels that the release can fill."""
    goals = Objectives() if objectives is None else objectives
    found = [
        ("Load", _load(scope, goals)),
        ("Latency", _latency(scope, goals)),
        ("Throughput", _throughput(scope)),
        ("Trouble", _trouble(scope, goals, release)),
    ]
    kept = [
        (
            title,
            [
                panel
                for panel in panels
                if all(exposed.is_exposed(one, release) for one in panel.metrics)
            ],
        )
        for title, panels in found
    ]
    return [(title, panels) for title, panels in kept if panels]


def _load(scope: Scope, goals: Objectives) -> list[Panel]:
    running, waiting = metrics.REQUESTS_RUNNING, metrics.REQUESTS_WAITING
    usage = metrics.KV_CACHE_USAGE
    return [
        Panel(
            title="Requests",
            metrics=(running, waiting),
            queries=(("running", running.total(scope)), ("waiting", waiting.total(scope))),
        ),
        Panel(
            title="KV cache in use",
            metrics=(usage,),
            queries=(("average", usage.mean(scope)),),
            limit=goals.kv_cache_usage,
        ),
    ]


def _latency(scope: Scope, goals: Objectives) -> list[Panel]:
    wanted: list[tuple[str, Metric, float | None]] = [
        ("Time to first token", metrics.TIME_TO_FIRST_TOKEN, goals.time_to_first_token),
        ("Time between tokens", metrics.INTER_TOKEN_LATENCY, goals.inter_token_latency),
        ("Time in the queue", metrics.QUEUE_TIME, None),
        ("Time of a request", metrics.END_TO_END_LATENCY, None),
    ]
    quantiles = sorted({0.5, goals.quantile, 0.99})
    return [
        Panel(
            title=title,
            metrics=(metric,),
            queries=tuple((f"p{100 * q:g}", metric.quantile(scope, q)) for q in quantiles),
            limit=limit,
        )
        for title, metric, limit in wanted
    ]


def _throughput(scope: Scope) -> list[Panel]:
    prompt, generated = metrics.PROMPT_TOKENS, metrics.GENERATION_TOKENS
    hits, queries = metrics.PREFIX_CACHE_HITS, metrics.PREFIX_CACHE_QUERIES
    ended = metrics.REQUESTS_ENDED
    return [
        Panel(
            title="Tokens per second",
            metrics=(prompt, generated),
            queries=(("prompt", prompt.rate(scope)), ("generated", generated.rate(scope))),
            shows="rate",
        ),
        Panel(
            title="Prefix cache hits",
            metrics=(hits, queries),
            queries=(("tokens found", metrics.quotient(hits, queries, scope)),),
            shows="ratio",
        ),
        Panel(
            title="Requests ended per second",
            metrics=(ended,),
            queries=tuple(
                (reason, ended.rate(scope, finished_reason=reason)) for reason in ("stop", "length")
            ),
            shows="rate",
        ),
    ]


def _trouble(scope: Scope, goals: Objectives, release: VllmRelease | None) -> list[Panel]:
    preempted, ended = metrics.PREEMPTIONS, metrics.REQUESTS_ENDED
    reasons = ("abort", "error") if exposed.counts_errors(release) else ("abort",)
    return [
        Panel(
            title="Preemptions per second",
            metrics=(preempted,),
            queries=(("preemptions", preempted.rate(scope)),),
            shows="rate",
            limit=goals.preemptions,
        ),
        Panel(
            title="Requests without an answer",
            metrics=(ended,),
            queries=tuple((one, ended.share(scope, finished_reason=one)) for one in reasons),
            shows="ratio",
        ),
    ]


def dashboard(
    scope: Scope, *, objectives: Objectives | None = None, release: VllmRelease | None = None
) -> str:
    """A Grafana dashboard of the model, as JSON.

    Args:
        scope: The model's series.
        objectives: What is promised, drawn as lines. Default: `Objectives()`.
        release: vLLM release of the image. Default: the newest that this library knows.
    """
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in rows(scope, objectives=objectives, release=release):
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
        head = {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place}
        panels.append({**head, "collapsed": False, "panels": []})
        width = _COLUMNS // len(row)
        for i, panel in enumerate(row):
            place = {"h": _HEIGHT, "w": width, "x": width * i, "y": top + 1}
            panels.append(panel.manifest(len(panels) + 1, place))
        top += 1 + _HEIGHT
    variable = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    return json.dumps(
        {
            "title": f"vLLM {scope.model_name} ({scope.namespace})",
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
    scope: Scope,
    folder: str | None,
    objectives: Objectives | None = None,
    release: VllmRelease | None = None,
) -> dict[str, Any]:
    """The ConfigMap that Grafana's sidecar loads."""
    metadata: dict[str, Any] = {"name": name, "labels": {"grafana_dashboard": "1"}}
    if folder is not None:
        metadata["annotations"] = {"grafana_folder": folder}
    board = dashboard(scope, objectives=objectives, release=release)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {f"{name}.json": board},
    }
