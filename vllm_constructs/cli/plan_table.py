"""The plan of an app as a table: each model's memory and GPUs, and all GPUs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vllm_constructs.errors import VllmConstructsError
from vllm_constructs.memory import fit
from vllm_constructs.memory.activations import GIB
from vllm_constructs.memory.plan import MemoryPlan
from vllm_constructs.memory.shapes import ModelShape
from vllm_constructs.reading.workloads import Rendered

_HEAD = ("MODEL", "GPUS OF A POD", "WEIGHTS", "KV CACHE", "REQUESTS", "FITS")
_COUNTS = ("MIN", "MAX", "ROLLOUT")
_FITS = {"fits": "yes", "tight": "tight", "too large": "no", "refused": "no", "unknown": "?"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model of the table.

    Args:
        found: The model as its manifests say it.
        plan: Its plan, where there is one.
        verdict: That of the plan; `"refused"` where vLLM would not start, `"unknown"` without
            a plan.
        reason: Why it does not fit, or why there is no plan.
    """

    found: Rendered
    plan: MemoryPlan | None
    verdict: str
    reason: str

    @property
    def fits(self) -> bool:
        """Whether nothing says that it does not fit."""
        return self.verdict not in ("too large", "refused")

    @property
    def gpus(self) -> tuple[int, int, int]:
        """GPUs (or slices) at least, at most, and during a rollout at most."""
        one = self.found
        pods = (one.minimum, one.maximum, one.maximum + one.surge)
        return (pods[0] * one.pod_gpus, pods[1] * one.pod_gpus, pods[2] * one.pod_gpus)

    @property
    def requests(self) -> float | None:
        """Requests at full length that one pod runs at once."""
        plan = self.plan
        return None if plan is None else plan.concurrency * plan.data_parallel_size

    def as_dict(self) -> dict[str, Any]:
        """The row in JSON's own types."""
        one, plan = self.found, self.plan
        low, high, rollout = self.gpus
        return {
            "namespace": one.namespace or None,
            "name": one.name,
            "model": one.model,
            "image": one.image,
            "gpu": one.gpu_text,
            "gpus_per_pod": one.pod_gpus,
            "gpus": {"minimum": low, "maximum": high, "rollout": rollout},
            "replicas": {"minimum": one.minimum, "maximum": one.maximum},
            "weights": None if plan is None else plan.weights,
            "kv_cache": None if plan is None else plan.kv_cache,
            "requests": self.requests,
            "verdict": self.verdict,
            "reason": self.reason,
            "notes": list(one.notes),
            "plan": None if plan is None else plan.as_dict(),
        }


def row(found: Rendered, shapes: Mapping[str, ModelShape]) -> Row:
    """Plan one model.

    Args:
        found: The model.
        shapes: Shapes of models that the catalogue lacks, by the models' names.
    """
    if found.refusal:
        return Row(found=found, plan=None, verdict="refused", reason=found.refusal)
    if found.problem or found.model is None or found.gpu is None or found.engine is None:
        return Row(found=found, plan=None, verdict="unknown", reason=found.problem)
    shape = shapes.get(found.model) or fit.shape_of(found.shape or found.model)
    if shape is None:
        reason = (
            f"{found.model} is not in the catalogue; give --config {found.model}=config.json with "
            "its file."
        )
        return Row(found=found, plan=None, verdict="unknown", reason=reason)
    try:
        plan = fit.plan_of(shape, found.gpu, found.engine, found.release, found.env)
    except VllmConstructsError as error:
        return Row(found=found, plan=None, verdict="refused", reason=str(error))
    if isinstance(plan, str):
        return Row(found=found, plan=None, verdict="unknown", reason=plan)
    reason = ""
    if plan.verdict != "fits":
        reason = plan.sentence
    return Row(found=found, plan=plan, verdict=plan.verdict, reason=reason)


def totals(rows: Iterable[Row]) -> dict[str, tuple[int, int, int]]:
    """GPUs of all models by kind, sorted, and the `"total"` of whole GPUs at the end."""
    found: dict[str, tuple[int, int, int]] = {}
    total = (0, 0, 0)
    for one in rows:
        kind = one.found.kind
        found[kind] = _sum(found.get(kind, (0, 0, 0)), one.gpus)
        if one.found.has_whole_gpus:
            total = _sum(total, one.gpus)
    return dict(sorted(found.items())) | {"total": total}


def _sum(first: tuple[int, int, int], second: tuple[int, int, int]) -> tuple[int, int, int]:
    return (first[0] + second[0], first[1] + second[1], first[2] + second[2])


def as_dict(rows: Sequence[Row]) -> dict[str, Any]:
    """The table in JSON's own types.

    Args:
        rows: The models.
    """
    names = ("minimum", "maximum", "rollout")
    return {
        "models": [one.as_dict() for one in rows],
        "gpus": {kind: dict(zip(names, some, strict=True)) for kind, some in totals(rows).items()},
    }


def as_text(rows: Sequence[Row]) -> str:
    """The table for a person.

    Args:
        rows: The models.
    """
    lines = [(*_HEAD, *_COUNTS), *(_cells(one) for one in rows)]
    found = totals(rows)
    whole = {one.found.kind for one in rows if one.found.has_whole_gpus}
    for kind in found:
        if kind == "total" and not whole:
            continue
        # One kind of GPU is its own total.
        if kind in whole and len(whole) == 1:
            continue
        is_mixed = len(whole) < len(found) - 1
        total = "all whole GPUs" if is_mixed else "all GPUs"
        label = total if kind == "total" else f"all {kind.replace('a share', 'shares')}"
        lines.append((label, "", "", "", "", "", *map(str, found[kind])))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    # Numbers to the right, names to the left.
    left = (0, 1, 5)
    text = [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    said = [
        f"{one.found.called}: {note}"
        for one in rows
        for note in (one.reason, *one.found.notes)
        if note
    ]
    return "\n".join([*text, *([""] if said else []), *said])


def _cells(one: Row) -> tuple[str, ...]:
    plan, requests = one.plan, one.requests
    memory = ("?", "?", "?")
    if plan is not None and requests is not None:
        memory = (_gib(plan.weights), _gib(plan.kv_cache), f"{requests:.1f}")
    head = (one.found.called, one.found.gpu_text, *memory, _FITS[one.verdict])
    return (*head, *map(str, one.gpus))


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
