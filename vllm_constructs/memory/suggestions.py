"""Suggestions: the smallest changes with which a model fits, with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from math import ceil
from typing import Literal

from vllm_constructs.accelerators.amd import AmdGpu
from vllm_constructs.accelerators.cpu import Cpu
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.accelerators.intel import Gaudi, IntelGpu
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.accelerators.nvidia import (
    MigSlice,
    NvidiaGpu,
    WholeGpu,
    capability,
    catalog,
)
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import VllmConstructsError, spelt
from vllm_constructs.releases.release import VllmRelease

from . import compute
from .activations import MIB
from .budget import MemoryBudget, budget_of
from .compute import AMPERE
from .options import MemoryOptions, cuda_memory, loaded_shape, resolve
from .quantization import METHODS
from .sizes import Sizes

_COUNTS = (1, 2, 4, 8, 16)
_ROUND = 64 * MIB


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One change with which the model fits.

    Args:
        kind: The option that changes.
        value: The value with which the model fits.
        change: The change with its numbers, as in the text of a `Problem`.
    """

    kind: Literal[
        "gpu_memory_utilization",
        "kv_cache_memory_bytes",
        "max_model_len",
        "max_num_seqs",
        "kv_cache_dtype",
        "quantization",
        "gpus",
        "gpu",
    ]
    value: int | float | str
    change: str

    @property
    def text(self) -> str:
        """The change, spelled for a Python app."""
        return spelt(self.change)


@dataclass(frozen=True)
class PortableEngine:
    """An engine that may run on another GPU.

    Args:
        engine: Its flags.
        release: The vLLM release.
        env: Environment variables of the container.
        is_shared: Whether the flags are for a GPU that pods share.
    """

    engine: EngineArgs
    release: VllmRelease
    env: Mapping[str, str]
    is_shared: bool

    @property
    def flags(self) -> EngineArgs:
        """The flags without those for one GPU: its split, and its share of the memory."""
        # A copy, since a new object would warn a second time.
        flags = copy(self.engine)
        object.__setattr__(flags, "tensor_parallel_size", None)
        if self.is_shared:
            object.__setattr__(flags, "gpu_memory_utilization", None)
        return flags


def _fitting(shape: Sizes, options: MemoryOptions) -> MemoryBudget | None:
    """The budget with these options if the model fits with the whole margin."""
    try:
        budget = budget_of(shape, options)
    except VllmConstructsError:
        return None
    return budget if budget.spare >= budget.margin else None


def suggest(
    shape: Sizes,
    gpu: Gpu,
    engine: EngineArgs,
    release: VllmRelease,
    env: Mapping[str, str],
) -> tuple[Suggestion, ...]:
    """The smallest change of each kind with which the model fits.

    Args:
        shape: The sizes of the model.
        gpu: GPU of the pod.
        engine: Flags of the engine.
        release: The vLLM release.
        env: Environment variables of the container.
    """
    options = resolve(shape, gpu, engine, release, env)
    portable = PortableEngine(engine, release, env, is_shared=gpu.share < 1)
    loaded = loaded_shape(shape, engine)
    # The KV cache of CPUs is an option of theirs, and no flag.
    groups = [] if isinstance(gpu, Cpu) else [_share(loaded, gpu, options), _cache(loaded, options)]
    groups.append(_shorter(loaded, options))
    groups.append(_fewer(loaded, options))
    if (capability(gpu) or AMPERE) >= AMPERE:
        # Before Ampere there are no kernels for a cache of 8-bit floats.
        groups += [_smaller_cache(loaded, options), _smaller_weights(loaded, options)]
    groups += [_more(shape, gpu, portable), _other(shape, gpu, portable)]
    firsts = (next(group, None) for group in groups)
    return tuple(one for one in firsts if one is not None)


def _share(shape: Sizes, gpu: Gpu, options: MemoryOptions) -> Iterator[Suggestion]:
    """The nearest share of the memory: a larger one, or a smaller one if less is free."""
    if gpu.share < 1 or options.kv_cache_memory is not None:
        return
    shares = (percent / 100 for percent in range(5, 98))
    for share in sorted(shares, key=lambda share: (abs(share - options.utilization), share)):
        budget = _fitting(shape, replace(options, utilization=share))
        if budget:
            change = _with_requests(f"{{gpu_memory_utilization={share}}}", budget)
            yield Suggestion(kind="gpu_memory_utilization", value=share, change=change)


def _cache(shape: Sizes, options: MemoryOptions) -> Iterator[Suggestion]:
    """The KV cache that one request needs, or that the GPU has room for, as a round number."""
    if options.kv_cache_memory is None:
        return
    budget = budget_of(shape, options)
    needed = max(max(one.needed + one.bytes_per_block, one.least) for one in budget.stages)
    room = options.kv_cache_memory + budget.spare - budget.margin
    size = ceil(needed / _ROUND) if needed > options.kv_cache_memory else room // _ROUND
    better = _fitting(shape, replace(options, kv_cache_memory=size * _ROUND)) if size > 0 else None
    if better:
        value = f"{size * _ROUND // MIB}M"
        change = _with_requests(f"{{kv_cache_memory_bytes={value!r}}}", better)
        yield Suggestion(kind="kv_cache_memory_bytes", value=value, change=change)


