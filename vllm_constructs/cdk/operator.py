"""Operator: the base class of the operators, whose Helm charts Flux or Argo CD installs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.platform.delivery import DELIVERIES, HelmChart

from .base import VllmConstruct, numbered

if TYPE_CHECKING:
    from cdk8s import ApiObject


class Operator(VllmConstruct):
    """A Helm chart that Flux or Argo CD installs."""

    @property
    def objects(self) -> list[ApiObject]:
        """What delivers the chart."""
        return self._all_of("object")


def delivered(where: str, delivery: Any, chart: HelmChart) -> dict[str, dict[str, Any]]:
    """The manifests that install a chart, by their ids.

    Args:
        where: Name of the construct, for the message.
        delivery: How it is installed; other values are rejected.
        chart: The chart.
    """
    allowed = "FluxHelmRelease(...) or ArgoApplication(...)"
    tool: Any = require.instance(f"{where}.delivery", delivery, DELIVERIES, allowed)
    # The release first: it is what ApiObject.of finds.
    bodies: list[dict[str, Any]] = tool.manifests(chart)
    return numbered("object", bodies[::-1])
