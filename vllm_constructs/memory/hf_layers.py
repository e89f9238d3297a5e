"""The kind of each layer of a model, from the lists in its `config.json` or from its family.

The families are those of the models in vllm/model_executor/models/, and of the configuration
classes of Transformers, whose defaults apply to keys that a file lacks.
"""

from __future__ import annotations

from collections.abc import Iterable

from vllm_constructs import require
from vllm_constructs.errors import refuse

from .hf_file import HfFile
from .sizes import FeedForward, Mixer, Recurrent

_STATES = ("mamba", "falcon_mamba", "mamba2")
_LAYERS: dict[str, Mixer] = {
    "full_attention": "full",
    "attention": "full",
    "sliding_attention": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "recurrent",
    "mamba": "recurrent",
    "conv": "recurrent",
    "hybrid": "parallel",
}
_PATTERN: dict[str, tuple[Mixer, FeedForward]] = {
    "M": ("recurrent", "none"),
    "*": ("full", "none"),
    "-": ("none", "dense"),
    "E": ("none", "experts"),
}
# Families where one layer in so many has full attention: the number, the key by which a file may
# change it, and the kind of the other layers.
_STEPS: dict[str, tuple[int, str, Mixer]] = {
    "qwen3_next": (4, "full_attention_interval", "recurrent"),
    "qwen3_5": (4, "full_attention_interval", "recurrent"),
    "qwen3_5_moe": (4, "full_attention_interval", "recurrent"),
    "llama4": (4, "no_rope_layer_interval", "chunked"),
    "gemma2": (2, "sliding_window_pattern", "sliding"),
    "gemma3": (6, "sliding_window_pattern", "sliding"),
    "cohere2": (4, "sliding_window_pattern", "sliding"),
}


# Keys of files with layers that cannot be counted here, such as those of MiniMax, Kimi Linear,
# RecurrentGemma, Zamba2, PLaMo 2 and RWKV.
_UNCOUNTED = (
    "attn_type_list",
    "linear_attn_config",
    "block_types",
    "_block_types",
    "hybrid_layer_ids",
    "mamba_step",
    "attention_hidden_size",
)


def mixers(file: HfFile) -> tuple[tuple[Mixer, ...], int]:
    """The mixer of each layer, and the window of sliding layers or the size of chunks.

    Raises:
        VllmConstructsError: A layer is of a kind that cannot be counted.
    """
    for key in _UNCOUNTED:
        if file.get(key) is not None:
            refuse(
                f"the config.json of {file.name} has {key!r}, the key of layers that this library "
                "cannot count; give a ModelShape(...)."
            )
    pattern = _pattern(file)
    if pattern:
        return tuple(mixer for mixer, _ in pattern), 0
    count = file.size("num_hidden_layers", "n_layer", most=4096)
    window = file.optional("sliding_window", "sliding_window_size")
    window = 0 if file.get("use_sliding_window") is False else window
    kinds: tuple[Mixer, ...] = _listed(file, count) or _derived(file, count, window)
    if not window:
        kinds = tuple(_full() if kind == "sliding" else kind for kind in kinds)
    if "chunked" in kinds:
        window = file.size("attention_chunk_size")
    # The last layers of some models use the cache of an earlier one.
    shared = min(file.optional("num_kv_shared_layers"), count - 1)
    if shared:
        kinds = kinds[:-shared] + _all("shared", shared)
    return kinds, window if {"sliding", "chunked"} & set(kinds) else 0


def _full() -> Mixer:
    return "full"


def _all(mixer: Mixer, count: int) -> tuple[Mixer, ...]:
    return (mixer,) * count


def _pattern(file: HfFile) -> list[tuple[Mixer, FeedForward]]:
    """The layers of Nemotron-H, whose file has one letter for each."""
    pattern = file.get("hybrid_override_pattern")
    if not isinstance(pattern, str):
        return []
    for letter in pattern:
        if letter not in _PATTERN:
            where = f"hybrid_override_pattern in the config.json of {file.name}"
            require.wrong(where, letter, require.one_of(list(_PATTERN)))
    return [_PATTERN[letter] for letter in pattern]


def _listed(file: HfFile, count: int) -> tuple[Mixer, ...]:
    """The kinds of layers if the file lists them; otherwise empty."""
    listed = file.get("layer_types", "layers_block_type")
    if not isinstance(listed, (list, tuple)):
        return ()
    where = f"layer_types in the config.json of {file.name}"
    if len(listed) < count:
        refuse(f"{where} has {len(listed)} entries for {count} layers; give one per layer.")
    for kind in listed:
        if not isinstance(kind, str) or kind not in _LAYERS:
            advice = "otherwise give a ModelShape(...)"
            require.wrong(where, kind, require.one_of(list(_LAYERS)), advice)
    return tuple(_LAYERS[kind] for kind in listed[:count])


def _chosen(count: int, chosen: Iterable[int]) -> tuple[Mixer, ...]:
    """Full attention in the chosen layers, recurrent layers otherwise."""
    full = set(chosen)
    return tuple("full" if layer in full else "recurrent" for layer in range(count))


def _lettered(file: HfFile, count: int) -> tuple[Mixer, ...]:
    """The kinds of layers from EXAONE 4's pattern, which repeats: `L` is local, `G` is global."""
    pattern = str(file.get("sliding_window_pattern"))
    kinds: dict[str, Mixer] = {"L": "sliding", "G": "full"}
    for letter in pattern or " ":
        if letter not in kinds:
            where = f"sliding_window_pattern in the config.json of {file.name}"
            require.wrong(where, pattern, "letters L and G, such as 'LLLG'")
    return tuple(kinds[pattern[layer % len(pattern)]] for layer in range(count))


