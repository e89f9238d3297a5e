"""ModelShape: the sizes of a model, from its `config.json` or from the shipped catalog.

A shape has what each layer keeps in the KV cache and the number of parameters, from which
`MemoryPlan` computes bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypedDict, cast

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.model_names import ModelName
from vllm_constructs.errors import Problem, escaped, refuse

from .sizes import Sizes
from .weights import parameters


class Entry(TypedDict):
    """One model of the catalog, as in the data file."""

    config: dict[str, Any]
    parameters: int
    source: str
    also: list[str]


@cache
def catalog() -> dict[str, Entry]:
    """The models that this library knows, by their name on the Hugging Face Hub."""
    path = Path(__file__).parents[1] / "data" / "models.json"
    return cast("dict[str, Entry]", json.loads(path.read_text(encoding="utf-8")))


@cache
def _names() -> dict[str, str]:
    """Every name in the catalog, with the name of its entry."""
    names = {name: name for name in catalog()}
    return names | {other: name for name, one in catalog().items() for other in one["also"]}


def is_named(name: str) -> bool:
    """Whether the catalog has a model of this name."""
    return name in _names()


@lru_cache(maxsize=1024)
def misspelled(name: str) -> str | None:
    """The model of the catalog that a name is one letter off; None if there is none.

    A letter may be missing, superfluous, another one or in the place of its neighbour; a digit may
    not, since it makes another model.
    """
    digits = [letter for letter in name if letter.isdigit()]
    for known in _names():
        same = digits == [letter for letter in known if letter.isdigit()]
        if same and require.is_one_letter_off(name, known):
            return known
    return None


@dataclass(frozen=True, kw_only=True)
class ModelShape(Sizes):
    """The sizes of a model that decide about its memory.

    Use `ModelShape.named(...)` or `ModelShape.from_config(...)`; the arguments are for models
    that neither of them supports.

    Args:
        name: Name of the model, for sentences.
        hidden_size: Width of the residual stream.
        vocab_size: Tokens of the vocabulary.
        mixers: How each layer mixes tokens, which decides what it keeps of them: `"full"`,
            `"sliding"` or `"chunked"` attention, a `"recurrent"` state, attention and a state in
            `"parallel"`, the cache of another layer (`"shared"`) or `"none"`.
        feed_forwards: The feed-forward of each layer: `"dense"`, `"experts"` or `"none"`.
        intermediate_size: Width of the dense feed-forwards. Default: 0, none.
        num_attention_heads: Query heads. Default: 0, no attention.
        num_key_value_heads: Key and value heads. Default: 0, no attention.
        head_dim: Size of a head. Default: 0, no attention.
        full_key_value_heads: Key and value heads of layers with full attention, where sliding
            layers have others. Default: 0, the same.
        full_head_dim: Size of a head there. Default: 0, the same.
        latent: Latent attention (MLA), if the model has it. Default: none.
        experts: Experts, if the model has them. Default: none.
        recurrent: Recurrent layers, if the model has them. Default: none.
        window: Tokens in the window of sliding layers, or in a chunk. Default: 0, no such layers.
        gated: Whether feed-forwards have a gate, so three matrices instead of two. Default: True.
        qkv_bias: Whether query, key and value have biases. Default: False.
        output_bias: Whether the output of attention has a bias. Default: False.
        qk_norm: Whether queries and keys are normalized per head. Default: False.
        output_gate: Whether the output of attention is gated, which doubles the queries.
            Default: False.
        sinks: Whether every head has a learned sink. Default: False.
        norms: Norms of a layer with both a mixer and a feed-forward. Default: 2.
        tied: Whether input and output embedding are one matrix. Default: False.
        positions: Positions for which rotary embeddings are computed, of all tables together.
            Default: 0, none.
        longest: Tokens that the model supports. Default: None, not known.
        dtype: Data type of the checkpoint. Default: `"bfloat16"`.
        quantization: Quantization of the checkpoint. Default: none.
        other_parameters: Parameters outside of the text layers, such as a vision tower. They
            count on every GPU of the first stage. Default: 0.
        family: `model_type` in the model's `config.json`, which decides about data types and, in
            some releases, about the model runner. Default: empty, not known.
        encoders: Encoders of images, videos and sounds, which the profile run has to hold. Their
            parameters are among `other_parameters`. Default: none.
        draft_layers: Layers that draft tokens (multi-token prediction), which are only loaded by
            an engine that uses them. Default: 0.
        unread: Keys of the model's `config.json` that may be sizes and are not read, so that no
            figure is exact. Default: none.

    Raises:
        VllmConstructsError: A size is not an integer or out of range, or parts of the shape
            contradict each other.
    """

    @classmethod
    def from_config(
        cls,
        config: str | Path | Mapping[str, Any],
        *,
        name: str | None = None,
        parameters: int | None = None,
    ) -> ModelShape:
        """Read the shape of a model from its `config.json`.

        Args:
            config: Path of a `config.json` or of its folder, or its content.
            name: Name of the model, for sentences. Default: `_name_or_path` in the file, otherwise
                its folder, its architecture or its `model_type`.
            parameters: Parameters of the whole model. Default: counted from the sizes of the text
                layers, and approximately for encoders of images and sounds.

        Raises:
            VllmConstructsError: The file cannot be read, or a key is missing or invalid, or
                belongs to layers that cannot be counted.
        """
        return _read(config, name, parameters)

    @classmethod
    def named(cls, name: ModelName) -> ModelShape:
        """Return a shape of the catalog.

        Args:
            name: Name on the Hugging Face Hub, such as `Qwen/Qwen2.5-7B-Instruct`.

        Raises:
            VllmConstructsError: The catalog lacks the model; the error names the nearest one.
        """
        if not isinstance(name, str) or name not in _names():
            near = require.nearest(name, _names())
            require.wrong(
                "model",
                name,
                "a model in the catalog, or {shape=ModelShape.from_config('config.json')}",
                near,
            )
        entry = catalog()[_names()[name]]
        return cls.from_config(entry["config"], name=name, parameters=entry["parameters"])

    @property
    def parameters(self) -> int:
        """All parameters of the model, including embeddings."""
        return parameters(self) + self.other_parameters


def _read(config: object, name: str | None, count: int | None) -> ModelShape:
    """The shape of the model of a `config.json`."""
    # Not at the top: apps without shapes need not load them.
    from .hf_config import name_of, per_layer_parameters, sizes_of
    from .hf_file import HfFile, load

    raw, folder = load(config)
    if name is not None:
        require.text("name", name)
    file = HfFile(raw, name_of(raw, name, folder))
    sizes = sizes_of(file)
    shape = ModelShape(**{field.name: getattr(sizes, field.name) for field in fields(sizes)})
    if count is None:
        towers = sum(encoder.parameters for encoder in shape.encoders)
        return replace(shape, other_parameters=towers + per_layer_parameters(file))
    require.integer("parameters", count, 1, 2**50)
    if count < 0.98 * shape.parameters:
        refuse(
            Problem(
                where="parameters",
                text=f"is {count}, fewer than the {shape.parameters} in the layers and embeddings "
                f"of {escaped(shape.name)}",
                value=str(count),
                advice="give those of the whole model, or leave {parameters} out",
            )
        )
    return replace(shape, other_parameters=max(0, count - shape.parameters))
