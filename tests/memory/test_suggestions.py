"""Suggestions: each one, taken, makes the model fit."""

from dataclasses import replace
from typing import Any

import pytest

from vllm_constructs import EngineArgs, MigSlice, TimeSlicedGpu, VllmRelease, WholeGpu
from vllm_constructs.accelerators.nvidia import Gpu, catalog
from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.errors import spelt
from vllm_constructs.memory.plan import MemoryPlan
from vllm_constructs.memory.shapes import ModelShape
from vllm_constructs.memory.suggestions import Suggestion, suggest

named = ModelShape.named


def taken(plan: MemoryPlan, one: Suggestion) -> MemoryPlan:
    """Return the plan with the change that is suggested."""
    if one.kind == "gpus":
        assert isinstance(one.value, int)
        assert isinstance(plan.gpu, WholeGpu)
        engine = replace(plan.engine, tensor_parallel_size=None)
        return replace(plan, gpu=replace(plan.gpu, count=one.value), engine=engine)
    if one.kind != "gpu":
        change: dict[str, Any] = {one.kind: one.value}
        return replace(plan, engine=replace(plan.engine, **change))
    if one.value in catalog():
        count = int(one.text.split(" x ")[0])
        return replace(plan, gpu=WholeGpu(str(one.value), count=count))
    assert isinstance(plan.gpu, MigSlice)
    return replace(plan, gpu=replace(plan.gpu, profile=str(one.value)))


PLANS: list[tuple[str, Gpu, dict[str, Any], set[str]]] = [
    (
        "meta-llama/Llama-3.1-8B-Instruct",
        WholeGpu("NVIDIA-L4"),
        {},
        {"max_model_len", "gpus", "gpu"},
    ),
    (
        "meta-llama/Llama-3.1-8B-Instruct",
        WholeGpu("NVIDIA-L4"),
        {"max_model_len": 40_000},
        {"max_model_len", "gpus", "gpu", "kv_cache_dtype", "quantization"},
    ),
    (
        "meta-llama/Llama-3.1-8B-Instruct",
        WholeGpu("NVIDIA-L4"),
        {"max_model_len": 16384, "gpu_memory_utilization": 0.999},
        {"gpu_memory_utilization"},
    ),
    ("meta-llama/Llama-3.3-70B-Instruct", WholeGpu("NVIDIA-L40S", count=2), {}, {"gpus", "gpu"}),
    (
        "Qwen/Qwen2.5-7B-Instruct",
        MigSlice("1g.10gb", product="NVIDIA-H100-80GB-HBM3"),
        {},
        {"gpu"},
    ),
    ("Qwen/Qwen2.5-7B-Instruct", MigSlice("1g.10gb"), {}, {"gpu"}),
    ("Qwen/Qwen2.5-7B-Instruct", TimeSlicedGpu("NVIDIA-L4"), {}, {"gpu"}),
    ("openai/gpt-oss-120b", WholeGpu("NVIDIA-L4"), {}, {"gpus", "gpu"}),
    (
        "Qwen/Qwen3-32B",
        WholeGpu("NVIDIA-L4", count=2),
        {"tensor_parallel_size": 2, "max_model_len": 8192},
        {"gpus", "gpu", "quantization"},
    ),
    (
        "Qwen/Qwen3-Next-80B-A3B-Instruct",
        WholeGpu("NVIDIA-H100-80GB-HBM3", count=4),
        {"max_model_len": 4096, "max_num_seqs": 1024, "kv_cache_memory_bytes": "2G"},
        {"kv_cache_memory_bytes", "max_num_seqs", "gpus", "gpu"},
    ),
]


@pytest.mark.parametrize(("name", "gpu", "engine", "kinds"), PLANS)
def test_spelling(name: str, gpu: Gpu, engine: dict[str, Any], kinds: set[str]) -> None:
    """A change is one that a user can copy, into an app and onto a command line."""
    plan = MemoryPlan(shape=named(name), gpu=gpu, engine=EngineArgs(**engine))

    assert kinds
    for one in plan.suggestions:
        flags = spelt(one.change, as_flags)
        assert one.text == spelt(one.change)
        assert not {"{", "}"} & set(one.text + flags)
        if one.kind in ("gpus", "gpu"):
            assert one.text == flags
        else:
            assert one.text.startswith(f"{one.kind}={one.value!r}")
            assert flags.startswith(f"--{one.kind.replace('_', '-')}={one.value}")


