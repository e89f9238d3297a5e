"""DisruptionBudget: how many pods of a model a node drain may evict at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vllm_constructs.kube.metadata import mark
from vllm_constructs.workloads.availability import Budget

from .base import VllmConstruct
from .links import links_of
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


class DisruptionBudget(VllmConstruct):
    """A PodDisruptionBudget that lets nodes be drained, one pod at a time.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model. If a scaler sets its replicas, create the scaler first.
        min_available: Pods that stay; less than the replicas, or than the minimum of
            the scaler or `ReplicaRange`.
        max_unavailable: Pods that may be evicted at a time. Default: 1, where min_available is
            left out.
        name: Name of the budget. Default: the model's.
        labels: More labels of the budget. Default: none.
        annotations: More annotations of the budget. Default: none.

    Attributes:
        budget: The PodDisruptionBudget.

    Raises:
        VllmConstructsError: A budget that blocks every drain, or protects nothing.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        target: ModelDeployment,
        min_available: int | None = None,
        max_unavailable: int | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        links = links_of("DisruptionBudget.target", target, context)
        budget = Budget(min_available=min_available, max_unavailable=max_unavailable)
        body = budget.manifest(
            links.workload.name if name is None else name, links.workload.selector
        )
        where = f"DisruptionBudget {body['metadata']['name']!r}"
        links.check_budget(where, budget, target.replica_range)
        mark("DisruptionBudget", [body], labels=labels, annotations=annotations)
        super().__init__(
            scope, id, context, {"Default": body}, [links.change(budget=(where, budget))]
        )

    @property
    def budget(self) -> ApiObject:
        """The PodDisruptionBudget."""
        return self._object("Default")
