"""ModelShape: the sizes of a model, from its `config.json` or from the shipped catalogue.

A shape knows what each layer keeps in the KV cache and how many parameters it has; `MemoryPlan`
makes bytes of that. How a `config.json` is read stands in `hf_config`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, cast

from vllm_constructs import require
from vllm_constructs.errors import refuse

from .quantization import Quantization

Mixer: TypeAlias = Literal["full", "sliding", "chunked", "recurrent", "parallel", "shared", "none"]
FeedForward: TypeAlias = Literal["dense", "experts", "none"]

MIXERS = ("full", "sliding", "chunked", "recurrent", "parallel", "shared", "none")
FEED_FORWARDS = ("dense", "experts", "none")
_MOST = 2**50


def _sizes(value: object, where: str, *, zero: tuple[str, ...] = ()) -> None:
    """Refuse a size that is no whole number; only those in `zero` may be 0."""
    for item in fields(value):  # type: ignore[arg-type]  # every caller is a dataclass
        found = getattr(value, item.name)
        if item.type == "int":
            low = 0 if item.name in zero else 1
            require.integer(f"{where}.{item.name}", found, low, _MOST)
        elif item.type == "bool":
            require.boolean(f"{where}.{item.name}", found)


@dataclass(frozen=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (MLA): one compressed vector a token for all heads.

    Args:
        kv_rank: `kv_lora_rank`, what is kept of keys and values.
        rope_dim: `qk_rope_head_dim`, kept beside it.
        nope_dim: `qk_nope_head_dim` of a head.
        v_dim: `v_head_dim` of a head.
        q_rank: `q_lora_rank`; 0 where queries are not compressed.
        index_heads: `index_n_heads` of sparse attention; 0 without an indexer.
        index_dim: `index_head_dim`; the indexer keeps a key of that size for each token.

    Raises:
        VllmConstructsError: A size is no whole number or out of range.
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
        per_token: Experts that work on one token.
        size: Width of one expert (`moe_intermediate_size`).
        shared_size: Width of all shared experts together; default 0, none.
        shared_gate: Whether the shared expert has a gate. Default False.
        bias: Whether the expert and router matrices have biases. Default False.

    Raises:
        VllmConstructsError: A size is no whole number, or more experts work than there are.
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
    """Layers that keep a state of one size instead of a cache that grows with the tokens.

    Args:
        kind: `"mamba1"`, `"mamba2"`, `"gdn"` (gated delta net) or `"conv"` (short convolution).
        inner: Width inside of the layer: heads times their size.
        kernel: Width of the convolution.
        heads: Heads of the state; 0 for kinds without heads.
        head_dim: Size of a head.
        state: State size; with `"gdn"` the size of a key head.
        groups: Groups that share the state's matrices; with `"gdn"` the key heads.
        rank: Rank of the time step (`"mamba1"` only).
        state_dtype: Data type of the state that the model asks for; default the model's own.

    Raises:
        VllmConstructsError: A size is no whole number, or an unknown kind or data type.
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


class Entry(TypedDict):
    """One model of the catalogue, as the data file holds it."""

    config: dict[str, Any]
    parameters: int
    source: str
    also: list[str]


@cache
def catalogue() -> dict[str, Entry]:
    """The models that this library knows, by their name on the Hugging Face Hub."""
    path = Path(__file__).parents[1] / "data" / "models.json"
    return cast("dict[str, Entry]", json.loads(path.read_text(encoding="utf-8")))


@cache
def _names() -> dict[str, str]:
    """Every name in the catalogue, and the entry that it stands for."""
    found = {name: name for name in catalogue()}
    return found | {other: name for name, one in catalogue().items() for other in one["also"]}


