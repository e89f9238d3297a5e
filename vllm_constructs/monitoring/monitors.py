"""Monitors: the ServiceMonitor and the PodMonitor, which make Prometheus scrape a model.

No string in the manifests of this package contains double braces: `cdk8s synth --format helm`
writes a template, in which Helm would read them as its own.
"""

from __future__ import annotations

from typing import Any

from vllm_constructs.kube import names
from vllm_constructs.workloads.engine_container import PORT_NAME


def service_monitor(
    *, name: str, selector: dict[str, str], interval: str, labels: dict[str, str]
) -> dict[str, Any]:
    """The ServiceMonitor, which selects the Service by its labels and the port by its name."""
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
    """The PodMonitor, which also selects pods that are not ready yet."""
    endpoint = {"port": PORT_NAME, "path": "/metrics", "interval": interval}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": names.subdomain("ModelMonitor.name", name), "labels": labels},
        "spec": {"selector": {"matchLabels": selector}, "podMetricsEndpoints": [endpoint]},
    }
