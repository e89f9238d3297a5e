"""Weights: parameters by hand, stages of a pipeline, and bytes on one GPU."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_constructs.memory.quantization import METHODS
from vllm_constructs.memory.shapes import ModelShape, catalog
from vllm_constructs.memory.sizes import Recurrent
from vllm_constructs.memory.weights import Split, adapters, loaded, matrices, parameters, stages

LLAMA = ModelShape.named("meta-llama/Llama-3.1-8B-Instruct")
DEEPSEEK = ModelShape.named("deepseek-ai/DeepSeek-V3")
MIB = 2**20


def by_hand() -> int:
    """Return the parameters of Llama 3.1 8B, written out."""
    attention = 4096 * (32 + 2 * 8) * 128 + 32 * 128 * 4096
    layer = attention + 3 * 4096 * 14336 + 2 * 4096
    return 32 * layer + 2 * 128256 * 4096 + 4096


def test_by_hand() -> None:
    """The count is what one writes down by hand."""
    assert by_hand() == 8_030_261_248
    assert parameters(LLAMA) == by_hand()


@pytest.mark.parametrize(
    ("layers", "count", "sizes"),
    [
        (32, 1, [32]),
        (32, 2, [16, 16]),
        (61, 2, [31, 30]),
        (61, 4, [15, 15, 16, 15]),
        (62, 4, [15, 16, 16, 15]),
        (63, 4, [16, 16, 16, 15]),
        (5, 3, [2, 2, 1]),
    ],
)
def test_stages(layers: int, count: int, sizes: list[int]) -> None:
    """What is left over goes to the stages before the last."""
    found = stages(layers, count)

    assert [len(one) for one in found] == sizes
    assert [layer for one in found for layer in one] == list(range(layers))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(catalog())), st.sampled_from([1, 2, 3, 4]))
def test_pipeline(name: str, pipeline: int) -> None:
    """The stages together hold each parameter once, a tied embedding twice."""
    shape = ModelShape.named(name)
    split = Split(pipeline=pipeline)
    total = sum(
        one.parameters for stage in range(pipeline) for one in matrices(shape, split, stage)
    )
    again = shape.vocab_size * shape.hidden_size if shape.tied and pipeline > 1 else 0

    assert total == parameters(shape) + again


def test_tensor() -> None:
    """Two GPUs share the matrices, and each has all norms."""
    halves = sum(one.parameters for one in matrices(LLAMA, Split(tensor=2)))
    norms = (2 * 32 + 1) * 4096

    assert 2 * halves == by_hand() + norms


def test_repeated_heads() -> None:
    """More GPUs than key and value heads repeat those."""
    sixteen = sum(one.parameters for one in matrices(LLAMA, Split(tensor=16)))
    repeated = 32 * 4096 * 2 * 8 * 128
    norms = (2 * 32 + 1) * 4096

    assert 16 * sixteen == by_hand() + repeated + 15 * norms


def test_experts() -> None:
    """Experts are split over all GPUs of all engines, by columns or whole."""
    shape = ModelShape.named("Qwen/Qwen3-30B-A3B")

    def experts(split: Split) -> int:
        found = matrices(shape, split)
        return sum(one.parameters for one in found if one.kind == "experts")

    whole = experts(Split())
    assert whole == 48 * 128 * 3 * 2048 * 768
    for split in (
        Split(tensor=4),
        Split(tensor=2, data=2),
        Split(tensor=4, expert_parallel=True),
        Split(tensor=2, data=2, expert_parallel=True),
    ):
        assert 4 * experts(split) == whole


def test_loaded() -> None:
    """Loaded are two bytes a parameter, and the rotary table of all positions."""
    table = 131072 * 128 * 2

    assert loaded(LLAMA) == pytest.approx(2 * by_hand() + table, rel=0.001)
    assert loaded(LLAMA, dtype_bytes=4) == pytest.approx(4 * by_hand() + 2 * table, rel=0.001)


def test_rounded() -> None:
    """A large tensor is rounded up to 2 MiB: 7B's output projection takes 26 instead of 24.5."""
    shape = ModelShape.named("Qwen/Qwen2.5-7B-Instruct")
    each = 14 + 28 + 42 + 14 + 1

    assert (loaded(shape) - 2 * shape.parameters - 8 * MIB) / MIB == pytest.approx(each, abs=0.5)


