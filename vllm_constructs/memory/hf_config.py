"""How a Hugging Face `config.json` is read: which key says which size.

The keys are those that vLLM looks at (vllm/transformers_utils/model_arch_config_convertor.py and
the models in vllm/model_executor/models/).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import refuse

from .hf_file import HfFile, load
from .hf_layers import feed_forwards, mixers, recurrent
from .quantization import Quantization, from_config
from .shapes import Experts, LatentAttention, ModelShape

_KEY_VALUE = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "multi_query_group_num",
    "num_attention_groups",
)
_DEPTH = ("num_hidden_layers", "depth", "num_layers")
_LENGTH = ("max_position_embeddings", "model_max_length", "max_sequence_length", "seq_length")
# Llama 4 calls the width of its experts intermediate_size.
_DENSE = ("intermediate_size_mlp", "intermediate_size")
_COUNT = ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts")
_PER_TOKEN = ("num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_top_k")
# Families whose input and output embedding are one matrix unless the file says otherwise.
_TIED = ("gemma", "cohere", "mamba", "falcon_mamba", "lfm2", "bamba")
_PLAIN = ("nemotron", "nemotron_h", "starcoder2", "phi", "gpt_neox", "falcon")
_QK_NORM = ("qwen3", "gemma3", "olmo3", "glm4_moe", "exaone4")
_SCALED = ("su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling")


def read(config: object, *, name: str | None, parameters: int | None) -> ModelShape:
    """The shape that a `config.json` describes."""
    raw, folder = load(config)
    if name is not None:
        require.text("the name of the model", name)
    architectures = raw.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    label = name or raw.get("_name_or_path") or folder or first or raw.get("model_type")
    found = HfFile(raw, label if isinstance(label, str) and label.strip() else "the model")
    shape = _shape(found)
    if parameters is None:
        return replace(shape, other_parameters=_vision(found))
    require.integer("the parameters", parameters, 1, 2**50)
    if parameters < 0.98 * shape.parameters:
        refuse(
            f"the parameters of {shape.name} are given as {parameters}, but its sizes make "
            f"{shape.parameters}; give the whole model's, or leave them out."
        )
    return replace(shape, other_parameters=max(0, parameters - shape.parameters))


def _vision(file: HfFile) -> int:
    """Parameters of a vision tower, about: its attention and feed-forward matrices."""
    tower = file.raw.get("vision_config")
    if not isinstance(tower, Mapping):
        return 0
    inner = HfFile(tower, f"{file.name} (vision_config)")
    width, layers = inner.optional("hidden_size", "embed_dim"), inner.optional(*_DEPTH)
    return layers * (4 * width**2 + 2 * width * (inner.optional("intermediate_size") or 4 * width))


def _shape(file: HfFile) -> ModelShape:
    kinds, window = mixers(file)
    experts = _experts(file)
    feeds = feed_forwards(file, kinds, has_experts=experts is not None)
    attends = bool({"full", "sliding", "chunked", "parallel"} & set(kinds))
    hidden = file.size("hidden_size", "d_model")
    heads = file.size("num_attention_heads", "num_heads") if attends else 0
    latent = _latent(file) if attends else None
    biased = file.flag("attention_bias") or file.flag("qkv_bias")
    family = file.family
    return ModelShape(
        name=file.name,
        hidden_size=hidden,
        vocab_size=file.size("vocab_size"),
        mixers=kinds,
        feed_forwards=feeds,
        intermediate_size=file.size(*_DENSE) if "dense" in feeds else 0,
        num_attention_heads=heads,
        num_key_value_heads=(file.optional(*_KEY_VALUE) or heads) if attends else 0,
        head_dim=(file.optional("head_dim") or hidden // heads) if attends else 0,
        latent=latent,
        experts=experts,
        recurrent=recurrent(file) if {"recurrent", "parallel"} & set(kinds) else None,
        window=window,
        gated=family not in _PLAIN,
        qkv_bias=biased or family in ("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl"),
        output_bias=file.flag("attention_bias") and not family.startswith("glm4"),
        qk_norm=file.starts(_QK_NORM) and file.flag("use_qk_norm", default=True),
        output_gate=file.flag("attn_output_gate", default=family == "qwen3_next"),
        sinks=family == "gpt_oss",
        norms=4 if file.starts(("gemma2", "gemma3")) else 2,
        tied=_tied(file),
        positions=file.optional("max_position_embeddings") if attends else 0,
        longest=_longest(file),
        dtype=_dtype(file),
        quantization=_quantization(file),
    )


def _tied(file: HfFile) -> bool:
    for place in (file.text, file.raw):
        if place.get("tie_word_embeddings") is not None:
            return bool(place["tie_word_embeddings"])
    return file.starts(_TIED)


def _dtype(file: HfFile) -> Any:
    for place in (file.text, file.raw):
        found = place.get("dtype") or place.get("torch_dtype")
        if found in ("bfloat16", "float16", "float32"):
            return found
    return "bfloat16"


def _longest(file: HfFile) -> int | None:
    """Tokens that the model takes: the smallest length in the file, scaled as its rope says."""
    lengths = [file.optional(key) for key in _LENGTH if file.optional(key)]
    if not lengths:
        return None
    rope = file.get("rope_parameters", "rope_scaling")
    if not isinstance(rope, Mapping) or file.family.startswith("gemma3"):
        return min(lengths)
    kind = rope.get("rope_type", rope.get("type"))
    if kind in ("su", "longrope") and file.optional("original_max_position_embeddings"):
        return file.optional("original_max_position_embeddings")
    factor = rope.get("factor")
    if kind in _SCALED or isinstance(factor, bool) or not isinstance(factor, (int, float)):
        return min(lengths)
    return int(min(lengths) * factor) if math.isfinite(factor) and factor >= 1 else min(lengths)


def _latent(file: HfFile) -> LatentAttention | None:
    if not file.optional("kv_lora_rank"):
        return None
    sparse = bool(file.optional("index_topk"))
    return LatentAttention(
        kv_rank=file.size("kv_lora_rank"),
        rope_dim=file.size("qk_rope_head_dim"),
        nope_dim=file.size("qk_nope_head_dim"),
        v_dim=file.size("v_head_dim"),
        q_rank=file.optional("q_lora_rank"),
        index_heads=file.size("index_n_heads") if sparse else 0,
        index_dim=file.size("index_head_dim") if sparse else 0,
    )


def _experts(file: HfFile) -> Experts | None:
    if file.optional(*_COUNT) < 2:
        return None
    size = file.size("moe_intermediate_size", "intermediate_size")
    shared = file.optional("shared_expert_intermediate_size", "shared_intermediate_size")
    shared = shared or file.optional("n_shared_experts") * size
    if file.family.startswith("llama4"):
        shared = size
    return Experts(
        count=file.size(*_COUNT),
        per_token=file.size(*_PER_TOKEN),
        size=size,
        shared_size=shared,
        shared_gate=file.starts(("qwen2_moe", "qwen3_next", "qwen3_5")),
        bias=file.family == "gpt_oss",
    )


def _quantization(file: HfFile) -> Quantization | None:
    """How the file says that the weights are quantised."""
    for place in (file.raw, file.text):
        found = place.get("quantization_config")
        if isinstance(found, Mapping):
            return from_config(file.name, found)
    return None
