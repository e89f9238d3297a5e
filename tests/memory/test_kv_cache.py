"""The KV cache: groups, blocks and bytes, by hand and for every kind of layer."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.memory.test_hf_config import read
from tests.memory.test_hf_layers import GDN
from vllm_constructs.memory.kv_cache import CacheOptions, cache_of, state_bytes, token_bytes
from vllm_constructs.memory.shapes import ModelShape, catalog

named = ModelShape.named
LLAMA = named("meta-llama/Llama-3.1-8B-Instruct")
OPTIONS = CacheOptions()
NAMES = st.sampled_from(sorted(catalog()))
OSS = named("openai/gpt-oss-20b")


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("bfloat16", 2 * 8 * 128 * 2),
        ("float32", 2 * 8 * 128 * 4),
        ("fp8", 2 * 8 * 128),
        ("fp8_e5m2", 2 * 8 * 128),
        ("int8_per_token_head", 8 * (2 * 128 + 8)),
        ("int4_per_token_head", 8 * (128 + 8)),
        ("nvfp4", 2 * 8 * (64 + 8)),
    ],
)
def test_token(dtype: str, expected: int) -> None:
    """A token takes a key and a value of each head, in the cache's data type."""
    assert token_bytes(LLAMA, replace(OPTIONS, dtype=dtype)) == expected


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("bfloat16", 1152), ("fp8", 576), ("fp8_ds_mla", 656), ("nvfp4_ds_mla", 352)],
)
def test_latent_token(dtype: str, expected: int) -> None:
    """Latent attention keeps one vector a token, whatever the number of GPUs."""
    for tensor in (1, 8):
        options = replace(OPTIONS, dtype=dtype, tensor=tensor)
        assert token_bytes(named("deepseek-ai/DeepSeek-V3"), options) == expected


def test_unknown_dtype() -> None:
    """A cache whose size is not known is refused."""
    options = replace(OPTIONS, dtype="turboquant_4bit_nc")

    assert "is not known" in strategies.refusal(lambda: token_bytes(LLAMA, options))
    mixed = replace(OPTIONS, dtype="fp8_ds_mla")
    assert "is not known" in strategies.refusal(lambda: token_bytes(LLAMA, mixed))


@pytest.mark.parametrize(("tensor", "heads"), [(1, 8), (4, 2), (8, 1), (16, 1)])
def test_tensor(tensor: int, heads: int) -> None:
    """GPUs share the heads, but each has at least one."""
    assert token_bytes(LLAMA, replace(OPTIONS, tensor=tensor)) == 2 * heads * 128 * 2


def test_indexer() -> None:
    """Sparse attention keeps the indexer's keys too: 128 bytes and a scale for each token."""
    config = dict(catalog()["deepseek-ai/DeepSeek-V3"]["config"])
    config |= {"index_topk": 2048, "index_n_heads": 64, "index_head_dim": 128}
    shape = ModelShape.from_config(config)
    cache = cache_of(shape, replace(OPTIONS, dtype="fp8"), 4096)

    assert cache.per_token == (61 * (656 + 132),)
    assert cache.needed(4096) == 61 * (656 + 132) * 4096
    assert len(cache.groups) == 1


