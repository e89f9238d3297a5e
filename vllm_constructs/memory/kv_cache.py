"""The KV cache: what each layer keeps of a token, and how vLLM makes blocks of that.

Layers of one kind share block tables in groups of equal size, and all groups take their blocks
from one pool, so a block has the same bytes everywhere (vllm/v1/core/kv_cache_planning.py,
v1/kv_cache_interface.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

from vllm_constructs.errors import NotCountedError, refuse

from .shapes import ModelShape, Recurrent
from .weights import groups_on, stages

DEFAULT_BLOCK = 16
LATENT_BLOCK = 64
_BYTES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2}
_PACKED = {"fp8_ds_mla": 656, "nvfp4_ds_mla": 352}
_FP8 = ("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc")
_PER_HEAD = {"int8_per_token_head": 1.0, "fp8_per_token_head": 1.0, "int4_per_token_head": 0.5}


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """What the engine's options say about the cache.

    Args:
        tensor: GPUs that split the key and value heads.
        pipeline: Stages that split the layers.
        context: GPUs that split the tokens of a request (`decode_context_parallel_size`).
        dtype: `kv_cache_dtype`, `"auto"` resolved.
        dtype_bytes: Bytes of the model's data type.
        block_size: Tokens in a block. Default: what the attention backend takes.
        hybrid: Groups of several kinds are managed apart.
        prefix_caching: Finished prompts stay in the cache.
        state_dtype: Data type of recurrent states, `"auto"` for the model's own.
        in_flight: Tokens scheduled and not settled yet.
        speculative: Speculative tokens.
    """

    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    dtype: str = "bfloat16"
    dtype_bytes: int = 2
    block_size: int | None = None
    hybrid: bool = True
    prefix_caching: bool = True
    state_dtype: str = "auto"
    in_flight: int = 16384
    speculative: int = 0


@dataclass(frozen=True)
class CacheSpec:
    """What one layer keeps: a block of so many tokens, in so many bytes."""

    kind: str
    block_size: int
    page_bytes: int
    window: int = 0

    def blocks(self, length: int, options: CacheOptions) -> int:
        """Blocks that a request of `length` tokens takes."""
        if self.kind == "recurrent":
            return (2 if options.prefix_caching else 1) + options.speculative
        if self.kind == "sliding":
            kept = min(self.window - 1 + options.in_flight, length)
            return ceil(kept / self.block_size) + 1
        if self.kind == "chunked":
            return ceil(min(self.window + options.in_flight, length) / self.block_size)
        return ceil(ceil(length / options.context) / self.block_size)


@dataclass(frozen=True)
class CacheGroup:
    """Layers that share a block table; a layer may be there with more than one cache."""

    specs: tuple[tuple[int, CacheSpec], ...]

    def blocks(self, length: int, options: CacheOptions) -> int:
        """Blocks that a request of `length` tokens takes of this group."""
        return max(spec.blocks(length, options) for spec in {spec for _, spec in self.specs})

    def page_bytes(self, layers: range) -> int:
        """Bytes of one block in all of the group's layers on a stage."""
        return sum(spec.page_bytes for layer, spec in self.specs if layer in layers)


@dataclass(frozen=True)
class KvCache:
    """The groups of a model's cache, on all stages."""

    groups: tuple[CacheGroup, ...]
    options: CacheOptions
    stages: tuple[range, ...]
    per_token: tuple[int, ...]

    def bytes_per_block(self, stage: int) -> int:
        """Bytes of one block on a GPU of the stage; 0 where its layers keep nothing."""
        pages = [group.page_bytes(self.stages[stage]) for group in self.groups]
        return max(pages, default=0)

    def blocks(self, length: int) -> int:
        """Blocks that a request of `length` tokens takes of the pool."""
        return sum(group.blocks(length, self.options) for group in self.groups)

    def needed(self, length: int, stage: int = 0) -> int:
        """Bytes that a request of `length` tokens takes on a GPU of the stage."""
        return self.bytes_per_block(stage) * self.blocks(length)

    def longest(self, stage: int, available: int, most: int) -> int:
        """The longest request up to `most` tokens that fits beside the null block; 0 if none."""
        room = available - self.bytes_per_block(stage)
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            if self.needed(middle, stage) <= room:
                low = middle
            else:
                high = middle - 1
        return low


