"""The plan of an app as a table: memory and GPUs of each model, and the total of all GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem
from vllm_constructs.memory.shapes import ModelShape
from vllm_constructs.reading.plans import PlannedModel, planned
from vllm_constructs.reading.spelling import as_fields
from vllm_constructs.reading.workloads import DeployedModel

from .memory_bars import memory_bars

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

_COUNTS = ("MIN", "MAX", "ROLLOUT")
_HEAD = ("MODEL", "GPUS OF A POD", "FITS", *_COUNTS)
_STYLES = {
    "fits": "green",
    "tight": "yellow",
    "unknown": "",
    **dict.fromkeys(("too large", "refused"), "red"),
}
_FITS = {"fits": "yes", "tight": "tight", "too large": "no", "refused": "no", "unknown": "?"}


@dataclass(frozen=True, kw_only=True)
class Row(PlannedModel):
    """One model of the table; its fields are those of `PlannedModel`."""

    @property
    def reason(self) -> str:
        """The problem with the options as manifests spell them; empty without a problem."""
        return "" if self.problem is None else self.problem.sentence(as_fields)

    @property
    def fits(self) -> bool:
        """Whether it fits as far as known: neither too large nor rejected."""
        return self.verdict not in ("too large", "refused")

    @property
    def gpus(self) -> tuple[int, int, int]:
        """GPUs (or slices) at least, at most, and at most during a rollout."""
        model = self.model
        most = model.maximum + model.surge
        return (
            model.minimum * model.pod_gpus,
            model.maximum * model.pod_gpus,
            most * model.pod_gpus,
        )

    @property
    def requests(self) -> float | None:
        """Concurrent requests of full length per pod; None without a plan."""
        plan = self.plan
        return None if plan is None else plan.concurrency * plan.data_parallel_size

    def as_dict(self) -> dict[str, Any]:
        """The row in JSON's own types."""
        model, plan = self.model, self.plan
        low, high, rollout = self.gpus
        return {
            "namespace": model.namespace or None,
            "name": model.name,
            "model": model.model,
            "image": model.image,
            "gpu": model.gpu_text,
            "gpus_per_pod": model.pod_gpus,
            "gpus": {"minimum": low, "maximum": high, "rollout": rollout},
            "replicas": {"minimum": model.minimum, "maximum": model.maximum},
            "weights": None if plan is None else plan.weights,
            "kv_cache": None if plan is None else plan.kv_cache,
            "requests": self.requests,
            "verdict": self.verdict,
            "reason": self.reason,
            "notes": [note.sentence(as_fields) for note in model.notes],
            "plan": None if plan is None else plan.as_dict(),
        }


def row(model: DeployedModel, shapes: Mapping[str, ModelShape]) -> Row:
    """Plan one model.

    Args:
        model: The model.
        shapes: Shapes of models that the catalog lacks, by the models' names.
    """
    found = planned(model, shapes)
    return Row(model=model, plan=found.plan, verdict=found.verdict, problem=found.problem)


def totals(rows: Iterable[Row]) -> dict[str, tuple[int, int, int]]:
    """GPUs of all models by kind, sorted, and the `"total"` of whole GPUs at the end."""
    by_kind: dict[str, tuple[int, int, int]] = {}
    total = (0, 0, 0)
    for row in rows:
        kind = row.model.kind
        by_kind[kind] = _sum(by_kind.get(kind, (0, 0, 0)), row.gpus)
        if row.model.has_whole_gpus:
            total = _sum(total, row.gpus)
    return dict(sorted(by_kind.items())) | {"total": total}


def _sum(first: tuple[int, int, int], second: tuple[int, int, int]) -> tuple[int, int, int]:
    return (first[0] + second[0], first[1] + second[1], first[2] + second[2])


def as_dict(rows: Sequence[Row], unread: Sequence[Problem] = ()) -> dict[str, Any]:
    """The table in JSON's own types.

    Args:
        rows: The models.
        unread: Files that cannot be read. Default: none.
    """
    names = ("minimum", "maximum", "rollout")
    return {
        "models": [row.as_dict() for row in rows],
        "gpus": {kind: dict(zip(names, gpus, strict=True)) for kind, gpus in totals(rows).items()},
        "unread": [problem.sentence() for problem in unread],
    }


def table(rows: Sequence[Row], unread: Sequence[Problem] = ()) -> Group:
    """The tables for a person: GPUs of all models, and the memory of a GPU of each.

    Args:
        rows: The models.
        unread: Files that cannot be read. Default: none.
    """
    from rich.console import Group

    notes = [
        f"{row.model.full_name}: {note}"
        for row in rows
        for note in (row.reason, *(note.sentence(as_fields) for note in row.model.notes))
        if note
    ]
    notes += [problem.sentence() for problem in unread]
    parts: list[RenderableType] = [_gpus(rows), "", memory_bars(rows)]
    return Group(*parts, *([""] if notes else []), *notes)


def _gpus(rows: Sequence[Row]) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in _HEAD:
        made.add_column(name, overflow="fold", justify="right" if name in _COUNTS else "left")
    for row in rows:
        verdict = Text(_FITS[row.verdict], style=_STYLES[row.verdict])
        made.add_row(row.model.full_name, row.model.gpu_text, verdict, *map(str, row.gpus))
    sums = totals(rows)
    whole = {row.model.kind for row in rows if row.model.has_whole_gpus}
    for kind, gpus in sums.items():
        # Models on CPUs alone have no GPUs to count.
        if not any(gpus) or (kind == "total" and not whole):
            continue
        # One kind of GPU is its own total.
        if kind in whole and len(whole) == 1:
            continue
        is_mixed = len(whole) < len(sums) - 1
        total = "all whole GPUs" if is_mixed else "all GPUs"
        label = total if kind == "total" else f"all {kind.replace('a share', 'shares')}"
        made.add_row(label, "", "", *map(str, gpus))
    return made
