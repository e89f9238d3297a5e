"""The budget of a GPU: what fits together, and splits that vLLM refuses."""

from typing import Any

import pytest

from tests.memory.test_options import H100, L4, LLAMA, options
from vllm_constructs import MemoryPlan, TimeSlicedGpu, VllmRelease, WholeGpu
from vllm_constructs.accelerators.nvidia import Gpu
from vllm_constructs.memory.activations import (
    CONTEXT,
    GIB,
    LEAST_MARGIN,
    MIB,
    OUTSIDE_SPREAD,
    OUTSIDE_TORCH,
)
from vllm_constructs.memory.budget import MemoryBudget, budget_of
from vllm_constructs.memory.cuda_graphs import GRAPH
from vllm_constructs.memory.shapes import ModelShape


def made(gpu: Gpu = H100, shape: ModelShape = LLAMA, **engine: Any) -> MemoryBudget:
    """Return the budget of an engine."""
    return budget_of(shape, options(gpu, shape, **engine))


def test_sum() -> None:
    """The parts and the cache are what is asked for."""
    found = made(gpu_memory_utilization=0.5)
    stage = found.tightest
    total = stage.weights + stage.activations + stage.kv_cache + OUTSIDE_TORCH + 51 * GRAPH

    assert total == -(-options().memory // 2)


def test_margin() -> None:
    """The margin is a quarter of the estimates, a hundredth of the weights and 200 MiB."""
    found = made()
    stage = found.tightest
    guessed = stage.activations + found.cuda_graphs + OUTSIDE_TORCH

    assert found.margin - LEAST_MARGIN == int(0.25 * guessed + 0.01 * stage.weights)
    assert LEAST_MARGIN == 200 * MIB


def test_graphs() -> None:
    """Without CUDA graphs the cache has their room."""
    saved = made(enforce_eager=True).tightest.kv_cache - made().tightest.kv_cache

    assert saved == 51 * GRAPH == made().cuda_graphs


def test_older_graphs() -> None:
    """In vLLM 0.26 CUDA graphs come on top."""
    old = budget_of(LLAMA, options(release="v0.26.0"))

    assert old.cuda_graphs == 51 * GRAPH
    assert old.tightest.kv_cache - made().tightest.kv_cache >= 51 * GRAPH


def test_graphs_on_top() -> None:
    """Where graphs come on top and hardly fit beside what is asked for, the model is tight."""
    gpu, shape = WholeGpu("NVIDIA-A10G", count=4), ModelShape.named("Qwen/Qwen2.5-7B-Instruct")
    for release in ("v0.12.0", "v0.25.1", "v0.28.0"):
        found = budget_of(shape, options(gpu, shape, release))
        assert f"{found.cuda_graphs / GIB:.2f} GiB on top for CUDA graphs" in found.problem
        assert abs(found.spare) < found.margin
        eager = budget_of(shape, options(gpu, shape, release, enforce_eager=True))
        assert "on top" not in eager.problem
        image = VllmRelease(f"vllm/vllm-openai:{release}")
        assert "tight" == MemoryPlan(shape=shape, gpu=gpu, release=image).verdict
    assert "on top" not in budget_of(shape, options(gpu, shape)).problem


def test_graphs_of_state() -> None:
    """Models with recurrent layers kept the runner that takes graphs off the cache."""
    hybrid = ModelShape.named("Qwen/Qwen3-Next-80B-A3B-Instruct")
    gpu = WholeGpu("NVIDIA-H200")
    old, new = (
        budget_of(hybrid, options(gpu, hybrid, release=release))
        for release in ("v0.27.1", "v0.33.0")
    )
    assert old.cuda_graphs > 0
    assert old.tightest.kv_cache - new.tightest.kv_cache < old.cuda_graphs


def test_given_cache() -> None:
    """A cache of a given size is taken, where the GPU has it."""
    found = made(kv_cache_memory_bytes="20G")

    assert found.tightest.kv_cache == 20 * GIB
    assert found.problem == ""
    too_much = made(kv_cache_memory_bytes="70G")
    assert too_much.spare < 0
    assert "kv_cache_memory_bytes" in too_much.problem


def test_nothing_free() -> None:
    """More than what CUDA leaves cannot be asked for."""
    found = made(gpu_memory_utilization=1.0)

    assert found.spare == -CONTEXT
    assert found.margin == CONTEXT // 2 + LEAST_MARGIN
    assert "requests 79.18 GiB" in found.problem


def test_sharers() -> None:
    """Pods that share a GPU each keep a context, so many of them leave less."""
    small = ModelShape.named("Qwen/Qwen2.5-0.5B-Instruct")
    few = made(TimeSlicedGpu("NVIDIA-L4", replicas=2), small)
    many = made(TimeSlicedGpu("NVIDIA-L4", replicas=10), small)

    assert few.problem == ""
    assert "the other pods" in many.problem


def test_stages() -> None:
    """The stage with the least room decides."""
    found = made(WholeGpu("NVIDIA-L4", count=2), pipeline_parallel_size=2, max_model_len=8192)
    counts = [one.kv_cache // one.bytes_per_block for one in found.stages]

    assert len(found.stages) == 2
    assert found.blocks == min(counts)
    assert found.tightest.spare == min(one.spare for one in found.stages)


def test_offloaded() -> None:
    """Weights in host memory leave room."""
    assert made().tightest.weights - made(cpu_offload_gb=2).tightest.weights == 2 * GIB


def test_adapters() -> None:
    """LoRA adapters take room beside the weights."""
    assert made(enable_lora=True).tightest.weights > made().tightest.weights


def test_auto() -> None:
    """`auto` takes the longest request that fits, at most the model's own length."""
    found = made(L4, max_model_len="auto")

    assert found.spare > 0
    assert found.concurrency >= 1
    fixed = made(L4, max_model_len=found.max_model_len + 16)
    assert fixed.spare < 0
    assert made(max_model_len="auto").max_model_len == 131072


@pytest.mark.parametrize(
    ("utilization", "problem", "spare"),
    [(0.97, "", 1), (0.98, "vLLM requests", 0), (0.99, "vLLM requests", -1)],
)
def test_little_free(utilization: float, problem: str, spare: int) -> None:
    """Where hardly more is free than is asked for, the margin decides; below, the estimate does."""
    gpu = WholeGpu("NVIDIA-H100-80GB-HBM3", count=2)
    found = made(gpu, gpu_memory_utilization=utilization)

    assert problem in found.problem
    assert bool(problem) == bool(found.problem)
    if spare == 0:
        assert 0 < found.spare < OUTSIDE_SPREAD < found.margin
    else:
        assert (found.spare > 0) == (spare > 0)
