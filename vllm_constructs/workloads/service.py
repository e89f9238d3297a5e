"""Service: the stable address of the pods of a model."""

from __future__ import annotations

from typing import Any

from .engine_container import PORT_NAME


def manifest(*, name: str, selector: dict[str, str], port: int) -> dict[str, Any]:
    """The ClusterIP Service, on the port of the pods.

    Its labels are those of the selector, by which a ServiceMonitor finds it.
    """
    entry = {"name": PORT_NAME, "port": port, "protocol": "TCP", "targetPort": port}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": selector},
        "spec": {"ports": [entry], "selector": dict(sorted(selector.items())), "type": "ClusterIP"},
    }