def _shorter(shape: Sizes, options: MemoryOptions) -> Iterator[Suggestion]:
    """Fewer tokens, as a round number."""
    if options.max_model_len is None:
        return
    low, high = 0, options.max_model_len - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _fitting(shape, replace(options, max_model_len=middle)):
            low = middle
        else:
            high = middle - 1
    step = next((step for step in (1024, 256, 16) if low >= 4 * step), 1)
    length = low // step * step
    if length:
        yield Suggestion(kind="max_model_len", value=length, change=f"{{max_model_len={length}}}")


def _fewer(shape: Sizes, options: MemoryOptions) -> Iterator[Suggestion]:
    """Fewer requests at once, where each one needs a block of its own."""
    low, high = 0, options.least_blocks - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _fitting(shape, replace(options, least_blocks=middle)):
            low = middle
        else:
            high = middle - 1
    requests = low // 8 * 8 or low
    if requests > 0:
        change = f"{{max_num_seqs={requests}}}"
        yield Suggestion(kind="max_num_seqs", value=requests, change=change)


def _smaller_cache(shape: Sizes, options: MemoryOptions) -> Iterator[Suggestion]:
    cache = replace(options.cache, dtype="fp8")
    if not shape.has_attention or options.cache.dtype not in ("bfloat16", "float16", "float32"):
        return
    budget = _fitting(shape, replace(options, cache=cache))
    if budget:
        change = _with_requests("{kv_cache_dtype='fp8'}", budget)
        yield Suggestion(kind="kv_cache_dtype", value="fp8", change=change)


def _smaller_weights(shape: Sizes, options: MemoryOptions) -> Iterator[Suggestion]:
    if options.quantization is not None:
        return
    budget = _fitting(shape, replace(options, quantization=METHODS["fp8"]))
    if budget:
        change = _with_requests("{quantization='fp8'}", budget)
        yield Suggestion(kind="quantization", value="fp8", change=change)


def _elsewhere(shape: Sizes, gpu: Gpu, portable: PortableEngine) -> MemoryBudget | None:
    """The budget on another GPU, with the engine's defaults there, if the model fits."""
    if compute.problem(gpu, portable.flags, portable.release, shape) is not None:
        return None
    try:
        options = resolve(shape, gpu, portable.flags, portable.release, portable.env)
    except VllmConstructsError:
        return None
    return _fitting(loaded_shape(shape, portable.flags), options)


def _more(shape: Sizes, gpu: Gpu, portable: PortableEngine) -> Iterator[Suggestion]:
    """More GPUs of the same product."""
    if not isinstance(gpu, (WholeGpu, AmdGpu, IntelGpu, Gaudi)) and not (
        isinstance(gpu, DeviceClaim) and gpu.parallel
    ):
        return
    for count in _COUNTS:
        if gpu.count < count <= gpu.most:
            budget = _elsewhere(shape, replace(gpu, count=count), portable)
            if budget:
                change = _with_requests(f"{count} x {gpu.product}", budget)
                yield Suggestion(kind="gpus", value=count, change=change)


def _other(shape: Sizes, gpu: Gpu, portable: PortableEngine) -> Iterator[Suggestion]:
    """A larger slice, or whole GPUs with more memory: the fewest first, then the smallest."""
    if isinstance(gpu, MigSlice) and gpu.product:
        profiles = catalog()[gpu.product]["mig"]
        slices = [replace(gpu, profile=profile) for profile in profiles]
        for part in sorted(slices, key=lambda part: (cuda_memory(part), part.profile)):
            budget = _elsewhere(shape, part, portable)
            if budget:
                change = _with_requests(f"{part.profile} of {gpu.product}", budget)
                yield Suggestion(kind="gpu", value=part.profile, change=change)
    if not isinstance(gpu, NvidiaGpu):
        # Another vendor's needs another image.
        return
    known = sorted(catalog(), key=lambda name: (catalog()[name]["memory_mib"], name))
    for count in _COUNTS:
        for product in known:
            if not gpu.count <= count <= catalog()[product]["per_node"]:
                continue
            other = WholeGpu(product, count=count)
            if other != gpu:
                budget = _elsewhere(shape, other, portable)
                if budget:
                    change = _with_requests(f"{count} x {product}", budget)
                    yield Suggestion(kind="gpu", value=product, change=change)


def _with_requests(change: str, budget: MemoryBudget) -> str:
    return f"{change} ({budget.concurrency:.1f} requests at once)"
