"""Parallelism: over how many GPUs of a pod an engine is spread."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import EngineArgs, MigSlice, TimeSlicedGpu, VirtualGpu, WholeGpu
from vllm_constructs.engine.parallelism import Parallelism, share_problem
from vllm_constructs.errors import python
from vllm_constructs.reading.spelling import as_fields


@pytest.mark.parametrize(
    ("engine", "gpus", "expected"),
    [
        (EngineArgs(), 1, (1, 1, 1)),
        (EngineArgs(), 8, (8, 1, 1)),
        (EngineArgs(pipeline_parallel_size=2), 8, (4, 2, 1)),
        (EngineArgs(data_parallel_size=2), 8, (4, 1, 2)),
        (EngineArgs(pipeline_parallel_size=2, data_parallel_size=2), 8, (2, 2, 2)),
        (EngineArgs(tensor_parallel_size=2), 8, (2, 1, 1)),
        (EngineArgs(pipeline_parallel_size=3), 2, (1, 3, 1)),
    ],
)
def test_sizes(engine: EngineArgs, gpus: int, expected: tuple[int, int, int]) -> None:
    """Without a size of its own, all GPUs that nothing else takes split each layer."""
    found = Parallelism.of(engine, gpus)

    assert expected == (found.tensor, found.pipeline, found.data)
    assert expected[0] * expected[1] * expected[2] == found.gpus


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_engines(data: st.DataObject) -> None:
    """The sizes of an engine that goes with a GPU make up all of the pod's."""
    gpu = data.draw(strategies.gpus())
    engine = data.draw(strategies.engines(gpu))

    found = Parallelism.of(engine, gpu.count)

    assert gpu.count == found.gpus
    assert found.problem(gpu) is None


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 4), strategies.gpus())
def test_problem(tensor: int, pipeline: int, data: int, gpu: Any) -> None:
    """Sizes go with a pod exactly where they make up its GPUs; else the model does not fit."""
    sizes = Parallelism(tensor=tensor, pipeline=pipeline, data=data)

    problem = sizes.problem(gpu)

    assert (problem is None) is (tensor * pipeline * data == gpu.count)
    if problem is not None:
        assert problem.kind == "does not fit"
        needs = f"{sizes.gpus} GPUs (tensor {tensor} x pipeline {pipeline} x data {data})"
        limit = f"the pod has {gpu.count};" if gpu.parallel or sizes.gpus == 1 else "an engine can"
        assert f"EngineArgs needs {needs}, but {limit}" in problem.sentence()


def test_advice() -> None:
    """More or fewer GPUs are advised by the option of the reader."""
    problem = Parallelism(tensor=4, pipeline=1, data=1).problem(WholeGpu("NVIDIA-L4", count=2))

    assert problem is not None
    assert "but the pod has 2; give WholeGpu(count=4), or leave tensor_parallel_size out" in (
        problem.sentence(python)
    )
    assert "but the pod has 2; give limits['nvidia.com/gpu']: 4, or" in problem.sentence(as_fields)


@pytest.mark.parametrize(
    ("sizes", "advice"),
    [
        ((4, 1, 2), "give WholeGpu(count=8), or leave tensor_parallel_size out to use them all."),
        ((1, 3, 1), "give WholeGpu(count=3), or lower the sizes."),
        ((16, 2, 1), "out to use them all; no node has 32 NVIDIA-L4."),
        ((1, 64, 1), "has 2; lower the sizes; no node has 64 NVIDIA-L4."),
    ],
)
def test_useful_advice(sizes: tuple[int, int, int], advice: str) -> None:
    """Only what helps is advised: a number of GPUs that is allowed, a size that divides them."""
    tensor, pipeline, data = sizes
    parallelism = Parallelism(tensor=tensor, pipeline=pipeline, data=data)

    problem = parallelism.problem(WholeGpu("NVIDIA-L4", count=2))

    assert problem is not None
    assert problem.sentence().endswith(advice)


@pytest.mark.parametrize("gpu", [MigSlice("1g.10gb"), TimeSlicedGpu("NVIDIA-L4"), VirtualGpu()])
def test_parts(gpu: Any) -> None:
    """Several parts of GPUs cannot work on one engine, whatever their number."""
    problem = Parallelism(tensor=1, pipeline=2, data=1).problem(gpu)

    assert problem is not None
    assert f"an engine can use only one {type(gpu).__name__}; leave" in problem.sentence()
    assert Parallelism(tensor=1, pipeline=1, data=1).problem(gpu) is None


@pytest.mark.parametrize(
    ("utilization", "sharers", "is_wrong"),
    [(0.9, 1, False), (0.9, 2, True), (0.5, 2, True), (0.49, 2, False), (0.25, 4, True)],
)
def test_share(*, utilization: float, sharers: int, is_wrong: bool) -> None:
    """Engines that share a GPU take less than one part each."""
    problem = share_problem(utilization, sharers)
    assert is_wrong == (problem is not None)
    if problem is not None:
        assert f"a value below {1 / sharers:.2f}" in problem.sentence()
