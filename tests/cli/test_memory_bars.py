"""The memory of a GPU as a bar."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_constructs import EngineArgs, MemoryPlan, ModelShape, WholeGpu
from vllm_constructs.cli import plan_table
from vllm_constructs.cli.memory_bars import bar, memory_bars
from vllm_constructs.cli.output import plain

from .test_plan_table import FOUND

MODELS = ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-72B-Instruct")


@given(st.sampled_from(MODELS), st.floats(0.2, 0.98))
def test_parts(model: str, share: float) -> None:
    """A bar has as many cells as it is wide; more weights have no fewer of them."""
    engine = EngineArgs(gpu_memory_utilization=round(share, 2))
    cells = []
    for name in (MODELS[0], model):
        plan = MemoryPlan(shape=ModelShape.named(name), gpu=WholeGpu("NVIDIA-L40S"), engine=engine)
        drawn, _, size = bar(plan, "#+=.").plain.partition(" ")
        assert (24, "45 GiB") == (len(drawn), size)
        assert drawn == "".join(sorted(drawn, key="#+=.".index))
        cells.append(drawn.count("#"))
    assert cells[0] <= cells[1]


def test_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the output has no blocks, the bar is drawn with other characters."""
    rows = [plan_table.row(FOUND, {})]
    drawn = []
    for encoding in ("utf-8", "ascii"):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        drawn.append(plain(memory_bars(rows)))
    assert ("█" in drawn[0], "#" in drawn[1]) == (True, True)
    assert drawn[1].isascii()
