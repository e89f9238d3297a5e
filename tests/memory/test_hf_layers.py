"""Kinds of layers: listed in the file, or known from the family."""

from typing import Any

import pytest

from tests import strategies
from tests.memory.test_hf_config import read
from vllm_constructs.memory.shapes import ModelShape

MOE = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 256}
MAMBA = {
    "mamba_n_heads": 128,
    "mamba_d_head": 64,
    "mamba_d_state": 128,
    "mamba_n_groups": 1,
    "mamba_d_conv": 4,
}
GDN = {
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ffffffff"),
        ({"layer_types": ["sliding_attention", "full_attention"] * 4}, "ffffffff"),
        (
            {"layer_types": ["sliding_attention", "full_attention"] * 4, "sliding_window": 9},
            "sfsfsfsf",
        ),
        ({"model_type": "mistral", "sliding_window": 9}, "ssssssss"),
        ({"model_type": "mistral", "sliding_window": None}, "ffffffff"),
        ({"model_type": "qwen2", "sliding_window": 9, "use_sliding_window": False}, "ffffffff"),
        ({"model_type": "qwen2", "sliding_window": 9}, "ffffffff"),
        (
            {
                "model_type": "qwen2",
                "sliding_window": 9,
                "use_sliding_window": True,
                "max_window_layers": 5,
            },
            "fffffsss",
        ),
        ({"model_type": "gemma2", "sliding_window": 9}, "sfsfsfsf"),
        ({"model_type": "gemma3_text", "sliding_window": 9}, "sssssfss"),
        ({"model_type": "cohere2", "sliding_window": 9}, "sssfsssf"),
        ({"model_type": "llama4", "attention_chunk_size": 9}, "cccfcccf"),
        ({"model_type": "llama4"}, "ffffffff"),
        ({"model_type": "qwen3_next", **GDN}, "rrrfrrrf"),
        ({"model_type": "bamba", "attn_layer_indices": [2], **MAMBA}, "rrfrrrrr"),
        ({"model_type": "falcon_h1", **MAMBA}, "pppppppp"),
        (
            {
                "model_type": "jamba",
                "attn_layer_period": 4,
                "attn_layer_offset": 1,
                "mamba_expand": 2,
                "mamba_d_conv": 4,
                "mamba_d_state": 16,
            },
            "rfrrrfrr",
        ),
        ({"num_kv_shared_layers": 3}, "fffff---"),
        ({"hybrid_override_pattern": "M-M*", "model_type": "nemotron_h", **MAMBA}, "r.rf"),
    ],
)
def test_mixers(changes: dict[str, Any], expected: str) -> None:
    """Each family has its pattern of layers."""
    letters = {"shared": "-", "none": "."}
    shape = read(**{"num_hidden_layers": 8, **changes})

    assert "".join(letters.get(one, one[0]) for one in shape.mixers) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "dddd"),
        (MOE, "eeee"),
        (MOE | {"decoder_sparse_step": 2}, "dede"),
        (MOE | {"mlp_only_layers": [0, 3]}, "deed"),
        (MOE | {"first_k_dense_replace": 1, "moe_layer_freq": 1}, "deee"),
        (MOE | {"moe_layer_freq": [0, 1, 1, 1]}, "deee"),
        (MOE | {"num_experts": 1}, "dddd"),
    ],
)
def test_feed_forwards(changes: dict[str, Any], expected: str) -> None:
    """Experts are in the layers that the file says."""
    shape = read(**{"num_hidden_layers": 4, **changes})

    assert "".join(one[0] for one in shape.feed_forwards) == expected


def test_states() -> None:
    """Recurrent layers of all kinds have their sizes."""
    mamba2 = read(model_type="bamba", attn_layer_indices=[0], **MAMBA).recurrent
    gdn = read(model_type="qwen3_next", **GDN).recurrent
    types = ["conv", "full_attention"] * 16
    conv = read(model_type="lfm2", layer_types=types, conv_L_cache=3).recurrent
    nemotron = read(model_type="nemotron_h", hybrid_override_pattern="M*-E", **MAMBA, **MOE)

    assert mamba2
    assert (mamba2.kind, mamba2.inner, mamba2.state_dtype) == ("mamba2", 8192, None)
    assert gdn
    assert (gdn.kind, gdn.inner, gdn.groups) == ("gdn", 4096, 16)
    assert conv
    assert (conv.kind, conv.inner, conv.kernel) == ("conv", 4096, 3)
    assert nemotron.recurrent
    assert nemotron.recurrent.state_dtype == "float32"
    assert nemotron.feed_forwards == ("none", "none", "dense", "experts")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"layer_types": ["full_attention"]}, "has 1 entries for 32 layers"),
        ({"layer_types": ["full_attn"] * 32}, "one of 'full_attention'"),
        ({"hybrid_override_pattern": "MX"}, "hybrid_override_pattern"),
        ({"model_type": "bamba", "attn_layer_indices": 3}, "a list of integers"),
        ({"layer_types": ["mamba"] * 32}, "has no 'mamba_n_heads'"),
        (MOE | {"num_experts_per_tok": 9}, "Experts.per_token is 9"),
    ],
)
def test_refused(changes: dict[str, Any], part: str) -> None:
    """Layers of a kind that is not known are refused."""
    assert part in strategies.refusal(lambda: read(**changes))


def test_window() -> None:
    """Only a shape with sliding layers has a window."""
    assert ModelShape.named("google/gemma-2-9b-it").window == 4096
    assert ModelShape.named("Qwen/Qwen2.5-7B-Instruct").window == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attn_type_list", [0, 1]),
        ("linear_attn_config", {"kda_layers": [1]}),
        ("block_types", ["recurrent"]),
        ("hybrid_layer_ids", [1]),
    ],
)
def test_uncounted(key: str, value: object) -> None:
    """A file with layers of a kind that is not known is refused, not taken for attention."""
    sentence = strategies.refusal(lambda: read(**{key: value}))

    assert f"has {key!r}, the key of layers that this library cannot count" in sentence


def test_letters() -> None:
    """EXAONE 4 says by letters which layers slide, and repeats them."""
    found = read(num_hidden_layers=6, sliding_window=4096, sliding_window_pattern="LLG")

    assert found.mixers == ("sliding", "sliding", "full") * 2
    sentence = strategies.refusal(
        lambda: read(num_hidden_layers=6, sliding_window=4096, sliding_window_pattern="LXG")
    )
    assert "letters L and G, such as 'LLLG'" in sentence
