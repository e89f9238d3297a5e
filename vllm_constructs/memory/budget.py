"""The budget of a GPU: what is asked for of it, and what each part takes of that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from vllm_constructs.errors import refuse

from .activations import (
    COMMUNICATION,
    CONTEXT,
    GIB,
    GRAPH,
    LEAST_MARGIN,
    MARGIN,
    OUTSIDE_MARGIN,
    OUTSIDE_TORCH,
    activations,
)
from .kv_cache import KvCache, kv_cache
from .options import MemoryOptions
from .shapes import ModelShape
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


def _divides(shape: ModelShape, what: str, count: int, tensor: int) -> None:
    if count % tensor:
        best = max(one for one in range(1, tensor) if count % one == 0)
        refuse(
            f"{shape.name} has {count} {what}, which cannot be split over {tensor} GPUs; give a "
            f"tensor_parallel_size that divides {count}, such as {best}."
        )


def check_split(shape: ModelShape, options: MemoryOptions) -> None:
    """Refuse a split that vLLM refuses."""
    split = options.split
    tensor = split.tensor
    if split.pipeline > shape.layers:
        refuse(
            f"{shape.name} has {shape.layers} layers, which cannot be {split.pipeline} stages; "
            f"give a pipeline_parallel_size of at most {shape.layers}."
        )
    if shape.num_attention_heads:
        _divides(shape, "attention heads", shape.num_attention_heads, tensor)
    heads = shape.num_key_value_heads
    if heads and not shape.latent and max(heads, tensor) % min(heads, tensor):
        refuse(
            f"{shape.name} has {heads} key and value heads, which {tensor} GPUs can neither split "
            "nor repeat evenly; give a tensor_parallel_size that divides them or is a multiple."
        )
    if shape.intermediate_size:
        _divides(shape, "columns in a feed-forward", shape.intermediate_size, tensor)
    if shape.recurrent:
        part = shape.recurrent
        what = "heads of recurrent layers" if part.heads else "channels of recurrent layers"
        _divides(shape, what, part.heads or part.inner, tensor)
        if part.kind == "gdn":
            _divides(shape, "key heads of recurrent layers", part.groups, tensor)
    if shape.experts and not split.expert_parallel:
        _divides(shape, "columns in an expert", shape.experts.size, tensor * split.data)
    _check_groups(shape, options)
    context = options.cache.context
    if tensor % context:
        refuse(
            f"EngineArgs.decode_context_parallel_size is {context}, which does not divide the "
            f"tensor_parallel_size of {tensor}; give one that does."
        )


def _check_groups(shape: ModelShape, options: MemoryOptions) -> None:
    """Parts that share a scale stay together on one GPU."""
    quantization, split = options.quantization, options.split
    group = quantization.group if quantization else 0
    if not group or quantization is None:
        return
    widths = {}
    # On one GPU vLLM pads a group that is not full (fp8_utils.py, validate_fp8_block_shape).
    if shape.experts and not split.expert_parallel and split.tensor * split.data > 1:
        widths["expert"] = shape.experts.size // (split.tensor * split.data)
    if shape.intermediate_size and not quantization.experts_only and split.tensor > 1:
        widths["feed-forward"] = shape.intermediate_size // split.tensor
    for what, width in widths.items():
        if width % group:
            refuse(
                f"{shape.name} is quantised in groups of {group}, and {split.tensor} GPUs would "
                f"get {width} columns of each {what}; give a tensor_parallel_size with which the "
                f"columns are a multiple of {group}."
            )


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
    elif free - requested < min(0, spare):
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
