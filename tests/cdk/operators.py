"""Operators: how tests put one into a chart, and what its Helm chart is told."""

from typing import Any

from cdk8s import Chart

import vllm_constructs
from tests.cdk.samples import PROMETHEUS, manifests
from vllm_constructs import FluxHelmRelease

OPERATORS = ["GpuOperator", "KedaOperator", "PrometheusAdapter"]


def operator(scope: Chart, kind: str, **more: Any) -> Any:
    """An operator with what it requires."""
    own = {"prometheus": PROMETHEUS} if kind == "PrometheusAdapter" else {}
    required = {"delivery": FluxHelmRelease()} | own
    return getattr(vllm_constructs, kind)(scope, "operator", **(required | more))


def values(scope: Chart) -> dict[str, Any]:
    """The chart's values, whichever tool delivers them."""
    kinds = {item["kind"]: item.get("spec", {}) for item in manifests(scope)}
    found: dict[str, Any]
    if "HelmRelease" in kinds:
        found = kinds["HelmRelease"]["values"]
    else:
        found = kinds["Application"]["source"]["helm"]["valuesObject"]
    return found