def test_quantized() -> None:
    """Quantisation reaches the layers' matrices, but neither embeddings nor norms."""
    linear = sum(one.parameters for one in matrices(LLAMA) if one.kind == "linear")

    saved = loaded(LLAMA) - loaded(LLAMA, quantization=METHODS["fp8"])
    assert saved == pytest.approx(linear, rel=0.001)
    saved = loaded(LLAMA) - loaded(LLAMA, quantization=METHODS["mxfp4"])
    assert saved == 0


def test_unpacked() -> None:
    """Quantised latent attention keeps an unquantized copy of one matrix."""
    quantized = loaded(DEEPSEEK, Split(tensor=8), quantization=DEEPSEEK.quantization)
    copy = 61 * 512 * 16 * 256 * 2
    plain = loaded(DEEPSEEK, Split(tensor=8))
    halved = sum(
        one.parameters
        for one in matrices(DEEPSEEK, Split(tensor=8))
        if one.kind in ("linear", "experts")
    )

    assert quantized == pytest.approx(plain - halved + copy, rel=0.001)


def test_beside() -> None:
    """What is no text layer is on the first stage, whole on every GPU."""
    shape = ModelShape.named("google/gemma-3-27b-it")
    text = replace(shape, other_parameters=0)
    for split in (Split(), Split(tensor=2, pipeline=2)):
        assert loaded(shape, split) - loaded(text, split) == 2 * shape.other_parameters
    assert loaded(shape, split, 1) == loaded(text, split, 1)


def test_kinds() -> None:
    """Layers of all kinds are counted: what one has of each, by hand."""
    lite = ModelShape.named("deepseek-ai/DeepSeek-V2-Lite")
    assert lite.latent
    sparse = replace(lite, latent=replace(lite.latent, index_heads=4, index_dim=64))
    conv = replace(
        LLAMA,
        mixers=("recurrent",) * 32,
        recurrent=Recurrent(kind="conv", inner=4096, kernel=3),
    )
    attention = 4096 * 6144 + 4096 * 4096

    assert parameters(sparse) - parameters(lite) == 27 * (
        2048 * 4 * 64 + 2048 * 64 + 2048 * 4 + 2 * 64
    )
    assert parameters(conv) - parameters(LLAMA) == 32 * (4 * 4096**2 + 3 * 4096 - attention)


def test_adapters() -> None:
    """An adapter of rank 16 has two thin matrices beside each projection of a layer."""
    sides = (3 * 4096 + 6144) + (4096 + 4096) + (2 * 4096 + 28672) + (14336 + 4096)
    # facts/topologies.md, section 5: 5 MiB for each rank.
    assert 2 * 32 * sides == 5 * 2**20

    assert adapters(LLAMA, Split(), 0, count=2, rank=16) == 2 * 2 * 16 * 32 * sides


def test_expert_adapters() -> None:
    """Each expert has its own pair of thin matrices."""
    shape = ModelShape.named("mistralai/Mixtral-8x7B-Instruct-v0.1")
    attention = (3 * 4096 + 6144) + (4096 + 4096)
    experts = 8 * ((2 * 4096 + 28672) + (14336 + 4096))

    found = adapters(shape, Split(), 0, count=1, rank=8)
    assert found == 2 * 8 * 32 * (attention + experts)


def test_redundant() -> None:
    """Copies of experts count as experts."""
    shape = ModelShape.named("Qwen/Qwen3-30B-A3B")
    split = Split(data=8, expert_parallel=True)
    each = 3 * 2048 * 768 * 2

    more = loaded(shape, replace(split, redundant=16))
    # Two tensors of each layer are rounded up to 2 MiB.
    assert more - loaded(shape, split) == pytest.approx(48 * 2 * each, rel=0.05)
