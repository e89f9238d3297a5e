"""Split: the numbers of GPUs over which vLLM can split a model.

The checks of vLLM: heads and columns in vllm/config/model.py (`verify_with_parallel_config`) and
vllm/model_executor/layers/linear.py, stages in vllm/distributed/utils.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vllm_constructs.errors import Problem, escaped, refuse

from .options import MemoryOptions
from .sizes import Sizes


def check_split(shape: Sizes, options: MemoryOptions) -> None:
    """Reject a split that vLLM rejects, and name the nearest smaller one that it accepts.

    Args:
        shape: The sizes of the model.
        options: The options of the engine.

    Raises:
        VllmConstructsError: vLLM would not start with this split.
    """
    split = options.split
    problem = next(_pipeline(shape, options), None) or next(_context(shape, options), None)
    if problem is not None:
        refuse(problem)
    reason = next(_tensor(shape, options), "")
    if reason:
        sizes = range(split.tensor - 1, 0, -1)
        others = ((size, replace(options, split=replace(split, tensor=size))) for size in sizes)
        possible = [size for size, other in others if not any(_tensor(shape, other))] or [1]
        refuse(Problem(text=reason, advice=_smaller(options, possible), kind="does not fit"))


def _smaller(options: MemoryOptions, possible: Sequence[int]) -> str:
    """The largest smaller split, as advice.

    Args:
        options: The options of the engine.
        possible: The tensor parallel sizes that vLLM accepts, the largest first.
    """
    split = options.split
    if options.uses_all:
        best = next((size for size in possible if split.tensor % size == 0), 1)
        data = split.data * split.tensor // best
        return f"give {{tensor_parallel_size={best}}} and {{data_parallel_size={data}}}"
    gpus = possible[0] * split.pipeline * split.data
    return f"give {{tensor_parallel_size={possible[0]}}}, on {gpus} GPU{'s' * (gpus > 1)}"


def _pipeline(shape: Sizes, options: MemoryOptions) -> Iterator[Problem]:
    stages = options.split.pipeline
    if stages > shape.layers:
        yield Problem(
            text=f"{escaped(shape.name)} has {shape.layers} layers, too few for {stages} stages",
            advice=f"give a {{pipeline_parallel_size}} of at most {shape.layers}",
            kind="does not fit",
        )


def _context(shape: Sizes, options: MemoryOptions) -> Iterator[Problem]:
    """Problems of decode context parallelism.

    GPUs that would have the same heads can split the tokens of a request instead.
    """
    tensor, context = options.split.tensor, options.cache.context

    def problem(text: str, advice: str) -> Problem:
        return Problem(
            where="EngineArgs.decode_context_parallel_size",
            text=f"is {context}, {text}",
            value=str(context),
            advice=advice,
            kind="does not fit",
        )

    if tensor % context:
        yield problem(
            f"which does not divide the {{tensor_parallel_size}} of {tensor}", "give a divisor"
        )
    heads = shape.num_key_value_heads
    if context == 1 or not heads or shape.latent:
        return
    most = max(1, tensor // heads)
    if context > most:
        yield problem(
            f"but {tensor} GPUs have each of the {heads} key and value heads of "
            f"{escaped(shape.name)} only {_times(most)}, and the tokens are split over GPUs with "
            "the same heads",
            f"give at most {most}, or more GPUs",
        )
    queries = shape.num_attention_heads // heads
    if queries % context:
        yield problem(
            f"which does not divide the {queries} query heads that {escaped(shape.name)} has for "
            "each key and value head",
            "give a divisor",
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _tensor(shape: Sizes, options: MemoryOptions) -> Iterator[str]:
    """The reasons why the layers cannot be split like that, as in the text of a `Problem`."""
    split = options.split
    tensor = split.tensor
    yield from _divides(shape, "attention heads", shape.num_attention_heads, tensor)
    for kept in sorted({shape.heads_of("sliding")[0], shape.heads_of("full")[0]}):
        if kept and not shape.latent and max(kept, tensor) % min(kept, tensor):
            yield (
                f"{escaped(shape.name)} has {kept} key and value heads, which cannot be split over "
                f"{tensor} GPUs or repeated on them evenly"
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


def _divides(shape: Sizes, what: str, count: int, gpus: int) -> Iterator[str]:
    if count % gpus:
        yield f"{escaped(shape.name)} has {count} {what}, which cannot be split over {gpus} GPUs"


def _scales(shape: Sizes, options: MemoryOptions) -> Iterator[str]:
    """The reasons why groups of parameters that share a scale would be split."""
    quantization, split = options.quantization, options.split
    group = quantization.group if quantization else 0
    if not group or quantization is None:
        return
    widths = {}
    # On one GPU, vLLM pads an incomplete group (fp8_utils.py, validate_fp8_block_shape).
    if shape.experts and not split.expert_parallel and split.tensor * split.data > 1:
        widths["expert"] = shape.experts.size // (split.tensor * split.data)
    if shape.intermediate_size and not quantization.experts_only and split.tensor > 1:
        widths["feed-forward"] = shape.intermediate_size // split.tensor
    for what, width in widths.items():
        if width % group:
            yield (
                f"{escaped(shape.name)} is quantized in groups of {group}, but each of "
                f"{split.tensor} GPUs would have {width} columns of each {what}, which is not a "
                "multiple of that"
            )
