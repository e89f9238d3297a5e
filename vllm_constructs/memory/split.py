"""Split: over how many GPUs vLLM can spread a model.

What it checks: heads and columns in vllm/config/model.py (`verify_with_parallel_config`) and
vllm/model_executor/layers/linear.py, stages in vllm/distributed/utils.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vllm_constructs.errors import refuse

from .options import MemoryOptions
from .shapes import ModelShape


def check_split(shape: ModelShape, options: MemoryOptions) -> None:
    """Refuse a split that vLLM refuses, with the nearest smaller one that it takes.

    Args:
        shape: The model's sizes.
        options: The engine's options.

    Raises:
        VllmConstructsError: vLLM would not start with this split.
    """
    split = options.split
    reason = next(_pipeline(shape, options), "") or next(_context(shape, options), "")
    if reason:
        refuse(f"{reason}.")
    reason = next(_tensor(shape, options), "")
    if reason:
        sizes = range(split.tensor - 1, 0, -1)
        tried = ((size, replace(options, split=replace(split, tensor=size))) for size in sizes)
        best = next((size for size, one in tried if not any(_tensor(shape, one))), 1)
        gpus = best * split.pipeline * split.data
        refuse(
            f"{reason}; give a tensor_parallel_size of {best}, on {gpus} "
            f"{'GPU' if gpus == 1 else 'GPUs'}."
        )


def _pipeline(shape: ModelShape, options: MemoryOptions) -> Iterator[str]:
    stages = options.split.pipeline
    if stages > shape.layers:
        yield (
            f"{shape.name} has {shape.layers} layers, which cannot be {stages} stages; give a "
            f"pipeline_parallel_size of at most {shape.layers}"
        )


def _context(shape: ModelShape, options: MemoryOptions) -> Iterator[str]:
    """GPUs that would hold the same heads may split the tokens of a request instead."""
    tensor, context = options.split.tensor, options.cache.context
    name = f"EngineArgs.decode_context_parallel_size is {context}"
    if tensor % context:
        yield (
            f"{name}, which does not divide the tensor_parallel_size of {tensor}; give one that "
            "does"
        )
    heads = shape.num_key_value_heads
    if context == 1 or not heads or shape.latent:
        return
    if context > max(1, tensor // heads):
        yield (
            f"{name}, but {tensor} GPUs hold each of the {heads} key and value heads of "
            f"{shape.name} only {_times(max(1, tensor // heads))}, and GPUs that hold the same "
            f"heads split the tokens; give at most {max(1, tensor // heads)}, or more GPUs"
        )
    queries = shape.num_attention_heads // heads
    if queries % context:
        yield (
            f"{name}, which does not divide the {queries} query heads that {shape.name} has for "
            "each key and value head; give one that does"
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _tensor(shape: ModelShape, options: MemoryOptions) -> Iterator[str]:
    """Why the layers cannot be split like that."""
    split = options.split
    tensor = split.tensor
    heads, kept = shape.num_attention_heads, shape.num_key_value_heads
    yield from _divides(shape, "attention heads", heads, tensor)
    if kept and not shape.latent and max(kept, tensor) % min(kept, tensor):
        yield (
            f"{shape.name} has {kept} key and value heads, which {tensor} GPUs can neither split "
            "nor repeat evenly"
        )
    yield from _divides(shape, "columns in a feed-forward", shape.intermediate_size, tensor)
    if shape.recurrent:
        part = shape.recurrent
        what = "heads of recurrent layers" if part.heads else "channels of recurrent layers"
        yield from _divides(shape, what, part.heads or part.inner, tensor)
        if part.kind == "gdn":
            yield from _divides(shape, "key heads of recurrent layers", part.groups, tensor)
    if shape.experts and not split.expert_parallel:
        size = shape.experts.size
        yield from _divides(shape, "columns in an expert", size, tensor * split.data)
    yield from _scales(shape, options)


def _divides(shape: ModelShape, what: str, count: int, gpus: int) -> Iterator[str]:
    if count % gpus:
        yield f"{shape.name} has {count} {what}, which cannot be split over {gpus} GPUs"


def _scales(shape: ModelShape, options: MemoryOptions) -> Iterator[str]:
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
            yield (
                f"{shape.name} is quantised in groups of {group}, and {split.tensor} GPUs would "
                f"get {width} columns of each {what}, which is no multiple of that"
            )
