"""Keys of a `config.json` that are not read, and which of them may change the memory of a model.

A key is read, or it is known to change no size, or it is a size that is not read. The last ones
make a plan inexact. Decided key by key for the families of the newest releases: the configuration
classes in vllm/transformers_utils/configs/ and in Transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Parts of names that no size has: tokens, numerics, training and generation.
_PARTS = re.compile(
    r"(^|_)(token|tokens|id|ids|eps|epsilon|dropout|pdrop|drop|act|activation|theta|thetas|init|std|"
    r"coef|coeff|scale|scales|scaling|multiplier|multipliers|softcap|softcapping|cap|temp|"
    r"temperature|noise|jitter|alpha|beta|dtype|fp32|bf16|limit|limits|lr|decay|seed|loss|"
    r"template|label2id|id2label|label|labels|version|method|func|fn|type|types|implementation|"
    r"map|kwargs|params|placeholder|cache|checkpoint|checkpointing|freq|freqs|logits|"
    r"summary|initializer|range|rope|yarn|rotary|iters|bias|norm|affine|gamma|linearity|"
    r"warmup|args|metap|numerics|renormalize|prob|bias_update|index)($|_)"
)
# Keys whose names do not show it.
_NO_SIZE = frozenset(
    (
        "L_bp_cycles",
        "_attn_implementation",
        "_name_or_path",
        "alibi",
        "altup_active_idx",
        "architectures",
        # The projection for values is there, with a copy of the keys' weights.
        "attention_k_eq_v",
        "attention_other_setting",
        "attn_pooler_heads",
        "attn_temperature_tuning",
        "audio_config",
        "auto_map",
        "canvas_length",
        "chunk_size",
        "compress_ratios",
        "data",
        "decoder_start_token_id",
        "downsample_mode",
        "draft_position_mode",
        "draft_vocab_size",
        "dual_chunk_attention_config",
        "ep_size",
        "every_n_layers_nope",
        "expand",
        "global_attn_cfg",
        "hc_magnitude",
        "heads",
        "hf_overrides",
        "hybrid_override_pattern",
        "image_size",
        "initial_context_length",
        "kda_lower_bound",
        "kda_safe_gate",
        "latent_moe_use_norm",
        "layer_types",
        "layers",
        "layers_block_type",
        "learnable_sink",
        "linear_lower_bound",
        "make_ngram_vocab_size_divisible_by",
        "mamba_chunk_size",
        "max_seq_len",
        "max_window_layers",
        "merge_kernel_size",
        "merger_times",
        "mla_use_nope",
        "mlp_ratio",
        "model_type",
        "moe_apply_router_weight_on_input",
        "moe_shared_expert_overlap",
        "mtp_hidden_states_first",
        "mtp_layer_types",
        "multi_query",
        "n_ctx",
        "n_group",
        "new_decoder_architecture",
        "no_kda_lora",
        "no_rope_layers",
        "nope_layer_interval",
        "norm_expert_weight",
        "normalize_tok_embeddings",
        "num_expert_group",
        "num_layers",
        "num_ln_in_parallel_attn",
        "num_logits_to_keep",
        "original_max_position_embeddings",
        "out_hidden_size",
        "output_dim",
        "pad_vocab_size_multiple",
        "parallel_attn",
        "partial_rotary_factors",
        "patch_size",
        "pooling",
        "prefix_dense_sliding_window_pattern",
        "prefix_lm",
        "pretraining_tp",
        "projector_hidden_size",
        "qk_head_dim",
        "qkv_bias",
        "quantization_config",
        "query_pre_attn_scalar",
        "rescale_prenorm_residual",
        "residual_gate",
        "score_function",
        "seq_aux",
        "shared_expert_combination_strategy",
        "shared_expert_sink",
        "sliding_window_pattern",
        "spatial_merge_size",
        "swiglu_limit",
        "task_specific_params",
        "text_config",
        "time_step_floor",
        "time_step_max",
        "time_step_min",
        "top_k",
        "topk",
        "topk_group",
        "understand_projector_stride",
        "unpadded_vocab_size",
        "use_abs_posemb",
        "use_bidirectional_attention",
        "use_grouped_topk",
        "use_ln_post",
        "use_ln_pre",
        "use_mamba_kernels",
        "use_mla",
        "use_moe",
        "use_mrope",
        "use_residual_gate",
        "use_rope2d",
        "use_sliding_window",
        "vision_config",
        "width",
        "zero_centered",
        "zero_expert_num",
    )
)
# Sizes and parts that some of these models have beyond what a shape has. A part is not there if
# its value is 0, false or empty.
_SIZES = frozenset(
    (
        "H_cycles",
        "L_cycles",
        "activation_sparsity_pattern",
        "altup_num_inputs",
        "att_impl_type",
        "attention_output_gate",
        "attn_res_block_size",
        "compress_rates",
        "conv_kernel_size",
        "d_rel",
        "dense_intermediate_size",
        "enable_ihc",
        "enable_moe_block",
        "every_n_layers_global",
        "ffn_dim_multiplier",
        "gated_delta_net",
        "gated_mla",
        "gating",
        "hc_count",
        "hc_lowrank",
        "hc_mult",
        "heads_per_ngram",
        "index_block_size",
        "index_kpool",
        "index_local_blocks",
        "index_topk_blocks",
        "indexer_budget",
        "indexer_compress_ratio",
        "indexer_head_dim",
        "indexer_kv_heads",
        "indexer_n_heads",
        "indexer_types",
        "laurel_rank",
        "layer_group_size",
        "linear_head_dim",
        "linear_num_heads",
        "local_layer_ids",
        "mla_use_output_gate",
        "moe",
        "moe_hidden_size",
        "moe_latent_size",
        "n_input_layers",
        "n_output_layers",
        "n_recurrent_layers",
        "n_recurrent_loops",
        "ngram_size",
        "ngram_vocab_size_base",
        "num_attention_heads_per_layer",
        "num_layers_per_stack",
        "num_sliding_attention_heads",
        "o_groups",
        "o_lora_rank",
        "ple_conv_kernel_size",
        "ple_embed_dim",
        "ple_layer_ids",
        "prefix_dense_intermediate_size",
        "recurrent_kv_cache_mode",
        "rel_extent",
        "routed_expert_hidden_size",
        "short_conv_kernel_size",
        "sparse_attention_config",
        "split_ngram_parts",
        "swa_head_dim",
        "swa_num_attention_heads",
        "swa_num_key_value_heads",
        "use_attn_o_gate",
        "use_double_wide_mlp",
        "use_head_wise_attn_gate",
    )
)


def decision(key: str) -> str:
    """What is decided about a key that is not read.

    Args:
        key: The key.

    Returns:
        `"irrelevant"`, `"unread"`, or an empty text if the key is not known.
    """
    if key in _SIZES:
        return "unread"
    return "irrelevant" if key in _NO_SIZE or _PARTS.search(key) else ""


def unread(text: Mapping[str, Any], seen: set[str]) -> tuple[str, ...]:
    """The keys that may change the memory of a model and are not read, sorted.

    Of keys that are not known, those with a number above 1, a list or an object count.

    Args:
        text: The text model's part of a `config.json`.
        seen: The keys that are read.
    """
    return tuple(
        sorted(key for key, value in text.items() if key not in seen and _may_matter(key, value))
    )


def _may_matter(key: str, value: Any) -> bool:
    known = decision(key)
    if known:
        return known == "unread" and bool(value)
    if isinstance(value, bool) or not isinstance(value, (int, list, tuple, dict)):
        return False
    return value > 1 if isinstance(value, int) else bool(value)
