"""Activations and CUDA graphs: the one estimate, against the measured runs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs.memory.activations import (
    GIB,
    SMALL_BUFFERS,
    Batch,
    activation_bytes,
    graph_sizes,
)
from vllm_constructs.memory.shapes import ModelShape, catalog
from vllm_constructs.memory.weights import Split

LLAMA = ModelShape.named("meta-llama/Llama-3.1-8B-Instruct")


def test_measured() -> None:
    """The estimate is within 15 % in all measured runs, and so within its margin."""
    for run in strategies.facts("h100-measured.json")["runs"]:
        batch = Batch(
            tokens=run["max_num_batched_tokens"], requests=run["max_num_seqs"], logit_bytes=2
        )
        split = Split(tensor=run["options"].get("tensor_parallel_size", 1))
        found = activation_bytes(ModelShape.named(run["model"]), split, batch) / GIB
        assert found == pytest.approx(run["activation_peak_gib"], rel=0.15)


def test_by_hand() -> None:
    """A token has its gate, its up projection, their product and four hidden states."""
    batch = Batch(tokens=8192, requests=256)

    expected = 8192 * 2 * (3 * 14336 + 4 * 4096) + SMALL_BUFFERS
    assert activation_bytes(LLAMA, Split(), batch) == expected
    half = 8192 * 2 * (3 * 7168 + 4 * 4096) + SMALL_BUFFERS
    assert activation_bytes(LLAMA, Split(tensor=2), batch) == half


def test_sampling() -> None:
    """With few tokens the sampler counts, and only on the last stage."""
    batch = Batch(tokens=2048, requests=1024)
    sampling = 1024 * 128256 * 6 + 2 * 2048 * 2 * 4096 + SMALL_BUFFERS

    assert activation_bytes(LLAMA, Split(), batch) == sampling
    forward = 2048 * 2 * (3 * 14336 + 4 * 4096) + SMALL_BUFFERS
    assert activation_bytes(LLAMA, Split(), batch, is_last=False) == forward


def test_experts() -> None:
    """Each token is worked on by several experts at once."""
    shape = ModelShape.named("mistralai/Mixtral-8x7B-Instruct-v0.1")
    expected = 8192 * 2 * (2 * (2 * 14336 + 14336) + 4 * 4096) + SMALL_BUFFERS

    assert activation_bytes(shape, Split(), Batch(tokens=8192, requests=256)) == expected


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


@pytest.mark.parametrize(
    ("most", "expected"), [(1, 1), (3, 2), (4, 3), (8, 4), (256, 35), (512, 51), (1024, 83)]
)
def test_graph_sizes(most: int, expected: int) -> None:
    """The batch sizes are those that vLLM captures."""
    sizes = [1, 2, 4, *range(8, 256, 8), *range(256, 2048, 16)]

    assert graph_sizes(most) == len([size for size in sizes if size <= most]) == expected