def token_bytes(shape: ModelShape, options: CacheOptions) -> int:
    """Bytes that one layer keeps of one token on one GPU, without an indexer's key."""
    dtype = options.dtype
    if shape.latent:
        if shape.latent.index_dim and dtype in _FP8:
            dtype = "fp8_ds_mla"
        if dtype in _PACKED:
            return _PACKED[dtype]
        if dtype in _BYTES or dtype in _FP8:
            size = shape.latent.kv_rank + shape.latent.rope_dim
            return size * (1 if dtype in _FP8 else _BYTES[dtype])
    elif dtype not in _PACKED:
        heads, size = max(1, shape.num_key_value_heads // options.tensor), shape.head_dim
        if dtype in _BYTES or dtype in _FP8:
            return 2 * heads * size * (1 if dtype in _FP8 else _BYTES[dtype])
        if dtype in _PER_HEAD:
            # A scale of four bytes stands beside each key and each value.
            return int(heads * (2 * size * _PER_HEAD[dtype] + 8))
        if dtype.startswith("nvfp4"):
            return 2 * heads * (size // 2 + size // 16)
    attention = "latent attention" if shape.latent else "its attention"
    return refuse(
        f"EngineArgs.kv_cache_dtype is {dtype!r}, and how much that takes with {attention} of "
        f"{shape.name} is not known; take 'auto' or 'fp8'.",
        NotCountedError,
    )


def state_bytes(shape: ModelShape, options: CacheOptions) -> int:
    """Bytes of the state of one recurrent layer for one request on one GPU."""
    part = shape.recurrent
    if part is None:
        return 0
    ahead = options.speculative if part.kind in ("mamba2", "gdn") else 0
    history = (part.kernel - 1 + ahead) * _channels(part, options.tensor) * options.dtype_bytes
    asked = part.state_dtype if options.state_dtype == "auto" else options.state_dtype
    each = options.dtype_bytes if asked is None else _BYTES[asked]
    if part.kind == "conv":
        return history
    if part.kind == "mamba1":
        return history + part.inner // options.tensor * part.state * each
    return history + part.heads // options.tensor * part.head_dim * part.state * each


def _channels(part: Recurrent, tensor: int) -> int:
    if part.kind in ("conv", "mamba1"):
        return part.inner // tensor
    return (part.inner + 2 * groups_on(part, tensor) * part.state) // tensor


def _block_size(shape: ModelShape, options: CacheOptions, length: int) -> tuple[int, int]:
    """Tokens in a block of attention, and bytes of a recurrent layer's page."""
    state = state_bytes(shape, options)
    least = LATENT_BLOCK if shape.latent else DEFAULT_BLOCK
    size = options.block_size or least
    if not shape.has_attention:
        return length, state
    if not state:
        return size, 0
    # The page of attention must hold a state, so that all pages can have one size.
    step = max(least, size, 128 if shape.latent else 0)
    page = token_bytes(shape, options)
    size = max(size, step * ceil(state / (step * page)))
    return size, size * page


def _specs(shape: ModelShape, options: CacheOptions, length: int) -> list[tuple[int, CacheSpec]]:
    size, state = _block_size(shape, options, length)
    page = token_bytes(shape, options) * size if shape.has_attention else 0
    index = shape.latent.index_dim if shape.latent else 0
    found = []
    for layer, mixer in enumerate(shape.mixers):
        if mixer in ("recurrent", "parallel"):
            tokens = size if options.prefix_caching else length
            found.append((layer, CacheSpec("recurrent", tokens, state)))
        if mixer in ("full", "parallel"):
            found.append((layer, CacheSpec("full", size, page)))
            if index:
                # Eight bits a value, and a scale of four bytes for every 128.
                key = index + ceil(index / 128) * 4
                found.append((layer, CacheSpec("full", size, size * key)))
        elif mixer in ("sliding", "chunked"):
            found.append((layer, CacheSpec(mixer, size, page, shape.window)))
    return found


def _groups(specs: list[tuple[int, CacheSpec]], options: CacheOptions) -> tuple[CacheGroup, ...]:
    kinds = {spec.kind for _, spec in specs}
    if not options.hybrid and "full" in kinds:
        specs = [
            (layer, replace(spec, kind="full", window=0) if spec.window else spec)
            for layer, spec in specs
        ]
        kinds = {spec.kind for _, spec in specs}
    if len(kinds) <= 1:
        return (CacheGroup(tuple(specs)),) if specs else ()
    alike: dict[CacheSpec, list[tuple[int, CacheSpec]]] = {}
    for layer, spec in specs:
        alike.setdefault(spec, []).append((layer, spec))
    counts = [len(members) for members in alike.values()]
    size = max(counts) if max(counts) < 1.5 * min(counts) else min(counts)
    return tuple(
        CacheGroup(tuple(members[part :: ceil(len(members) / size)]))
        for members in alike.values()
        for part in range(ceil(len(members) / size))
    )


@lru_cache(maxsize=1024)
def kv_cache(shape: ModelShape, options: CacheOptions, length: int) -> KvCache:
    """The cache of a model; `length` is the longest request, in tokens."""
    specs = _specs(shape, options, length)
    parts = stages(shape.layers, options.pipeline)
    per_token = [
        sum(s.page_bytes // s.block_size for layer, s in specs if layer in part and not _state(s))
        for part in parts
    ]
    return KvCache(_groups(specs, options), options, parts, tuple(per_token))


def _state(spec: CacheSpec) -> bool:
    return spec.kind == "recurrent"
