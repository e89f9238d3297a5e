"""CUDA graphs: which ones an engine captures, and what they need before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nvidia import Capability, capability
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.releases.behavior import Behavior
from vllm_constructs.releases.environment import switch
from vllm_constructs.releases.release import VllmRelease

GRAPH = 20 * 2**20
"""Bytes of the CUDA graphs of one batch size: an estimate."""

# On data center GPUs of the Blackwell family, more batch sizes have them (vllm/config/vllm.py).
_BLACKWELL: Capability = (10, 0)
# The modes by their numbers (CUDAGraphMode in vllm/config/compilation.py).
_MODES = {"0": "NONE", "1": "PIECEWISE", "2": "FULL"}
# Modes of the lowest optimization levels (OPTIMIZATION_LEVEL_TO_CONFIG in vllm/config/vllm.py).
_LEVELS = {"0": "NONE", "1": "PIECEWISE"}


def batch_sizes(gpu: Gpu, engine: EngineArgs, tokens: int, requests: int) -> int:
    """The number of batch sizes with CUDA graphs.

    Args:
        gpu: GPU of the pod.
        engine: Flags of the engine.
        tokens: `max_num_batched_tokens`.
        requests: `max_num_seqs`.
    """
    if _mode(engine) == "NONE":
        return 0
    sizes = _given(engine, "cudagraph_capture_sizes")
    if isinstance(sizes, (list, tuple)):
        return len(set(map(str, sizes)))
    largest = _given(engine, "max_cudagraph_capture_size")
    if not isinstance(largest, int):
        found = capability(gpu) or (0, 0)
        largest = min(2 * requests, 1024 if found[0] == _BLACKWELL[0] else 512)
    return count(min(largest, tokens))


def are_counted(release: VllmRelease, env: Mapping[str, str], *, second: bool) -> bool:
    """Whether vLLM estimates the graphs, and takes them off the KV cache.

    Otherwise it captures them on top of the memory that it asked for. The variable that switches
    the estimate came with 0.18; a runner that cannot estimate ignores it.

    Args:
        release: The vLLM release.
        env: Environment variables of the container.
        second: Whether the second model runner runs the model.
    """
    runner: Behavior = (
        "cuda-graphs-in-kv-budget-of-second-runner" if second else "cuda-graphs-in-kv-budget"
    )
    asked = switch(env, "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS")
    if asked is False or second:
        return asked is not False and release.behaves(runner)
    return release.behaves(runner) or (asked is True and release.behaves("cuda-graph-estimate"))


def needs_states(engine: EngineArgs, release: VllmRelease) -> bool:
    """Whether each request of a batch needs a recurrent state before the engine starts.

    It does where CUDA graphs of whole decode steps are captured (resolve_cudagraph_mode_and_sizes
    in vllm/config/compilation.py). Pooling models have none.

    Args:
        engine: Flags of the engine.
        release: The vLLM release.
    """
    is_full = _mode(engine).startswith("FULL") and engine.runner != "pooling"
    return is_full and release.behaves("state-block-per-request")


def count(largest: int) -> int:
    """How many batch sizes up to `largest` tokens have CUDA graphs.

    vLLM captures them for 1, 2 and 4 tokens, then for multiples of 8 up to 256, then for
    multiples of 16 (vllm/config/vllm.py).

    Args:
        largest: Tokens of the largest batch with CUDA graphs.
    """
    small = sum(size <= largest for size in (1, 2, 4))
    return small + len(range(8, min(largest + 1, 256), 8)) + len(range(256, largest + 1, 16))


def _mode(engine: EngineArgs) -> str:
    """The mode, as given or as the optimization level sets it."""
    if engine.enforce_eager:
        return "NONE"
    given = _field(engine, "cudagraph_mode")
    if given is None:
        return _LEVELS.get(str(engine.get("optimization_level")), "FULL_AND_PIECEWISE")
    return _MODES.get(str(given), str(given).upper())


def _given(engine: EngineArgs, name: str) -> Any:
    """An option that is a field of `compilation_config` and a flag."""
    found = _field(engine, name)
    return engine.get(name) if found is None else found


def _field(engine: EngineArgs, name: str) -> Any:
    config = engine.compilation_config
    return config.get(name) if isinstance(config, Mapping) else None
