"""Monitoring: what scrapes a model; alerts and dashboard are in rooms of their own.

No text of these three holds double braces: a chart made with `cdk8s synth --format helm` is a
template, and Helm would take them for its own.
"""

from __future__ import annotations

from typing import Any

from vllm_constructs.kube import names
from vllm_constructs.workloads.container import PORT_NAME


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
