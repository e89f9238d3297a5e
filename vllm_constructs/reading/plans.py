"""The memory plan of a model in manifests of any origin."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.memory import fit
from vllm_constructs.memory.plan import MemoryPlan
from vllm_constructs.memory.shapes import ModelShape

from .workloads import DeployedModel


@dataclass(frozen=True, kw_only=True)
class PlannedModel:
    """A model, and its plan.

    Args:
        model: The model as its manifests describe it.
        plan: Its plan; None if none can be made.
        verdict: The plan's verdict; `"refused"` if vLLM would not start, `"unknown"` without a
            plan.
        problem: Why it does not fit, or why there is no plan; None if it fits.
    """

    model: DeployedModel
    plan: MemoryPlan | None
    verdict: str
    problem: Problem | None


def planned(model: DeployedModel, shapes: Mapping[str, ModelShape] | None = None) -> PlannedModel:
    """Plan one model.

    Args:
        model: The model.
        shapes: Shapes of models that the catalog lacks, by the models' names. Default: none.
    """
    if model.refusal is not None:
        return PlannedModel(model=model, plan=None, verdict="refused", problem=model.refusal)
    if model.problem is not None or not (model.model and model.gpu and model.engine):
        return PlannedModel(model=model, plan=None, verdict="unknown", problem=model.problem)
    shape = (shapes or {}).get(model.model) or fit.shape_of(model.shape or model.model)
    if shape is None:
        problem = Problem(
            text=f"{escaped(model.model)} is not in the catalog",
            advice=f"give its file with --config {escaped(model.model)}=config.json",
            kind="not counted",
        )
        return PlannedModel(model=model, plan=None, verdict="unknown", problem=problem)
    try:
        plan = fit.plan_of(shape, model.gpu, model.engine, model.release, model.env)
    except VllmConstructsError as error:
        return PlannedModel(model=model, plan=None, verdict="refused", problem=error.problem)
    if isinstance(plan, Problem):
        return PlannedModel(model=model, plan=None, verdict="unknown", problem=plan)
    reason = plan.problem or plan.caveat
    return PlannedModel(model=model, plan=plan, verdict=plan.verdict, problem=reason)
