"""The memory of a GPU of each model, drawn as a bar."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from vllm_constructs.memory.activations import GIB
from vllm_constructs.memory.picture import parts
from vllm_constructs.reading.plans import PlannedModel

from .output import can_show

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from vllm_constructs.memory.plan import MemoryPlan

_WIDTH = 24
_HEAD = ("MODEL", "WEIGHTS", "KV CACHE", "REQUESTS", "MEMORY OF A GPU")
_PARTS = ("weights", "other", "KV cache", "free")
_COLOURS = ("blue", "magenta", "green", "")
_BLOCKS, _ASCII = "█▓▒░", "#+=."


def memory_bars(rows: Sequence[PlannedModel]) -> Table:
    """A table with a bar for each model.

    Args:
        rows: The models, with their plans.
    """
    from rich.table import Table
    from rich.text import Text

    marks = _BLOCKS if can_show(_BLOCKS) else _ASCII
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in _HEAD:
        is_text = name in (_HEAD[0], _HEAD[-1])
        made.add_column(name, justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        plan = row.plan
        if plan is None:
            made.add_row(row.model.full_name, "?", "?", "?", "?")
            continue
        requests = f"{plan.concurrency * plan.data_parallel_size:.1f}"
        made.add_row(
            row.model.full_name, _gib(plan.weights), _gib(plan.kv_cache), requests, bar(plan, marks)
        )
    legend = Text("")
    for part, mark, colour in zip(_PARTS, marks, _COLOURS, strict=True):
        legend.append(mark, colour)
        legend.append(f" {part}  ")
    made.add_row("", "", "", "", legend)
    return made


def bar(plan: MemoryPlan, marks: str) -> Text:
    """The bar of a plan; a model that is too large fills it with what it has before the cache.

    Args:
        plan: The plan.
        marks: Four characters: for weights, the rest of what vLLM takes, KV cache, and free memory.
    """
    from rich.text import Text

    total = plan.gpu_memory
    sizes = parts(plan)
    other = sizes["activations"] + sizes["CUDA graphs"] + sizes["other"]
    ends = [*accumulate((sizes["weights"], other, sizes["KV cache"])), total]
    cells = [min(_WIDTH, round(end * _WIDTH / total)) for end in ends]
    text, begin = Text(), 0
    for end, mark, colour in zip(cells, marks, _COLOURS, strict=True):
        text.append(mark * max(0, end - begin), colour)
        begin = max(begin, end)
    text.append(f" {total / GIB:.0f} GiB")
    return text


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
