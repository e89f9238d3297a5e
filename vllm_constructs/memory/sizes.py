"""Sizes: the kind and the size of each layer of a model, which make up its `ModelShape`."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse

from .quantization import Quantization

Mixer: TypeAlias = Literal["full", "sliding", "chunked", "recurrent", "parallel", "shared", "none"]
FeedForward: TypeAlias = Literal["dense", "experts", "none"]

MIXERS = ("full", "sliding", "chunked", "recurrent", "parallel", "shared", "none")
FEED_FORWARDS = ("dense", "experts", "none")
_MOST = 2**50


def _sizes(value: object, where: str, *, zero: tuple[str, ...] = ()) -> None:
    """Reject a size that is not an integer; only those in `zero` may be 0."""
    for field in fields(value):  # type: ignore[arg-type]  # every caller is a dataclass
        size = getattr(value, field.name)
        if field.type == "int":
            low = 0 if field.name in zero else 1
            require.integer(f"{where}.{field.name}", size, low, _MOST)
        elif field.type == "bool":
            require.boolean(f"{where}.{field.name}", size)


@dataclass(frozen=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (MLA): one compressed vector per token for all heads.

    Args:
        kv_rank: `kv_lora_rank`, the size of the compressed keys and values in the cache.
        rope_dim: `qk_rope_head_dim`, the size of the rotary part of the key in the cache.
        nope_dim: `qk_nope_head_dim` of a head.
        v_dim: `v_head_dim` of a head.
        q_rank: `q_lora_rank`. Default: 0, queries are not compressed.
        index_heads: `index_n_heads` of sparse attention. Default: 0, no indexer.
        index_dim: `index_head_dim`, the size of the key that the indexer keeps of each token.
            Default: 0, no indexer.

    Raises:
        VllmConstructsError: A size is not an integer or out of range.
    """

    kv_rank: int
    rope_dim: int
    nope_dim: int
    v_dim: int
    q_rank: int = 0
    index_heads: int = 0
    index_dim: int = 0

    def __post_init__(self) -> None:
        _sizes(self, "LatentAttention", zero=("q_rank", "index_heads", "index_dim"))


@dataclass(frozen=True, kw_only=True)
class Experts:
    """The experts of a mixture-of-experts layer.

    Args:
        count: Routed experts.
        per_token: Experts that process one token.
        size: Width of one expert (`moe_intermediate_size`).
        shared_size: Width of all shared experts together. Default: 0, none.
        shared_gate: Whether the shared expert has a gate. Default: False.
        bias: Whether the matrices of experts and router have biases. Default: False.

    Raises:
        VllmConstructsError: A size is not an integer, or `per_token` is more than `count`.
    """

    count: int
    per_token: int
    size: int
    shared_size: int = 0
    shared_gate: bool = False
    bias: bool = False

    def __post_init__(self) -> None:
        _sizes(self, "Experts", zero=("shared_size",))
        require.integer("Experts.per_token", self.per_token, 1, self.count, "experts")


