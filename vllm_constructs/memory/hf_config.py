"""The sizes of a model from its Hugging Face `config.json`.

The keys are those that vLLM reads (vllm/transformers_utils/model_arch_config_convertor.py and
the models in vllm/model_executor/models/).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from . import rotary
from .hf_encoders import encoders
from .hf_file import HfFile
from .hf_keys import unread
from .hf_layers import feed_forwards, mixers, recurrent
from .quantization import Quantization, from_config
from .sizes import Experts, LatentAttention, Sizes

_KEY_VALUE = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "multi_query_group_num",
    "num_attention_groups",
)
_LENGTH = ("max_position_embeddings", "model_max_length", "max_sequence_length", "seq_length")
# In Llama 4, intermediate_size is the width of the experts.
_DENSE = ("intermediate_size_mlp", "intermediate_size", "ffn_hidden_size")
_COUNT = ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts")
_PER_TOKEN = (
    "num_experts_per_tok",
    "experts_per_token",
    "num_experts_per_token",
    "moe_top_k",
    "moe_topk",
    "top_k_experts",
)
_SHARED = (
    "shared_expert_intermediate_size",
    "shared_intermediate_size",
    "moe_shared_expert_intermediate_size",
    "share_expert_dim",
)
# Layers that draft tokens (multi-token prediction).
_DRAFT = (
    "num_nextn_predict_layers",
    "mtp_num_hidden_layers",
    "num_mtp_layers",
    "num_mtp_modules",
)
# Families whose input and output embedding are one matrix, unless the file has tie_word_embeddings.
_TIED = ("gemma", "cohere", "mamba", "falcon_mamba", "lfm2", "bamba")
_PLAIN = ("nemotron", "nemotron_h", "starcoder2", "phi", "gpt_neox", "falcon")
_QK_NORM = ("qwen3", "gemma3", "gemma4", "olmo3", "glm4_moe", "exaone4")
_SCALED = ("su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling")


def name_of(raw: Mapping[str, Any], name: str | None, folder: str) -> str:
    """The name of a model, for sentences.

    Args:
        raw: The content of its `config.json`.
        name: The given name, if any.
        folder: Name of the folder of the file; empty if there is none.
    """
    architectures = raw.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    label = name or raw.get("_name_or_path") or folder or first or raw.get("model_type")
    return label if isinstance(label, str) and label.strip() else "the model"


def per_layer_parameters(file: HfFile) -> int:
    """Parameters of embeddings that each layer has of its own, as in Gemma 3n and Gemma 4 E."""
    width = file.optional("hidden_size_per_layer_input")
    if not width:
        return 0
    layers, hidden = file.size("num_hidden_layers"), file.size("hidden_size")
    vocabulary = file.size("vocab_size_per_layer_input", "vocab_size")
    return layers * width * (vocabulary + 3 * hidden)


def sizes_of(file: HfFile) -> Sizes:
    """The sizes of the model of a `config.json`.

    Raises:
        VllmConstructsError: A key is missing or invalid, or a layer cannot be counted.
    """
    kinds, window = mixers(file)
    experts = _experts(file)
    feeds = feed_forwards(file, kinds, has_experts=experts is not None)
    has_attention = bool({"full", "sliding", "chunked", "parallel"} & set(kinds))
    hidden = file.size("hidden_size", "d_model")
    heads = file.size("num_attention_heads", "num_heads") if has_attention else 0
    latent = _latent(file) if has_attention else None
    biased = file.flag("attention_bias") or file.flag("qkv_bias")
    family = file.family
    # Only models that draft tokens load these, and what follows from it is not all read.
    drafts = file.optional(*_DRAFT)
    file.get("hidden_size_per_layer_input", "vocab_size_per_layer_input")
    found = Sizes(
        name=file.name,
        hidden_size=hidden,
        vocab_size=file.size("vocab_size"),
        mixers=kinds,
        feed_forwards=feeds,
        intermediate_size=file.size(*_DENSE) if "dense" in feeds else 0,
        num_attention_heads=heads,
        num_key_value_heads=(file.optional(*_KEY_VALUE) or heads) if has_attention else 0,
        head_dim=(file.optional("head_dim") or hidden // heads) if has_attention else 0,
        full_key_value_heads=file.optional("num_global_key_value_heads") if has_attention else 0,
        full_head_dim=file.optional("global_head_dim") if has_attention else 0,
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
        norms=4 if file.starts(("gemma2", "gemma3", "gemma4")) else 2,
        tied=_tied(file),
        positions=rotary.positions(file) if has_attention else 0,
        longest=_longest(file),
        dtype=_dtype(file),
        quantization=_quantization(file),
        family=family,
        draft_layers=drafts,
        encoders=encoders(file),
    )
    return replace(found, unread=unread(file.text, file.seen))


def _tied(file: HfFile) -> bool:
    file.get("tie_word_embeddings")
    for part in (file.text, file.raw):
        if part.get("tie_word_embeddings") is not None:
            return bool(part["tie_word_embeddings"])
    return file.starts(_TIED)


def _dtype(file: HfFile) -> Any:
    file.get("dtype", "torch_dtype")
    for part in (file.text, file.raw):
        dtype = part.get("dtype") or part.get("torch_dtype")
        if dtype in ("bfloat16", "float16", "float32"):
            return dtype
    return "bfloat16"


def _longest(file: HfFile) -> int | None:
    """Tokens that the model supports: the smallest length in the file, with its RoPE scaling."""
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
    size = file.size("moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
    shared = file.optional(*_SHARED)
    shared = shared or file.optional("n_shared_experts", "num_shared_experts") * size
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
    """The quantization of the weights."""
    for part in (file.raw, file.text):
        config = part.get("quantization_config")
        if isinstance(config, Mapping):
            return from_config(file.name, config)
    return None
