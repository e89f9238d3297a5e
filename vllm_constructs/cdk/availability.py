"""DisruptionBudget: how many pods of a model a drain may take at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_constructs.workloads.availability import Budget

from .base import Room, place_of
from .deployment import model_of

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


class DisruptionBudget(Room):
    """A PodDisruptionBudget that lets nodes be drained, one pod at a time.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model. Where a scaler decides about its replicas, make the scaler first.
        min_available: Pods that stay; less than the replicas, or than the scaler's minimum.
        max_unavailable: Pods that may go at a time. Default 1, where min_available is left out.
        name: Name of the budget. Default: the model's.

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
    ) -> None:
        place = place_of(scope, id)
        model = model_of("DisruptionBudget.target", target)
        budget = Budget(min_available=min_available, max_unavailable=max_unavailable)
        body = budget.manifest(model.name if name is None else name, model.selector)
        where = f"DisruptionBudget {body['metadata']['name']!r}"
        model.check_budget(where, budget)
        place.check_free(body)
        super().__init__(scope, id, place)
        self.budget: ApiObject = self._add("Default", body)
        model.attach_budget(where, budget)
