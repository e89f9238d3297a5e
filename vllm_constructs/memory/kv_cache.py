"""The KV cache: the bytes that each layer keeps of a token, and vLLM's blocks of them.

Layers of one kind share block tables in groups of equal size. All groups take their blocks from
one pool, so a block has the same number of bytes in every group
(vllm/v1/core/kv_cache_planning.py, v1/kv_cache_interface.py).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import ceil

from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse

from .sizes import Mixer, Recurrent, Sizes
from .weights import groups_on, stages

DEFAULT_BLOCK = 16
LATENT_BLOCK = 64
_BYTES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2}
_PACKED = {"fp8_ds_mla": 656, "nvfp4_ds_mla": 352}
_FP8 = ("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc")
_PER_HEAD = {"int8_per_token_head": 1.0, "fp8_per_token_head": 1.0, "int4_per_token_head": 0.5}


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """The options of the engine that decide about the cache.

    Args:
        tensor: GPUs that split the key and value heads.
        pipeline: Stages that split the layers.
        context: GPUs that split the tokens of a request (`decode_context_parallel_size`).
        dtype: `kv_cache_dtype`, with `"auto"` resolved.
        dtype_bytes: Bytes of the model's data type.
        block_size: Tokens in a block. Default: that of the attention backend.
        hybrid: Whether groups of several kinds are managed separately.
        prefix_caching: Whether finished prompts stay in the cache.
        state_dtype: Data type of recurrent states; `"auto"` for that of the model.
        in_flight: Tokens that are scheduled and not finished.
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
    """What one layer keeps: blocks of `block_size` tokens in `page_bytes` bytes.

    Args:
        kind: `"full"`, `"sliding"`, `"chunked"` or `"recurrent"`.
        block_size: Tokens in a block.
        page_bytes: Bytes of a block in this layer.
        window: Window of a sliding layer or size of a chunk. Default: 0, none.
    """

    kind: str
    block_size: int
    page_bytes: int
    window: int = 0

    def blocks(self, length: int, options: CacheOptions) -> int:
        """Blocks of a request of `length` tokens."""
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
    """Layers that share a block table, each with its spec; a layer may have several specs."""

    specs: tuple[tuple[int, CacheSpec], ...]

    def blocks(self, length: int, options: CacheOptions) -> int:
        """Blocks of a request of `length` tokens in this group."""
        return max(spec.blocks(length, options) for spec in {spec for _, spec in self.specs})

    def page_bytes(self, layers: range) -> int:
        """Bytes of one block in all layers of the group that are among `layers`."""
        return sum(spec.page_bytes for layer, spec in self.specs if layer in layers)


@dataclass(frozen=True)
class KvCache:
    """The groups of a model's cache, on all stages.

    Args:
        groups: The groups.
        options: The options of the engine.
        stages: The layers of each stage.
        per_token: Bytes of one token on a GPU of each stage.
    """

    groups: tuple[CacheGroup, ...]
    options: CacheOptions
    stages: tuple[range, ...]
    per_token: tuple[int, ...]

    def bytes_per_block(self, stage: int) -> int:
        """Bytes of one block on a GPU of the stage; 0 if its layers keep nothing."""
        pages = [group.page_bytes(self.stages[stage]) for group in self.groups]
        return max(pages, default=0)

    def blocks(self, length: int) -> int:
        """Blocks of a request of `length` tokens in all groups."""
        return sum(group.blocks(length, self.options) for group in self.groups)

    def needed(self, length: int, stage: int = 0) -> int:
        """Bytes of a request of `length` tokens on a GPU of the stage."""
        return self.bytes_per_block(stage) * self.blocks(length)

    def longest(self, stage: int, available: int, most: int) -> int:
        """The longest request up to `most` tokens that fits beside the null block; 0 if none."""
        usable = available - self.bytes_per_block(stage)
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            if self.needed(middle, stage) <= usable:
                low = middle
            else:
                high = middle - 1
        return low