def _derived(file: HfFile, count: int, window: int) -> tuple[Mixer, ...]:
    """The kinds of layers of the model's family, if the file lists none."""
    family = file.family
    kinds: tuple[Mixer, ...] = _all("full", count)
    if family in _STATES:
        kinds = _all("recurrent", count)
    elif family == "falcon_h1":
        kinds = _all("parallel", count)
    elif family == "jamba":
        step = file.size("attn_layer_period")
        kinds = _chosen(count, range(file.optional("attn_layer_offset"), count, step))
    elif family == "bamba":
        kinds = _chosen(count, file.numbers("attn_layer_indices"))
    elif family in _STEPS and (family != "llama4" or file.optional("attention_chunk_size")):
        usual, key, between = _STEPS[family]
        step = file.optional(key) or usual
        kinds = tuple(between if (layer + 1) % step else _full() for layer in range(count))
    elif window and isinstance(file.get("sliding_window_pattern"), str):
        kinds = _lettered(file, count)
    elif window:
        # In Qwen only the layers from max_window_layers on slide, and only with
        # use_sliding_window; in other families all layers do.
        slides = file.get("use_sliding_window") or not family.startswith("qwen")
        first = file.optional("max_window_layers") if family.startswith("qwen") else 0
        kinds = tuple("sliding" if slides and layer >= first else "full" for layer in range(count))
    return kinds


def feed_forwards(
    file: HfFile, kinds: tuple[Mixer, ...], *, has_experts: bool
) -> tuple[FeedForward, ...]:
    """The feed-forward of each layer.

    Args:
        file: The file.
        kinds: The mixers of the layers.
        has_experts: Whether the model has experts.
    """
    pattern = _pattern(file)
    if pattern:
        return tuple(feed for _, feed in pattern)
    if file.family in _STATES:
        return tuple("none" for _ in kinds)
    if not has_experts:
        return tuple("dense" for _ in kinds)
    kinds_of_feeds = file.get("mlp_layer_types")
    if isinstance(kinds_of_feeds, (list, tuple)) and len(kinds_of_feeds) >= len(kinds):
        return tuple(
            "dense" if kind == "dense" else "experts" for kind in kinds_of_feeds[: len(kinds)]
        )
    listed = file.get("moe_layer_freq")
    if isinstance(listed, (list, tuple)) and len(listed) >= len(kinds):
        return tuple("experts" if count else "dense" for count in listed[: len(kinds)])
    dense = set(range(file.optional("first_k_dense_replace"))) | set(
        file.numbers("mlp_only_layers")
    )
    step, first = 1, 0
    if file.family == "jamba":
        step, first = file.size("expert_layer_period"), file.optional("expert_layer_offset")
    elif file.optional("moe_layer_freq"):
        step = file.size("moe_layer_freq")
    elif file.optional("decoder_sparse_step", "interleave_moe_layer_step"):
        step = file.size("decoder_sparse_step", "interleave_moe_layer_step")
        first = step - 1
    return tuple(
        "experts" if layer % step == first % step and layer not in dense else "dense"
        for layer in range(len(kinds))
    )


def recurrent(file: HfFile) -> Recurrent:
    """The sizes of the recurrent layers of a model that has such layers."""
    state_dtype = file.get("mamba_ssm_cache_dtype", "mamba_ssm_dtype")
    if file.family == "nemotron_h" and state_dtype is None:
        state_dtype = "float32"
    hidden = file.size("hidden_size", "d_model")
    if file.family in ("mamba", "falcon_mamba", "jamba"):
        rank = file.get("mamba_dt_rank", "time_step_rank")
        is_jamba = file.family == "jamba"
        return Recurrent(
            kind="mamba1",
            inner=file.size("mamba_expand") * hidden
            if is_jamba
            else file.size("intermediate_size"),
            kernel=file.size("mamba_d_conv", "conv_kernel"),
            state=file.size("mamba_d_state", "state_size"),
            rank=-(-hidden // 16) if rank in (None, "auto") else rank,
        )
    if file.optional("linear_num_value_heads"):
        heads, size = file.size("linear_num_value_heads"), file.size("linear_value_head_dim")
        return Recurrent(
            kind="gdn",
            inner=heads * size,
            kernel=file.size("linear_conv_kernel_dim"),
            heads=heads,
            head_dim=size,
            state=file.size("linear_key_head_dim"),
            groups=file.size("linear_num_key_heads"),
            state_dtype=state_dtype,
        )
    if file.optional("conv_L_cache"):
        width = file.optional("conv_dim") or hidden
        return Recurrent(kind="conv", inner=width, kernel=file.size("conv_L_cache"))
    heads = file.size("mamba_n_heads", "mamba_num_heads", "num_heads")
    size = file.size("mamba_d_head", "mamba_head_dim", "head_dim")
    return Recurrent(
        kind="mamba2",
        inner=file.optional("mamba_d_ssm") or heads * size,
        kernel=file.size("mamba_d_conv", "conv_kernel"),
        heads=heads,
        head_dim=size,
        state=file.size("mamba_d_state", "ssm_state_size", "state_size"),
        groups=file.size("mamba_n_groups", "n_groups"),
        state_dtype=state_dtype,
    )
