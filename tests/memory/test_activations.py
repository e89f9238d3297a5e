"""Activations and CUDA graphs: what is alive at the peak of a forward pass."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_constructs.memory.activations import (
    SMALL_BUFFERS,
    Batch,
    activation_bytes,
    context_of,
)
from vllm_constructs.memory.expert_kernel import ExpertKernel
from vllm_constructs.memory.shapes import ModelShape, catalog
from vllm_constructs.memory.weights import Split

LLAMA = ModelShape.named("meta-llama/Llama-3.1-8B-Instruct")


def test_by_hand() -> None:
    """A token has its gate, its up projection, their product and four hidden states."""
    batch = Batch(tokens=8192, requests=16)

    expected = 8192 * 2 * (3 * 14336 + 4 * 4096) + SMALL_BUFFERS
    assert activation_bytes(LLAMA, Split(), batch) == expected
    half = 8192 * 2 * (3 * 7168 + 4 * 4096) + SMALL_BUFFERS
    assert activation_bytes(LLAMA, Split(tensor=2), batch) == half


def test_norms() -> None:
    """A norm behind the feed-forward has an output of its own."""
    shape = ModelShape.named("google/gemma-2-9b-it")
    expected = 8192 * 2 * (3 * 14336 + 5 * 3584) + SMALL_BUFFERS

    assert activation_bytes(shape, Split(), Batch(tokens=8192, requests=16)) == expected


def test_sampling() -> None:
    """With few tokens the sampler counts, and only on the last stage."""
    batch = Batch(tokens=2048, requests=1024)
    sampling = 1024 * 128256 * 14 + 132 * 128256 * 4 + 2 * 2048 * 2 * 4096 + SMALL_BUFFERS

    assert activation_bytes(LLAMA, Split(), batch) == sampling
    forward = 2048 * 2 * (3 * 14336 + 4 * 4096) + SMALL_BUFFERS
    assert activation_bytes(LLAMA, Split(), batch, is_last=False) == forward
    second = Batch(tokens=2048, requests=1024, logit_bytes=2, has_buffer=False)
    assert activation_bytes(LLAMA, Split(), second) == sampling - 1024 * 128256 * 12 - (
        132 * 128256 * 4
    )


def test_workspace() -> None:
    """The workspace of experts is there beside attention and sampler."""
    shape = ModelShape.named("mistralai/Mixtral-8x7B-Instruct-v0.1")
    workspace = 8192 * 2 * 2 * (14336 + 2 * 14336)
    batch = Batch(tokens=8192, requests=16)

    found = activation_bytes(shape, Split(), batch)
    # Queries, keys, values and result, and three hidden states, are more than four of these.
    assert found == workspace + 8192 * 2 * (3 * 4096 + (2 * 32 + 2 * 8) * 128) + SMALL_BUFFERS
    more = activation_bytes(shape, Split(), Batch(tokens=8192, requests=4096))
    sampling = 4096 * 32000 * 14 + 132 * 32000 * 4 + 2 * 8192 * 2 * 4096
    assert more == workspace + sampling + SMALL_BUFFERS


def test_fused() -> None:
    """A kernel without a workspace has its results only while it runs."""
    shape = ModelShape.named("openai/gpt-oss-20b")
    kernel = ExpertKernel(has_workspace=False)
    expected = 8192 * 2 * (4 * 2880 + 4 * (2880 + 2880)) + SMALL_BUFFERS

    found = activation_bytes(shape, Split(), Batch(tokens=8192, requests=1), kernel=kernel)
    assert found == expected


def test_latent() -> None:
    """Latent attention reserves unpacked keys and values of earlier tokens."""
    shape = ModelShape.named("deepseek-ai/DeepSeek-V2-Lite-Chat")
    workspace = 8192 * 2 * 6 * (2048 + 2 * 1408)
    attention = 8192 * 2 * (2 * 2048 + 16 * (192 + 128) + 2 * 512 + 64)
    reserved = 65536 * 16 * 256 * 2

    found = activation_bytes(shape, Split(), Batch(tokens=8192, requests=16))
    assert found == workspace + attention + reserved + SMALL_BUFFERS
    short = Batch(tokens=8192, requests=16, context=context_of(6144, 16, 16))
    assert found - activation_bytes(shape, Split(), short) == (65536 - 49152) * 16 * 256 * 2


@pytest.mark.parametrize(
    ("length", "requests", "block", "expected"),
    [(1024, 16, 16, 8192), (64, 128, 64, 32768), (32768, 1024, 16, 65536)],
)
def test_context(length: int, requests: int, block: int, expected: int) -> None:
    """Eight whole requests or four blocks of each are reserved, up to 65536 tokens."""
    assert context_of(length, requests, block) == expected


def test_order() -> None:
    """A dense feed-forward before all experts has no workspace beside it, one after them has."""
    shape = ModelShape.named("deepseek-ai/DeepSeek-V2-Lite-Chat")
    batch = Batch(tokens=8192, requests=16, context=8192)
    feeds = shape.feed_forwards
    late = replace(shape, feed_forwards=(*feeds[1:], feeds[0]))
    workspace = 8192 * 2 * 6 * (2048 + 2 * 1408)
    dense = 8192 * 2 * (4 * 2048 + 3 * 10944)

    assert activation_bytes(late, Split(), batch) == workspace + dense + SMALL_BUFFERS
    assert activation_bytes(shape, Split(), batch) < workspace + dense


def test_data_parallel() -> None:
    """Experts work on the tokens of all ranks."""
    shape = ModelShape.named("Qwen/Qwen3-30B-A3B")
    batch = Batch(tokens=8192, requests=16)
    split = Split(data=4, expert_parallel=True)

    one = activation_bytes(shape, Split(expert_parallel=True), batch)
    four = activation_bytes(shape, split, batch)
    assert four - one > 3 * 8192 * 2 * 8 * (2048 + 2048)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(catalog())), st.integers(1, 2**16), st.integers(1, 2**12))
def test_monotone(name: str, tokens: int, requests: int) -> None:
    """Larger batches take more, more GPUs never do."""
    shape = ModelShape.named(name)
    batch = Batch(tokens=tokens, requests=requests)
    more = Batch(tokens=tokens + 1, requests=requests + 1)

    assert activation_bytes(shape, Split(), batch) <= activation_bytes(shape, Split(), more)
    assert activation_bytes(shape, Split(tensor=2), batch) <= activation_bytes(
        shape, Split(), batch
    )