def token_bytes(shape: Sizes, options: CacheOptions, mixer: Mixer = "sliding") -> int:
    """Bytes that one layer keeps of one token on one GPU, without the key of an indexer.

    Args:
        shape: The sizes of the model.
        options: The options of the engine.
        mixer: The kind of the layer. Default: that of sliding layers, whose heads most models
            have in all layers.

    Raises:
        VllmConstructsError: The size of this data type with this attention is not known.
    """
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
        heads, size = shape.heads_of(mixer)
        heads = max(1, heads // options.tensor)
        if dtype in _BYTES or dtype in _FP8:
            return 2 * heads * size * (1 if dtype in _FP8 else _BYTES[dtype])
        if dtype in _PER_HEAD:
            # Each key and each value has a scale of four bytes.
            return int(heads * (2 * size * _PER_HEAD[dtype] + 8))
        if dtype.startswith("nvfp4"):
            return 2 * heads * (size // 2 + size // 16)
    attention = "latent attention" if shape.latent else "attention"
    return refuse(
        Problem(
            where="EngineArgs.kv_cache_dtype",
            text=f"is {escaped(repr(dtype))}, whose size with the {attention} of "
            f"{escaped(shape.name)} is not known",
            value=repr(dtype),
            advice="use 'auto' or 'fp8'",
            kind="not counted",
        )
    )


def state_bytes(shape: Sizes, options: CacheOptions) -> int:
    """Bytes of the state of one recurrent layer for one request on one GPU."""
    part = shape.recurrent
    if part is None:
        return 0
    ahead = options.speculative if part.kind in ("mamba2", "gdn") else 0
    history = (part.kernel - 1 + ahead) * _channels(part, options.tensor) * options.dtype_bytes
    dtype = part.state_dtype if options.state_dtype == "auto" else options.state_dtype
    each = options.dtype_bytes if dtype is None else _BYTES[dtype]
    if part.kind == "conv":
        return history
    if part.kind == "mamba1":
        return history + part.inner // options.tensor * part.state * each
    return history + part.heads // options.tensor * part.head_dim * part.state * each


def _channels(part: Recurrent, tensor: int) -> int:
    if part.kind in ("conv", "mamba1"):
        return part.inner // tensor
    return (part.inner + 2 * groups_on(part, tensor) * part.state) // tensor


def _block_size(shape: Sizes, options: CacheOptions, length: int) -> tuple[int, int]:
    """Tokens in a block of an attention layer, and bytes of a recurrent layer's page."""
    state = state_bytes(shape, options)
    default = LATENT_BLOCK if shape.latent else DEFAULT_BLOCK
    size = options.block_size or default
    if not shape.has_attention:
        return length, state
    if not state:
        return size, 0
    # A page of attention must hold a state, so that all pages have the same size.
    step = max(default, size, 128 if shape.latent else 0)
    page = token_bytes(shape, options)
    size = max(size, step * ceil(state / (step * page)))
    return size, size * page


def _specs(shape: Sizes, options: CacheOptions, length: int) -> list[tuple[int, CacheSpec]]:
    size, state = _block_size(shape, options, length)
    page = token_bytes(shape, options) * size if shape.has_attention else 0
    full_size = size
    if shape.full_key_value_heads or shape.full_head_dim:
        # Layers that keep less of a token have more tokens in a block, so that all pages have the
        # same size (unify_kv_cache_spec_page_size).
        small = token_bytes(shape, options, "full") * size
        largest = max(page, small)
        size, full_size, page = size * (largest // page), size * (largest // small), largest
    index = shape.latent.index_dim if shape.latent else 0
    specs = []
    for layer, mixer in enumerate(shape.mixers):
        if mixer in ("recurrent", "parallel"):
            tokens = size if options.prefix_caching else length
            specs.append((layer, CacheSpec("recurrent", tokens, state)))
        if mixer in ("full", "parallel"):
            specs.append((layer, CacheSpec("full", full_size, page)))
            if index:
                # 8 bits per value, and a scale of four bytes for every 128 values.
                key = index + ceil(index / 128) * 4
                specs.append((layer, CacheSpec("full", full_size, full_size * key)))
        elif mixer in ("sliding", "chunked"):
            specs.append((layer, CacheSpec(mixer, size, page, shape.window)))
    return specs


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
def cache_of(shape: Sizes, options: CacheOptions, length: int) -> KvCache:
    """The cache of a model.

    Args:
        shape: The sizes of the model.
        options: The options of the engine.
        length: Tokens of the longest request.

    Raises:
        VllmConstructsError: The size of a token is not known for the data type.
    """
    specs = _specs(shape, options, length)
    parts = stages(shape.layers, options.pipeline)
    per_token = [
        sum(
            spec.page_bytes // spec.block_size
            for layer, spec in specs
            if layer in part and spec.kind != "recurrent"
        )
        for part in parts
    ]
    return KvCache(_groups(specs, options), options, parts, tuple(per_token))