@pytest.mark.parametrize(
    ("shape", "length", "expected"),
    [
        (LLAMA, 100, 7),
        (LLAMA, 112, 7),
        (named("mistralai/Mistral-7B-v0.1"), 4096, 257),
        (named("mistralai/Mistral-7B-v0.1"), 100_000, (4095 + 16384 + 15) // 16 + 1),
        (named("google/gemma-2-9b-it"), 8192, 512 + 513),
        (read(model_type="llama4", attention_chunk_size=8192), 10_000, 625 + 3 * 625),
        (
            read(model_type="llama4", attention_chunk_size=8192),
            100_000,
            6250 + 3 * (8192 + 16384) // 16,
        ),
    ],
)
def test_blocks(shape: ModelShape, length: int, expected: int) -> None:
    """A request takes blocks of each group: all tokens, or those of the window."""
    assert cache_of(shape, OPTIONS, length).blocks(length) == expected


def test_groups() -> None:
    """Groups are as large as the smallest kind, or the largest where they hardly differ."""
    gemma = cache_of(named("google/gemma-3-27b-it"), OPTIONS, 4096)
    sizes = sorted(len(group.specs) for group in gemma.groups)
    types = ["sliding_attention"] * 12 + ["full_attention"] * 13
    close = read(num_hidden_layers=25, layer_types=types, sliding_window=128)

    assert sizes == [8, 8, 9, 9, 9, 9, 10]
    assert [len(one.specs) for one in cache_of(close, OPTIONS, 4096).groups] == [12, 13]
    types = ["sliding_attention"] * 16 + ["full_attention"] * 8
    apart = read(num_hidden_layers=24, layer_types=types, sliding_window=128)
    assert [len(one.specs) for one in cache_of(apart, OPTIONS, 4096).groups] == [8, 8, 8]


def test_latent_hybrid() -> None:
    """Beside latent attention, a page that holds a state is a multiple of 128 tokens."""
    shape = replace(
        named("deepseek-ai/DeepSeek-V2-Lite"),
        mixers=("full", "recurrent", "recurrent") * 9,
        recurrent=named("Qwen/Qwen3-Next-80B-A3B-Instruct").recurrent,
    )
    state = 8192 * 3 * 2 + 32 * 128 * 128 * 2
    cache = cache_of(shape, OPTIONS, 4096)

    assert state_bytes(shape, OPTIONS) == state
    assert {one.specs[0][1].block_size for one in cache.groups} == {1024}
    assert 1024 - 128 < state / 1152 < 1024


def test_without_hybrid() -> None:
    """Without the hybrid manager, sliding layers keep all tokens."""
    full = cache_of(OSS, replace(OPTIONS, hybrid=False), 131072)

    assert full.needed(131072) == 24 * 2048 * 131072
    assert cache_of(OSS, OPTIONS, 131072).needed(131072) == 3_627_417_600


def test_context() -> None:
    """Decode context parallelism splits the tokens of a request."""
    latent = named("deepseek-ai/DeepSeek-V3")
    whole = cache_of(latent, OPTIONS, 65536)
    half = cache_of(latent, replace(OPTIONS, tensor=8, context=2), 65536)

    assert 2 * half.needed(65536) == whole.needed(65536)


@pytest.mark.parametrize(
    ("shape", "tensor", "expected"),
    [
        (named("tiiuae/falcon-mamba-7b"), 1, 8192 * 3 * 2 + 8192 * 16 * 2),
        (named("tiiuae/falcon-mamba-7b"), 2, 4096 * 3 * 2 + 4096 * 16 * 2),
        (
            named("mistralai/Mamba-Codestral-7B-v0.1"),
            1,
            (8192 + 2 * 8 * 128) * 3 * 2 + 128 * 64 * 128 * 2,
        ),
        (
            named("Qwen/Qwen3-Next-80B-A3B-Instruct"),
            2,
            (4096 + 2 * 16 * 128) // 2 * 3 * 2 + 16 * 128 * 128 * 2,
        ),
        (
            read(model_type="lfm2", layer_types=["conv", "attention"] * 16, conv_L_cache=3),
            1,
            4096 * 2 * 2,
        ),
        (LLAMA, 1, 0),
    ],
)
def test_state(shape: ModelShape, tensor: int, expected: int) -> None:
    """A recurrent layer keeps a state and the last inputs of its convolution."""
    assert state_bytes(shape, replace(OPTIONS, tensor=tensor)) == expected


def test_state_dtype() -> None:
    """The state's data type is the option's, else the model's own."""
    shape = read(model_type="qwen3_next", mamba_ssm_dtype="float32", **GDN)
    wide, narrow = state_bytes(shape, OPTIONS), 32 * 128 * 128 * 2

    assert wide - state_bytes(shape, replace(OPTIONS, state_dtype="bfloat16")) == narrow


def test_pure_state() -> None:
    """A model without attention takes one block a request, of any length."""
    shape = named("tiiuae/falcon-mamba-7b")
    cache = cache_of(shape, replace(OPTIONS, prefix_caching=False), 4096)

    assert (cache.blocks(1), cache.blocks(10**6), cache.per_token) == (1, 1, (0,))
    assert cache.needed(4096) == 64 * state_bytes(shape, OPTIONS)
    assert cache_of(shape, OPTIONS, 4096).blocks(4096) == 2


def test_parallel() -> None:
    """A layer with attention and a state keeps both."""
    mamba = {"mamba_n_heads": 24, "mamba_d_head": 64, "mamba_d_state": 256}
    shape = read(model_type="falcon_h1", mamba_n_groups=1, mamba_d_conv=4, **mamba)
    cache = cache_of(shape, OPTIONS, 4096)

    assert sorted(one.specs[0][1].kind for one in cache.groups) == ["full", "recurrent"]


def test_shared() -> None:
    """A layer that reads another's cache keeps nothing."""
    whole, part = (cache_of(read(num_kv_shared_layers=n), OPTIONS, 4096) for n in (0, 8))

    assert part.needed(4096) * 32 == whole.needed(4096) * 24


def test_pipeline() -> None:
    """The stages share the cache of all layers between them."""
    one = cache_of(OSS, OPTIONS, 8192)
    two = cache_of(OSS, replace(OPTIONS, pipeline=2), 8192)

    assert sum(two.needed(8192, stage) for stage in (0, 1)) == one.needed(8192)
    assert sum(two.per_token) == one.per_token[0]


def test_longest() -> None:
    """The longest request is the last one that fits beside the empty block."""
    cache = cache_of(LLAMA, OPTIONS, 131072)
    room = 2**30
    length = cache.longest(0, room, 131072)

    assert length == (room // (2 * 2**20) - 1) * 16
    assert cache.longest(0, 0, 131072) == 0
    assert cache.longest(0, 2**40, 131072) == 131072


@settings(max_examples=150, deadline=None)
@given(name=NAMES, length=st.integers(1, 200_000), more=st.integers(0, 50_000))
def test_monotone(name: str, length: int, more: int) -> None:
    """More tokens never need fewer bytes."""
    cache = cache_of(named(name), OPTIONS, 2**18)

    assert cache.needed(length) <= cache.needed(length + more)


@settings(max_examples=100, deadline=None)
@given(name=NAMES, length=st.integers(1, 200_000), options=st.data())
def test_smaller_types(name: str, length: int, options: Any) -> None:
    """Eight bits take half of sixteen, where only attention keeps something."""
    shape = named(name)
    block = options.draw(st.sampled_from([16, 32, 64]))
    wide = cache_of(shape, replace(OPTIONS, block_size=block), length)
    narrow = cache_of(shape, replace(OPTIONS, block_size=block, dtype="fp8"), length)

    if shape.recurrent is None:
        assert 2 * narrow.needed(length) == wide.needed(length)
    else:
        assert narrow.needed(length) <= 2 * wide.needed(length)
