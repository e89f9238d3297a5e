"""The budget of a GPU: the memory that vLLM requests, and what each part takes of it."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

from vllm_constructs.dataclass import dataclass

from .activations import (
    COMMUNICATION,
    CONTEXT,
    GIB,
    LEAST_MARGIN,
    MARGIN,
    OUTSIDE_MARGIN,
    OUTSIDE_SPREAD,
    OUTSIDE_TORCH,
    activation_bytes,
)
from .cuda_graphs import GRAPH
from .kv_cache import KvCache, cache_of
from .options import MemoryOptions
from .sizes import Sizes
from .split import check_split
from .weights import adapters, loaded


@dataclass(frozen=True)
class Stage:
    """One GPU of one pipeline stage, in bytes.

    Args:
        weights: Weights after loading.
        offloaded: Weights that are kept in host memory instead.
        activations: Activations at the peak of a forward pass.
        kv_cache: Memory that is left for the KV cache; negative if the rest takes too much.
        per_token: KV cache of one token.
        bytes_per_block: KV cache of one block.
        needed: KV cache of one request of `max_model_len` tokens.
        least: The smallest KV cache with which vLLM starts.
    """

    weights: int
    offloaded: int
    activations: int
    kv_cache: int
    per_token: int
    bytes_per_block: int
    needed: int
    least: int

    @property
    def spare(self) -> int:
        """What the cache has beyond the smallest one; negative if bytes are missing."""
        return self.kv_cache - self.least


@dataclass(frozen=True)
class MemoryBudget:
    """The budget of all stages.

    Args:
        cache: The KV cache.
        stages: The stages.
        max_model_len: Tokens of the longest request.
        cuda_graphs: Bytes of CUDA graphs.
        overhead: Bytes that libraries keep outside of PyTorch's allocator.
        margin: Error margin of the estimates, in bytes.
        spare: Bytes that are not needed; negative if memory is missing.
        problem: Why `spare` is less than what the KV cache leaves, as in the text of a
            `Problem`; empty if it is not.
    """

    cache: KvCache
    stages: tuple[Stage, ...]
    max_model_len: int
    cuda_graphs: int
    overhead: int
    margin: int
    spare: int
    problem: str

    @property
    def tightest(self) -> Stage:
        """The stage with the least spare memory."""
        return min(self.stages, key=lambda stage: stage.spare)

    @property
    def blocks(self) -> int:
        """Blocks of the cache, on the stage with the fewest."""
        counts = [
            max(0, stage.kv_cache) // stage.bytes_per_block
            for stage in self.stages
            if stage.bytes_per_block
        ]
        return min(counts, default=0)

    @property
    def concurrency(self) -> float:
        """Requests of `max_model_len` tokens that run at once."""
        blocks = self.cache.blocks(self.max_model_len)
        return self.blocks / blocks if blocks else 0.0


@lru_cache(maxsize=1024)
def budget_of(shape: Sizes, options: MemoryOptions) -> MemoryBudget:
    """The budget of a model with resolved options.

    Args:
        shape: The sizes of the model.
        options: The options.

    Raises:
        VllmConstructsError: vLLM would not start with this split.
    """
    check_split(shape, options)
    graphs = options.graphs * GRAPH
    outside = CONTEXT * options.sharers + (COMMUNICATION if options.gpus > 1 else 0)
    requested = ceil(options.memory * options.utilization)
    counted = graphs if options.graphs_counted else 0
    loads = tuple(_loaded(shape, options, stage) for stage in range(options.split.pipeline))
    weights = tuple(
        max(0, size - options.offloaded) + _adapters(shape, options, stage, options.loras)
        for stage, size in enumerate(loads)
    )
    activations = tuple(
        activation_bytes(
            shape,
            options.split,
            options.batch,
            is_first=stage == 0,
            is_last=stage == options.split.pipeline - 1,
            kernel=options.kernel,
        )
        + _adapters(shape, options, stage, min(1, options.loras))
        for stage in range(options.split.pipeline)
    )
    used = [
        sum(parts) + OUTSIDE_TORCH + options.reserved
        for parts in zip(weights, activations, strict=True)
    ]
    available = [requested - size - counted for size in used]
    if options.kv_cache_memory is not None:
        available = [options.kv_cache_memory] * len(available)
    length = options.max_model_len
    if length is None:
        length = _longest(shape, options, available)
    cache = cache_of(shape, options.cache, length)
    # With "auto" the engine shortens its requests to what fits, so one token is enough.
    shortest = length if options.max_model_len is not None else 1
    stages = tuple(
        Stage(
            weights=weights[stage],
            offloaded=min(loads[stage], options.offloaded),
            activations=activations[stage],
            kv_cache=available[stage],
            per_token=cache.per_token[stage],
            bytes_per_block=cache.bytes_per_block(stage),
            needed=cache.needed(length, stage),
            # One block stays empty.
            least=max(
                cache.needed(shortest, stage) + cache.bytes_per_block(stage),
                options.least_blocks * cache.bytes_per_block(stage),
            ),
        )
        for stage in range(options.split.pipeline)
    )
    spare = min(stage.spare for stage in stages)
    # vLLM starts only if as much is free as it requests, also as the last pod on a shared GPU.
    free = options.memory - outside - (options.sharers - 1) * requested
    # Where graphs are captured on top of the request, they need what is left beside it.
    on_top = graphs - counted
    problem = ""
    estimated = max(activations) + graphs + OUTSIDE_TORCH
    margin = int(MARGIN * estimated + 0.01 * max(weights)) + LEAST_MARGIN
    if options.kv_cache_memory is not None:
        part = (options.memory - outside) // options.sharers
        left = min(part - size - graphs - options.kv_cache_memory for size in used)
        if spare < 0:
            # Both the cache and what it has to hold are exact.
            margin = 0
        else:
            if left < margin:
                problem = (
                    f"weights, activations and {{kv_cache_memory_bytes}} leave {left / GIB:.2f} "
                    "GiB of each GPU or share of a GPU"
                )
            spare = left
    elif free - requested - on_top < min(OUTSIDE_SPREAD, spare):
        # The memory kept outside was measured on an H100, and is less on nearly all other GPUs:
        # a model may fit though `spare` is below zero, but hardly the other way round.
        others = " and the other pods leave" if options.sharers > 1 else " leaves"
        captured = f" and {on_top / GIB:.2f} GiB on top for CUDA graphs" if on_top else ""
        problem = (
            f"vLLM requests {requested / GIB:.2f} GiB of each GPU{captured}, and CUDA{others} "
            f"about {max(0, free) / GIB:.2f} GiB free"
        )
        spare = free - requested - on_top
        margin = int(OUTSIDE_MARGIN * outside + MARGIN * on_top) + LEAST_MARGIN
    return MemoryBudget(cache, stages, length, graphs, OUTSIDE_TORCH, margin, spare, problem)


def _loaded(shape: Sizes, options: MemoryOptions, stage: int) -> int:
    return loaded(
        shape,
        options.split,
        stage,
        quantization=options.quantization,
        dtype_bytes=options.batch.dtype_bytes,
        kernel=options.kernel,
    )


def _adapters(shape: Sizes, options: MemoryOptions, stage: int, count: int) -> int:
    """Bytes of LoRA adapters; one more of them is made for the profile run, and dropped again."""
    if not count:
        return 0
    return adapters(shape, options.split, stage, count=count, rank=options.lora_rank)


def _longest(shape: Sizes, options: MemoryOptions, available: list[int]) -> int:
    """The longest request that fits on all stages; at least one token, even if none fits."""
    cache = cache_of(shape, options.cache, options.longest)
    fitting = [
        cache.longest(stage, size, options.longest)
        for stage, size in enumerate(available)
        if cache.bytes_per_block(stage)
    ]
    return max(1, min(fitting, default=options.longest))
