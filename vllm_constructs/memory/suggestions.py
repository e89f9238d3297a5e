"""What to change so that a model fits: the nearest things that do, with their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import Literal

from vllm_constructs.accelerators.nvidia import MigSlice, WholeGpu, catalogue
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import VllmConstructsError
from vllm_constructs.releases.release import VllmRelease

from .budget import MemoryBudget, budget
from .options import Gpu, MemoryOptions, cuda_memory, resolve
from .quantization import METHODS
from .shapes import ModelShape

_COUNTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One change with which the model fits.

    Args:
        kind: What is changed.
        value: The value that fits.
        text: The change in words, with its numbers.
    """

    kind: Literal[
        "gpu_memory_utilization", "max_model_len", "kv_cache_dtype", "quantization", "gpus", "gpu"
    ]
    value: int | float | str
    text: str


@dataclass(frozen=True)
class Asked:
    """What was asked for, whatever GPU it runs on."""

    engine: EngineArgs
    release: VllmRelease
    is_shared: bool

    @property
    def engine_for_any_gpu(self) -> EngineArgs:
        """The engine without what is said for one GPU: its split, and its share of the memory."""
        # A copy, since a new one would warn a second time.
        found = copy(self.engine)
        object.__setattr__(found, "tensor_parallel_size", None)
        if self.is_shared:
            object.__setattr__(found, "gpu_memory_utilization", None)
        return found


def _tried(shape: ModelShape, options: MemoryOptions) -> MemoryBudget | None:
    """The budget, where the model fits with these options whatever the margin."""
    try:
        found = budget(shape, options)
    except VllmConstructsError:
        return None
    return found if found.spare >= found.margin else None


def suggestions(
    shape: ModelShape, gpu: Gpu, engine: EngineArgs, release: VllmRelease
) -> tuple[Suggestion, ...]:
    """Changes that make the model fit, the smallest first, one of each kind."""
    options = resolve(shape, gpu, engine, release)
    asked = Asked(engine, release, is_shared=gpu.share < 1)
    groups = [_share(shape, gpu, options), _shorter(shape, options)]
    if not (gpu.product or "").startswith("Tesla"):
        # Volta and Turing have no kernels for 8-bit floats.
        groups += [_smaller_cache(shape, options), _smaller_weights(shape, options)]
    groups += [_more(shape, gpu, asked), _other(shape, gpu, asked)]
    firsts = (next(group, None) for group in groups)
    return tuple(one for one in firsts if one is not None)


def _share(shape: ModelShape, gpu: Gpu, options: MemoryOptions) -> Iterator[Suggestion]:
    """The nearest share of the memory: a larger one, or a smaller where so much is never free."""
    if gpu.share < 1 or options.kv_cache_memory is not None:
        return
    shares = (percent / 100 for percent in range(5, 98))
    for share in sorted(shares, key=lambda one: (abs(one - options.utilization), one)):
        found = _tried(shape, replace(options, utilization=share))
        if found:
            text = _with(f"gpu_memory_utilization={share}", found)
            yield Suggestion(kind="gpu_memory_utilization", value=share, text=text)


def _shorter(shape: ModelShape, options: MemoryOptions) -> Iterator[Suggestion]:
    """Fewer tokens, in steps that people write."""
    if options.max_model_len is None:
        return
    low, high = 0, options.max_model_len - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _tried(shape, replace(options, max_model_len=middle)):
            low = middle
        else:
            high = middle - 1
    step = next((one for one in (1024, 256, 16) if low >= 4 * one), 1)
    length = low // step * step
    if length:
        yield Suggestion(kind="max_model_len", value=length, text=f"max_model_len={length}")


def _smaller_cache(shape: ModelShape, options: MemoryOptions) -> Iterator[Suggestion]:
    cache = replace(options.cache, dtype="fp8")
    if not shape.has_attention or options.cache.dtype not in ("bfloat16", "float16", "float32"):
        return
    found = _tried(shape, replace(options, cache=cache))
    if found:
        text = _with("kv_cache_dtype='fp8'", found)
        yield Suggestion(kind="kv_cache_dtype", value="fp8", text=text)


def _smaller_weights(shape: ModelShape, options: MemoryOptions) -> Iterator[Suggestion]:
    if options.quantization is not None:
        return
    found = _tried(shape, replace(options, quantization=METHODS["fp8"]))
    if found:
        text = _with("quantization='fp8'", found)
        yield Suggestion(kind="quantization", value="fp8", text=text)


def _elsewhere(shape: ModelShape, gpu: Gpu, asked: Asked) -> MemoryBudget | None:
    """The budget on other GPUs, with the defaults that the engine would have there."""
    try:
        options = resolve(shape, gpu, asked.engine_for_any_gpu, asked.release)
    except VllmConstructsError:
        return None
    return _tried(shape, options)


def _more(shape: ModelShape, gpu: Gpu, asked: Asked) -> Iterator[Suggestion]:
    if not isinstance(gpu, WholeGpu):
        return
    for count in _COUNTS:
        if count > gpu.count:
            found = _elsewhere(shape, replace(gpu, count=count), asked)
            if found:
                yield Suggestion(
                    kind="gpus", value=count, text=_with(f"{count} x {gpu.product}", found)
                )


def _other(shape: ModelShape, gpu: Gpu, asked: Asked) -> Iterator[Suggestion]:
    """A larger slice, or whole GPUs with more memory: the smallest first, then several."""
    if isinstance(gpu, MigSlice) and gpu.product:
        slices = [replace(gpu, profile=one) for one in catalogue()[gpu.product]["mig"]]
        for part in sorted(slices, key=lambda one: (cuda_memory(one), one.profile)):
            found = _elsewhere(shape, part, asked)
            if found:
                text = _with(f"{part.profile} of {gpu.product}", found)
                yield Suggestion(kind="gpu", value=part.profile, text=text)
    known = sorted(catalogue(), key=lambda one: (catalogue()[one]["memory_mib"], one))
    for count in _COUNTS:
        for product in known:
            other = WholeGpu(product, count=count)
            if count >= gpu.count and other != gpu:
                found = _elsewhere(shape, other, asked)
                if found:
                    text = _with(f"{count} x {product}", found)
                    yield Suggestion(kind="gpu", value=product, text=text)


def _with(change: str, found: MemoryBudget) -> str:
    return f"{change} ({found.concurrency:.1f} requests at once)"