def is_named(name: str) -> bool:
    """Whether the catalogue has a model of this name."""
    return name in _names()


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The sizes of a model that decide about its memory.

    Made by `ModelShape.named(...)` or `ModelShape.from_config(...)`; the arguments are there for
    models that neither knows.

    Args:
        name: Name of the model, for sentences.
        hidden_size: Width of the residual stream.
        vocab_size: Tokens of the vocabulary.
        mixers: What each layer mixes tokens with, and so what it keeps of them: `"full"`,
            `"sliding"` or `"chunked"` attention, a `"recurrent"` state, attention and a state
            in `"parallel"`, the cache of another layer (`"shared"`) or `"none"`.
        feed_forwards: What each layer has after it: `"dense"`, `"experts"` or `"none"`.
        intermediate_size: Width of the dense layers; 0 where there are none.
        num_attention_heads: Query heads; 0 without attention.
        num_key_value_heads: Key and value heads; 0 without attention.
        head_dim: Size of a head; 0 without attention.
        latent: Latent attention (MLA), where the model has it.
        experts: Experts, where the model has them.
        recurrent: Recurrent layers, where the model has them.
        window: Tokens that a sliding (or chunked) layer looks back; 0 without such layers.
        gated: Feed-forwards have a gate, so three matrices instead of two. Default True.
        qkv_bias: Query, key and value have biases. Default False.
        output_bias: The attention's output has a bias. Default False.
        qk_norm: Queries and keys are normalised per head. Default False.
        output_gate: The attention's output is gated, which doubles the queries. Default False.
        sinks: Every head has a learned sink. Default False.
        norms: Norms of a layer that has both parts, default 2.
        tied: Input and output embedding are one matrix. Default False.
        positions: Positions that rotary embeddings are computed for; 0 without them.
        longest: Tokens that the model takes; default None, not known.
        dtype: Data type of the checkpoint, default `"bfloat16"`.
        quantization: How the checkpoint is quantised. Default: not at all.
        other_parameters: Parameters outside of the text layers, such as a vision tower. They
            are taken to be on every GPU of the first stage. Default 0.

    Raises:
        VllmConstructsError: A size is no whole number or out of range, or parts of the shape
            contradict each other.
    """

    name: str
    hidden_size: int
    vocab_size: int
    mixers: tuple[Mixer, ...]
    feed_forwards: tuple[FeedForward, ...]
    intermediate_size: int = 0
    num_attention_heads: int = 0
    num_key_value_heads: int = 0
    head_dim: int = 0
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

    def __post_init__(self) -> None:
        require.text("ModelShape.name", self.name)
        may_be_zero = (
            "intermediate_size num_attention_heads num_key_value_heads head_dim window norms "
            "positions other_parameters"
        )
        _sizes(self, "ModelShape", zero=tuple(may_be_zero.split()))
        for name, options in (("mixers", MIXERS), ("feed_forwards", FEED_FORWARDS)):
            allowed = "a tuple with one entry for each layer"
            found = require.items(f"ModelShape.{name}", getattr(self, name), allowed)
            for item in found:
                require.choice(f"ModelShape.{name}", item, options)
            object.__setattr__(self, name, found)
        for name, kind in _PARTS.items():
            if getattr(self, name) is not None:
                allowed = f"an object of {kind.__name__}"
                require.instance(f"ModelShape.{name}", getattr(self, name), kind, allowed)
        if self.longest is not None:
            require.integer("ModelShape.longest", self.longest, 1, 2**31 - 1, "tokens")
        require.choice("ModelShape.dtype", self.dtype, ("bfloat16", "float16", "float32"))
        self._check_together()

    def _check_together(self) -> None:
        layers = len(self.mixers)
        if not 1 <= layers <= 4096 or layers != len(self.feed_forwards):
            refuse(
                f"ModelShape.mixers has {layers} layers and feed_forwards "
                f"{len(self.feed_forwards)}; give one entry of each for every layer, up to 4096."
            )
        attends = bool({"full", "sliding", "chunked", "parallel", "shared"} & set(self.mixers))
        needs = {
            "num_attention_heads": attends,
            "num_key_value_heads": attends and self.latent is None,
            "head_dim": attends and self.latent is None,
            "window": bool({"sliding", "chunked"} & set(self.mixers)),
            "recurrent": bool({"recurrent", "parallel"} & set(self.mixers)),
            "intermediate_size": "dense" in self.feed_forwards,
            "experts": "experts" in self.feed_forwards,
        }
        for name, needed in needs.items():
            if needed and not getattr(self, name):
                refuse(f"ModelShape.{name} is missing, and layers of {self.name} need it; give it.")

    @classmethod
    def from_config(
        cls,
        config: str | Path | Mapping[str, Any],
        *,
        name: str | None = None,
        parameters: int | None = None,
    ) -> ModelShape:
        """Read a shape from a model's `config.json`.

        Args:
            config: Path of a `config.json` or of its folder, or what stands in it.
            name: Name for sentences. Default: `_name_or_path`, else the architecture.
            parameters: Parameters of the whole model. Default: counted from the sizes, which
                leaves out what is no text layer (such as a vision tower).

        Raises:
            VllmConstructsError: The file cannot be read, a key is missing, or the layers are
                of a kind that cannot be counted; the sentence names it.
        """
        from .hf_config import read

        return read(config, name=name, parameters=parameters)

    @classmethod
    def named(cls, name: str) -> ModelShape:
        """Take a shape from the catalogue.

        Args:
            name: Name on the Hugging Face Hub, such as `Qwen/Qwen2.5-7B-Instruct`.

        Raises:
            VllmConstructsError: The catalogue lacks the model; the nearest one is named.
        """
        if not isinstance(name, str) or name not in _names():
            near = require.nearest(name, _names())
            require.wrong(
                "the model",
                name,
                "a model of the catalogue, or ModelShape.from_config('.../config.json')",
                near,
            )
        entry = catalogue()[_names()[name]]
        return cls.from_config(entry["config"], name=name, parameters=entry["parameters"])

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.mixers)

    @property
    def parameters(self) -> int:
        """All parameters of the model, embeddings included."""
        from .weights import parameters

        return parameters(self) + self.other_parameters

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