@dataclass(frozen=True, kw_only=True)
class Recurrent:
    """Layers that keep a state of constant size instead of a cache that grows with the tokens.

    Args:
        kind: `"mamba1"`, `"mamba2"`, `"gdn"` (gated delta net) or `"conv"` (short convolution).
        inner: Width inside of the layer: number of heads times their size.
        kernel: Width of the convolution.
        heads: Heads of the state. Default: 0, a kind without heads.
        head_dim: Size of a head. Default: 0.
        state: Size of the state; with `"gdn"` the size of a key head. Default: 0.
        groups: Groups that share the matrices of the state; with `"gdn"` the key heads.
            Default: 0.
        rank: Rank of the time step (`"mamba1"` only). Default: 0.
        state_dtype: Data type of the state. Default: that of the model.

    Raises:
        VllmConstructsError: A size is not an integer, or the kind or the data type is unknown.
    """

    kind: Literal["mamba1", "mamba2", "gdn", "conv"]
    inner: int
    kernel: int
    heads: int = 0
    head_dim: int = 0
    state: int = 0
    groups: int = 0
    rank: int = 0
    state_dtype: Literal["float32", "float16", "bfloat16"] | None = None

    def __post_init__(self) -> None:
        require.choice("Recurrent.kind", self.kind, ("mamba1", "mamba2", "gdn", "conv"))
        _sizes(self, "Recurrent", zero=("heads", "head_dim", "state", "groups", "rank"))
        if self.state_dtype is not None:
            allowed = ("float32", "float16", "bfloat16")
            require.choice("Recurrent.state_dtype", self.state_dtype, allowed)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """An encoder of images, videos or sounds.

    Args:
        width: Width of its layers.
        layers: Layers.
        intermediate_size: Width of a feed-forward.
        patches: Patches of an image, or frames of a sound, that become one token. Default: 4.
        tokens: Tokens of one image, if all have as many. Default: 0, they do not.

    Raises:
        VllmConstructsError: A size is not an integer or out of range.
    """

    width: int
    layers: int
    intermediate_size: int
    patches: int = 4
    tokens: int = 0

    def __post_init__(self) -> None:
        _sizes(self, "Encoder", zero=("tokens",))

    @property
    def parameters(self) -> int:
        """Parameters of its layers: attention and two matrices of a feed-forward."""
        return self.layers * (4 * self.width**2 + 2 * self.width * self.intermediate_size)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a model that decide about its memory: the fields of `ModelShape`."""

    name: str
    hidden_size: int
    vocab_size: int
    mixers: tuple[Mixer, ...]
    feed_forwards: tuple[FeedForward, ...]
    intermediate_size: int = 0
    num_attention_heads: int = 0
    num_key_value_heads: int = 0
    head_dim: int = 0
    full_key_value_heads: int = 0
    full_head_dim: int = 0
    latent: LatentAttention | None = None
    experts: Experts | None = None
    recurrent: Recurrent | None = None
    window: int = 0
    gated: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: bool = False
    output_gate: bool = False
    sinks: bool = False
    norms: int = 2
    tied: bool = False
    positions: int = 0
    longest: int | None = None
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    quantization: Quantization | None = None
    other_parameters: int = 0
    family: str = ""
    encoders: tuple[Encoder, ...] = ()
    draft_layers: int = 0
    unread: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require.text("ModelShape.name", self.name)
        may_be_zero = (
            "intermediate_size num_attention_heads num_key_value_heads head_dim "
            "full_key_value_heads full_head_dim window norms positions other_parameters "
            "draft_layers"
        )
        _sizes(self, "ModelShape", zero=tuple(may_be_zero.split()))
        for name, options in (("mixers", MIXERS), ("feed_forwards", FEED_FORWARDS)):
            allowed = "a tuple with one entry per layer"
            layers = require.items(f"ModelShape.{name}", getattr(self, name), allowed)
            for layer in layers:
                require.choice(f"ModelShape.{name}", layer, options)
            object.__setattr__(self, name, layers)
        for name, kind in _PARTS.items():
            if getattr(self, name) is not None:
                allowed = f"{kind.__name__}(...)"
                require.instance(f"ModelShape.{name}", getattr(self, name), kind, allowed)
        if self.longest is not None:
            require.integer("ModelShape.longest", self.longest, 1, 2**31 - 1, "tokens")
        require.choice("ModelShape.dtype", self.dtype, ("bfloat16", "float16", "float32"))
        for name, one, allowed in (
            ("encoders", Encoder, "a tuple of Encoder(...)"),
            ("unread", str, "a tuple of the names of keys"),
        ):
            given = require.items(f"ModelShape.{name}", getattr(self, name), allowed)
            for item in given:
                require.instance(f"ModelShape.{name}", item, one, allowed)
            object.__setattr__(self, name, given)
        if self.family != "":
            require.text("ModelShape.family", self.family)
        self._check_together()

    def _check_together(self) -> None:
        layers = len(self.mixers)
        if not 1 <= layers <= 4096 or layers != len(self.feed_forwards):
            refuse(
                Problem(
                    where="ModelShape.mixers",
                    text=f"has {layers} entries, and {{feed_forwards}} has "
                    f"{len(self.feed_forwards)}",
                    allowed="one entry of each per layer, for up to 4096 layers",
                )
            )
        uses_attention = bool(
            {"full", "sliding", "chunked", "parallel", "shared"} & set(self.mixers)
        )
        needs = {
            "num_attention_heads": uses_attention,
            "num_key_value_heads": uses_attention and self.latent is None,
            "head_dim": uses_attention and self.latent is None,
            "window": bool({"sliding", "chunked"} & set(self.mixers)),
            "recurrent": bool({"recurrent", "parallel"} & set(self.mixers)),
            "intermediate_size": "dense" in self.feed_forwards,
            "experts": "experts" in self.feed_forwards,
        }
        for name, needed in needs.items():
            if needed and not getattr(self, name):
                text = f"is missing, but layers of {escaped(self.name)} need it"
                refuse(Problem(where=f"ModelShape.{name}", text=text, advice="give it"))

    def heads_of(self, mixer: Mixer) -> tuple[int, int]:
        """The key and value heads of a kind of layer, and the size of a head."""
        if mixer != "full":
            return self.num_key_value_heads, self.head_dim
        return (
            self.full_key_value_heads or self.num_key_value_heads,
            self.full_head_dim or self.head_dim,
        )

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.mixers)

    @property
    def has_attention(self) -> bool:
        """Whether any layer keeps keys and values of tokens."""
        return bool({"full", "sliding", "chunked", "parallel"} & set(self.mixers))


_PARTS: dict[str, type] = {
    "latent": LatentAttention,
    "experts": Experts,
    "recurrent": Recurrent,
    "quantization": Quantization,
}


def is_hybrid(shape: Sizes) -> bool:
    """Whether a model has layers of several kinds, whose KV caches vLLM keeps in groups.

    Args:
        shape: The sizes of the model.
    """
    return len({*shape.mixers} - {"none", "shared"}) > 1
