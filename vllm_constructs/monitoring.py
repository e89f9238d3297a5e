"""Monitoring: the monitor, alerts and dashboard of one model, all from `metrics`.

No text here holds double braces: a chart made with `cdk8s synth --format helm` is a template,
and Helm would take them for its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from . import metrics, names
from .container import PORT_NAME
from .metrics import Scope


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert: when it fires, for how long first, and how bad it is."""

    name: str
    expression: str
    lasts: str
    severity: Literal["warning", "critical"]
    summary: str

    def manifest(self, labels: dict[str, str]) -> dict[str, Any]:
        """The entry of a rule group."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasts,
            "labels": labels | {"severity": self.severity},
            "annotations": {"summary": self.summary},
        }


def alerts(scope: Scope, *, job: str, startup: int) -> list[Alert]:
    """What an on-call engineer wants to know of a model."""
    model = scope.model_name
    waiting = metrics.REQUESTS_WAITING.total(scope)
    matchers = f'namespace="{scope.namespace}",job="{job}"'
    return [
        Alert(
            name="VllmEngineDown",
            expression=f"absent(up{{{matchers}}} == 1)",
            # A first pod may load for as long as its startup allows.
            lasts=f"{startup // 60 + 5}m",
            severity="critical",
            summary=f"No engine of {model} answers its scrapes.",
        ),
        Alert(
            name="VllmQueueGrowing",
            expression=f"min_over_time({waiting}[10m:1m]) > 0",
            lasts="5m",
            severity="warning",
            summary=f"Requests to {model} have been waiting for 15 minutes without a break.",
        ),
        Alert(
            name="VllmKvCacheFull",
            expression=f"{metrics.KV_CACHE_USAGE.mean(scope)} > 0.95",
            lasts="10m",
            severity="warning",
            summary=f"The KV cache of {model} is nearly full on all replicas.",
        ),
        Alert(
            name="VllmFirstTokenSlow",
            expression=f"{metrics.TIME_TO_FIRST_TOKEN.quantile(scope, 0.95)} > 10",
            lasts="10m",
            severity="warning",
            summary=f"One in twenty requests to {model} waits more than 10 s for its first token.",
        ),
        Alert(
            name="VllmPreemptions",
            expression=f"{metrics.PREEMPTIONS.rate(scope)} > 0.1",
            lasts="15m",
            severity="warning",
            summary=f"{model} keeps preempting requests: its KV cache is too small for the load.",
        ),
        Alert(
            name="VllmRequestErrors",
            expression=f"{metrics.REQUESTS_ENDED.rate(scope, finished_reason='error')} > 0.05",
            lasts="5m",
            severity="critical",
            summary=f"Requests to {model} end with errors.",
        ),
    ]


def service_monitor(
    *, name: str, selector: dict[str, str], interval: str, labels: dict[str, str]
) -> dict[str, Any]:
    """The ServiceMonitor: it selects the Service by its labels and the port by its name."""
    endpoint = {"port": PORT_NAME, "path": "/metrics", "interval": interval}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": names.subdomain("ModelMonitor.name", name), "labels": labels},
        "spec": {"selector": {"matchLabels": selector}, "endpoints": [endpoint]},
    }


def pod_monitor(
    *, name: str, selector: dict[str, str], interval: str, labels: dict[str, str]
) -> dict[str, Any]:
    """The PodMonitor: pods count before they are ready."""
    endpoint = {"port": PORT_NAME, "path": "/metrics", "interval": interval}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": names.subdomain("ModelMonitor.name", name), "labels": labels},
        "spec": {"selector": {"matchLabels": selector}, "podMetricsEndpoints": [endpoint]},
    }


def prometheus_rule(
    *, name: str, labels: dict[str, str], model: str, wanted: Sequence[Alert]
) -> dict[str, Any]:
    """The PrometheusRule."""
    rules = [alert.manifest({"model_name": model}) for alert in wanted]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": labels},
        "spec": {"groups": [{"name": name, "rules": rules}]},
    }


def _panel(
    number: int, title: str, unit: str, queries: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"h": 8, "w": 12, "x": 12 * ((number - 1) % 2), "y": 8 * ((number - 1) // 2)},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(65 + i), "datasource": source, "expr": query, "legendFormat": legend}
            for i, (legend, query) in enumerate(queries)
        ],
    }


def dashboard(scope: Scope) -> str:
    """A Grafana dashboard of the model, as JSON."""
    first, token, whole = (
        metrics.TIME_TO_FIRST_TOKEN,
        metrics.INTER_TOKEN_LATENCY,
        metrics.END_TO_END_LATENCY,
    )

    def quantiles(metric: metrics.Metric) -> list[tuple[str, str]]:
        return [(f"p{round(q * 100)}", metric.quantile(scope, q)) for q in (0.5, 0.95, 0.99)]

    panels: list[tuple[str, str, list[tuple[str, str]]]] = [
        (
            "Requests",
            "short",
            [
                ("running", metrics.REQUESTS_RUNNING.total(scope)),
                ("waiting", metrics.REQUESTS_WAITING.total(scope)),
            ],
        ),
        ("KV cache in use", "percentunit", [("average", metrics.KV_CACHE_USAGE.mean(scope))]),
        ("Time to first token", "s", quantiles(first)),
        ("Time between tokens", "s", quantiles(token)),
        ("Time of a request", "s", quantiles(whole)),
        (
            "Tokens per second",
            "short",
            [
                ("prompt", metrics.PROMPT_TOKENS.rate(scope)),
                ("generated", metrics.GENERATION_TOKENS.rate(scope)),
            ],
        ),
        ("Preemptions per second", "short", [("", metrics.PREEMPTIONS.rate(scope))]),
        ("Requests ended per second", "reqps", [("", metrics.REQUESTS_ENDED.rate(scope))]),
    ]
    variable = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    return json.dumps(
        {
            "title": f"vLLM {scope.model_name} ({scope.namespace})",
            "schemaVersion": 39,
            "tags": ["vllm"],
            "time": {"from": "now-3h", "to": "now"},
            "refresh": "30s",
            "templating": {"list": [variable]},
            "panels": [_panel(i, *panel) for i, panel in enumerate(panels, 1)],
        },
        indent=1,
    )


def dashboard_config_map(*, name: str, scope: Scope, folder: str | None) -> dict[str, Any]:
    """The ConfigMap that Grafana's sidecar loads."""
    metadata: dict[str, Any] = {"name": name, "labels": {"grafana_dashboard": "1"}}
    if folder is not None:
        metadata["annotations"] = {"grafana_folder": folder}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {f"{name}.json": dashboard(scope)},
    }
