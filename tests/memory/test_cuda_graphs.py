"""CUDA graphs: the batch sizes that have them, and the states that they need."""

from typing import Any

import pytest

from vllm_constructs import EngineArgs, VllmRelease, WholeGpu
from vllm_constructs.accelerators.nvidia import Gpu
from vllm_constructs.memory import cuda_graphs

H100 = WholeGpu("NVIDIA-H100-80GB-HBM3")


@pytest.mark.parametrize(
    ("most", "expected"), [(1, 1), (3, 2), (4, 3), (8, 4), (256, 35), (512, 51), (1024, 83)]
)
def test_count(most: int, expected: int) -> None:
    """The batch sizes are those that vLLM captures."""
    sizes = [1, 2, 4, *range(8, 256, 8), *range(256, 2048, 16)]

    assert cuda_graphs.count(most) == len([size for size in sizes if size <= most]) == expected


@pytest.mark.parametrize(
    ("gpu", "engine", "batch", "expected"),
    [
        (H100, {}, (8192, 1024), 51),
        (WholeGpu("NVIDIA-B200"), {}, (8192, 1024), 83),
        (H100, {}, (8192, 4), 4),
        (H100, {}, (2, 2), 2),
        (H100, {"enforce_eager": True}, (8192, 1024), 0),
        (H100, {"optimization_level": 0}, (8192, 1024), 0),
        (H100, {"optimization_level": 1}, (8192, 1024), 51),
        (H100, {"compilation_config": {"cudagraph_mode": "NONE"}}, (8192, 1024), 0),
        (H100, {"compilation_config": {"cudagraph_capture_sizes": [1, 2]}}, (8192, 1024), 2),
        (H100, {"compilation_config": {"max_cudagraph_capture_size": 8}}, (8192, 1024), 4),
        (H100, {"cudagraph_capture_sizes": [1, 2, 4]}, (8192, 1024), 3),
    ],
)
def test_batch_sizes(
    gpu: Gpu, engine: dict[str, Any], batch: tuple[int, int], expected: int
) -> None:
    """CUDA graphs are captured for the sizes that the batch can have."""
    assert cuda_graphs.batch_sizes(gpu, EngineArgs(**engine), *batch) == expected


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ({}, True),
        ({"enforce_eager": True}, False),
        ({"runner": "pooling"}, False),
        ({"optimization_level": 0}, False),
        ({"optimization_level": 1}, False),
        ({"optimization_level": 2}, True),
        ({"compilation_config": {"cudagraph_mode": "FULL_DECODE_ONLY"}}, True),
        ({"compilation_config": {"cudagraph_mode": "full"}}, True),
        ({"compilation_config": {"cudagraph_mode": 2}}, True),
        ({"compilation_config": {"cudagraph_mode": 1}}, False),
        ({"compilation_config": {"cudagraph_mode": "PIECEWISE"}}, False),
        ({"optimization_level": 1, "compilation_config": {"cudagraph_mode": "FULL"}}, True),
    ],
)
def test_needs_states(engine: dict[str, Any], *, expected: bool) -> None:
    """Only graphs of whole decode steps need a state for each request, from 0.20.0 on."""
    given = EngineArgs(**engine)

    assert cuda_graphs.needs_states(given, VllmRelease("vllm:v0.20.0")) is expected
    assert not cuda_graphs.needs_states(given, VllmRelease("vllm:v0.19.1"))


@pytest.mark.parametrize(
    ("release", "second", "asked", "expected"),
    [
        ("0.17.0", False, None, False),
        ("0.17.0", False, "1", False),
        ("0.18.0", False, None, False),
        ("0.18.0", False, "1", True),
        ("0.20.0", False, None, True),
        ("0.20.0", False, "0", False),
        ("0.28.0", True, None, False),
        ("0.28.0", True, "1", False),
        ("0.29.0", True, None, True),
        ("0.29.0", True, "false", False),
        ("0.29.0", True, "$(OTHER)", True),
    ],
)
def test_are_counted(*, release: str, second: bool, asked: str | None, expected: bool) -> None:
    """The variable switches the estimate where the runner has one."""
    env = {} if asked is None else {"VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS": asked}
    found = cuda_graphs.are_counted(VllmRelease(f"vllm:v{release}"), env, second=second)

    assert found is expected
