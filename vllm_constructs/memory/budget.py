"""The budget of a GPU: what is asked for of it, and what each part takes of that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from .activations import (
    COMMUNICATION,
    CONTEXT,
    GIB,
    GRAPH,
    LEAST_MARGIN,
    MARGIN,
    OUTSIDE_MARGIN,
    OUTSIDE_SPREAD,
    OUTSIDE_TORCH,
    activations,
)
from .kv_cache import KvCache, kv_cache
from .options import MemoryOptions
from .shapes import ModelShape
from .split import check_split
from .weights import adapters, loaded


@dataclass(frozen=True)
class Stage:
    """One GPU of one pipeline stage, in bytes."""

    weights: int
    activations: int
    kv_cache: int
    per_token: int
    bytes_per_block: int
    needed: int

    @property
    def spare(self) -> int:
        """What is left of the cache beside one request and the block that stays empty."""
        return self.kv_cache - self.needed - self.bytes_per_block


@dataclass(frozen=True)
class MemoryBudget:
    """The budget of all stages."""

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
        """The stage with the least room."""
        return min(self.stages, key=lambda stage: stage.spare)

    @property
    def blocks(self) -> int:
        """Blocks of the cache: the stage with the fewest decides."""
        counts = [
            max(0, one.kv_cache) // one.bytes_per_block
            for one in self.stages
            if one.bytes_per_block
        ]
        return min(counts, default=0)

    @property
    def concurrency(self) -> float:
        """Requests at full length that run at once."""
        blocks = self.cache.blocks(self.max_model_len)
        return self.blocks / blocks if blocks else 0.0


@lru_cache(maxsize=1024)
def budget(shape: ModelShape, options: MemoryOptions) -> MemoryBudget:
    """The budget of a model with resolved options."""
    check_split(shape, options)
    graphs = options.graphs * GRAPH
    outside = CONTEXT * options.sharers + (COMMUNICATION if options.gpus > 1 else 0)
    requested = ceil(options.memory * options.utilization)
    counted = graphs if options.graphs_counted else 0
    weights = tuple(_weights(shape, options, stage) for stage in range(options.split.pipeline))
    moving = tuple(
        activations(
            shape, options.split, options.batch, is_last=stage == options.split.pipeline - 1
        )
        for stage in range(options.split.pipeline)
    )
    rest = [one + more + OUTSIDE_TORCH for one, more in zip(weights, moving, strict=True)]
    room = [requested - one - counted for one in rest]
    if options.kv_cache_memory is not None:
        room = [options.kv_cache_memory] * len(room)
    length = options.max_model_len
    if length is None:
        length = _auto(shape, options, room)
    cache = kv_cache(shape, options.cache, length)
    stages = tuple(
        Stage(
            weights=weights[stage],
            activations=moving[stage],
            kv_cache=room[stage],
            per_token=cache.per_token[stage],
            bytes_per_block=cache.bytes_per_block(stage),
            needed=cache.needed(length, stage),
        )
        for stage in range(options.split.pipeline)
    )
    # With "auto" the engine takes what is there, so any request at all is enough.
    least = length if options.max_model_len is not None else 1
    spare = min(
        one.kv_cache - one.bytes_per_block - cache.needed(least, stage)
        for stage, one in enumerate(stages)
    )
    # vLLM starts only where that much is free, also as the last of those that share the GPU.
    free = options.memory - outside - (options.sharers - 1) * requested
    problem = ""
    estimated = max(moving) + graphs + OUTSIDE_TORCH
    margin = int(MARGIN * estimated + 0.01 * max(weights)) + LEAST_MARGIN
    if options.kv_cache_memory is not None:
        part = (options.memory - outside) // options.sharers
        left = min(part - one - graphs - options.kv_cache_memory for one in rest)
        if left < spare:
            problem = (
                f"weights and activations with kv_cache_memory_bytes leave {left / GIB:.2f} GiB "
                "of each GPU or share of one"
            )
        spare = min(spare, left)
    elif free - requested < min(OUTSIDE_SPREAD, spare):
        # What is kept outside is that of an H100, nearly the most of all: below zero a model may
        # still fit, while above it little can be missing.
        others = " and the other pods leave" if options.sharers > 1 else " leaves"
        problem = (
            f"vLLM asks for {requested / GIB:.2f} GiB of each GPU, and CUDA{others} about "
            f"{max(0, free) / GIB:.2f} GiB free"
        )
        spare = free - requested
        margin = int(OUTSIDE_MARGIN * outside) + LEAST_MARGIN
    return MemoryBudget(cache, stages, length, graphs, OUTSIDE_TORCH, margin, spare, problem)


def _weights(shape: ModelShape, options: MemoryOptions, stage: int) -> int:
    found = loaded(
        shape,
        options.split,
        stage,
        quantization=options.quantization,
        dtype_bytes=options.batch.dtype_bytes,
    )
    found = max(0, found - options.offloaded)
    if options.loras:
        found += adapters(shape, options.split, stage, count=options.loras, rank=options.lora_rank)
    return found


def _auto(shape: ModelShape, options: MemoryOptions, room: list[int]) -> int:
    """The longest request that fits on all stages; at least one token, which may be too many."""
    cache = kv_cache(shape, options.cache, options.longest)
    fitting = [
        cache.longest(stage, available, options.longest)
        for stage, available in enumerate(room)
        if cache.bytes_per_block(stage)
    ]
    return max(1, min(fitting, default=options.longest))