@pytest.mark.parametrize(("name", "gpu", "engine", "kinds"), PLANS)
def test_taken(name: str, gpu: Gpu, engine: dict[str, Any], kinds: set[str]) -> None:
    """What is suggested fits, whatever the margin."""
    plan = MemoryPlan(shape=named(name), gpu=gpu, engine=EngineArgs(**engine))

    assert plan.verdict == "too large"
    assert kinds == {one.kind for one in plan.suggestions}
    for one in plan.suggestions:
        assert taken(plan, one).verdict == "fits", one


def test_nearest() -> None:
    """A few more tokens, a GPU less or a smaller GPU would not fit."""
    plan = MemoryPlan(shape=named("Qwen/Qwen3-32B"), gpu=WholeGpu("NVIDIA-L40S"))
    found = {one.kind: one.value for one in plan.suggestions}

    assert found["gpus"] == 2
    smaller = [
        product
        for product, one in catalog().items()
        if one["memory_mib"] < catalog()[str(found["gpu"])]["memory_mib"]
    ]
    for product in smaller:
        other = replace(plan, gpu=WholeGpu(product))
        assert other.verdict != "fits"


def test_shortest() -> None:
    """The length that is suggested is the longest, to the step that people write."""
    plan = MemoryPlan(shape=named("meta-llama/Llama-3.1-8B-Instruct"), gpu=WholeGpu("NVIDIA-L4"))
    length = next(one.value for one in plan.suggestions if one.kind == "max_model_len")

    assert isinstance(length, int)
    assert length % 1024 == 0
    more = EngineArgs(max_model_len=length + 1024)
    assert replace(plan, engine=more).verdict != "fits"


@pytest.mark.parametrize(("product", "expected"), [("Tesla-T4", False), ("NVIDIA-L4", True)])
def test_eight_bits(product: str, expected: bool) -> None:  # noqa: FBT001  # a column of the table
    """Eight-bit floats are suggested only where there are kernels for them."""
    shape = named("Qwen/Qwen2.5-7B-Instruct")
    gpu = WholeGpu(product, memory_mib=18 * 1024)
    plan = MemoryPlan(shape=shape, gpu=gpu)

    assert ("quantization" in {one.kind for one in plan.suggestions}) is expected


def test_none() -> None:
    """Nothing is suggested where the model fits, or where nothing would help."""
    small = MemoryPlan(shape=named("Qwen/Qwen3-0.6B"), gpu=WholeGpu("NVIDIA-L4"))
    huge = MemoryPlan(
        shape=replace(named("Qwen/Qwen3-0.6B"), other_parameters=10**13),
        gpu=WholeGpu("NVIDIA-L4"),
    )

    assert small.suggestions == ()
    assert huge.suggestions == ()


def test_nearest_share() -> None:
    """The nearest share of the memory that is enough is proposed, above or below."""
    shape, release = ModelShape.named("Qwen/Qwen3-4B"), VllmRelease()

    def share(utilization: float) -> object:
        engine = EngineArgs(gpu_memory_utilization=utilization, max_model_len=8192)
        found = suggest(shape, WholeGpu("NVIDIA-L40S"), engine, release, {})
        return next(one.value for one in found if one.kind == "gpu_memory_utilization")

    low, high = share(0.1), share(1.0)
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert 0.1 < low < 0.4
    assert 0.9 < high < 1.0
    engine = EngineArgs(gpu_memory_utilization=low, max_model_len=8192)
    gpu = WholeGpu("NVIDIA-L40S")
    assert MemoryPlan(shape=shape, gpu=gpu, engine=engine, release=release).verdict == "fits"
    less = EngineArgs(gpu_memory_utilization=round(low - 0.01, 2), max_model_len=8192)
    assert MemoryPlan(shape=shape, gpu=gpu, engine=less, release=release).verdict != "fits"
