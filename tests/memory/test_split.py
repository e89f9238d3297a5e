"""Split: over how many GPUs vLLM can spread a model, and what to take instead."""

import re
from functools import partial
from typing import Any

import pytest

from tests import strategies
from tests.memory.test_options import options
from vllm_constructs import Tpu, VllmConstructsError, WholeGpu
from vllm_constructs.memory.shapes import ModelShape, catalog
from vllm_constructs.memory.split import check_split


def split(shape: str | ModelShape, count: int, **engine: Any) -> None:
    """Check a split over GPUs of one kind."""
    found = ModelShape.named(shape) if isinstance(shape, str) else shape
    check_split(found, options(WholeGpu("NVIDIA-H100-PCIe", count=count), found, **engine))


DCP = "decode_context_parallel_size"


@pytest.mark.parametrize(
    ("name", "count", "engine"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", 16, {"pipeline_parallel_size": 16}),
        ("Qwen/Qwen3-30B-A3B-FP8", 4, {"enable_expert_parallel": True}),
        ("Qwen/Qwen3-30B-A3B", 8, {DCP: 2}),
        ("deepseek-ai/DeepSeek-V3", 8, {DCP: 8}),
        ("Qwen/Qwen2.5-7B-Instruct", 4, {}),
    ],
)
def test_taken(name: str, count: int, engine: dict[str, Any]) -> None:
    """What vLLM takes passes: whole experts, heads that are repeated, tokens that are split."""
    split(name, count, **engine)


@pytest.mark.parametrize(
    ("name", "count", "engine", "words"),
    [
        (
            "Qwen/Qwen2.5-14B-Instruct",
            3,
            {},
            ("has 40 attention heads", "over 3 GPUs; give tensor_parallel_size=2, on 2 GPUs."),
        ),
        ("Qwen/Qwen2.5-7B-Instruct", 7, {}, ("over 7 GPUs or repeated", "size=4")),
        ("Qwen/Qwen2.5-7B-Instruct", 8, {}, ("28 attention heads", "size=4, on 4 GPUs")),
        ("Qwen/Qwen2.5-0.5B-Instruct", 16, {}, ("14 attention heads", "size=2, on 2 GPUs")),
        ("google/gemma-3-1b-it", 8, {}, ("4 attention heads", "size=4")),
        ("microsoft/phi-4", 4, {}, ("10 key and value heads", "size=2")),
        (
            "Qwen/Qwen2.5-7B-Instruct",
            16,
            {"pipeline_parallel_size": 2},
            ("over 8 GPUs", "size=4, on 8 GPUs"),
        ),
        ("Qwen/Qwen3-30B-A3B-FP8", 4, {}, ("would have 192 columns of each expert", "size=2")),
        ("tiiuae/falcon-mamba-7b", 3, {}, ("8192 channels of recurrent", "size=2")),
        ("google/gemma-2-2b-it", 4, {DCP: 3}, ("does not divide the tensor_parallel_size of 4",)),
        ("meta-llama/Llama-3.1-8B-Instruct", 4, {DCP: 4}, ("8 key and value heads", "only once")),
        ("Qwen/Qwen3-30B-A3B", 8, {DCP: 4}, ("4 key and value heads", "only 2 times")),
    ],
)
def test_refused(name: str, count: int, engine: dict[str, Any], words: tuple[str, ...]) -> None:
    """A split that vLLM would reject is rejected with one that it takes."""
    sentence = strategies.refusal(lambda: split(name, count, **engine))

    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize(
    ("name", "count", "engine"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 3, {}),
        ("google/gemma-2-2b-it", 4, {DCP: 3}),
        ("Qwen/Qwen2.5-0.5B-Instruct", 15, {"pipeline_parallel_size": 15, DCP: 2}),
    ],
)
def test_kind(name: str, count: int, engine: dict[str, Any]) -> None:
    """A model that cannot be split like that does not fit."""
    with pytest.raises(VllmConstructsError) as caught:
        split(name, count, **engine)
    assert "does not fit" == caught.value.problem.kind


_ADVICE = re.compile(r".*; give tensor_parallel_size=(\d+), on (\d+) GPUs?\.")


def advised(name: str, count: int) -> int:
    """How many GPUs are advised instead; the same number where the split is taken."""
    try:
        split(name, count)
    except VllmConstructsError as error:
        found = _ADVICE.fullmatch(str(error))
        return int(found[2]) if found and found[1] == found[2] else -1
    return count


@pytest.mark.parametrize("name", sorted(catalog()))
def test_advice(name: str) -> None:
    """What is advised is taken, for every model of the catalog and any number of GPUs."""
    for count in range(1, 17):
        best = advised(name, count)
        assert 1 <= best <= count
        assert best == advised(name, best)


def test_context_queries() -> None:
    """Query heads of each key and value head are split evenly, too."""
    shape = ModelShape(
        name="odd",
        hidden_size=64,
        vocab_size=64,
        mixers=("full",),
        feed_forwards=("dense",),
        intermediate_size=960,
        num_attention_heads=12,
        num_key_value_heads=3,
        head_dim=16,
        longest=64,
    )

    split(shape, 12, **{DCP: 4})
    sentence = strategies.refusal(partial(split, shape, 12, **{DCP: 3}))
    assert "does not divide the 4 query heads" in sentence


def test_too_many_stages() -> None:
    """More stages than layers are rejected."""
    two = ModelShape(
        name="two",
        hidden_size=64,
        vocab_size=64,
        mixers=("full", "full"),
        feed_forwards=("dense", "dense"),
        intermediate_size=64,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        longest=64,
    )

    sentence = strategies.refusal(partial(split, two, 3, pipeline_parallel_size=3))
    assert "too few for 3 stages; give a pipeline_parallel_size of at most 2." in sentence


def test_all_devices() -> None:
    """A pod that has all chips of its host cannot have fewer: it gets more engines instead."""
    qwen = ModelShape.named("Qwen/Qwen2.5-7B-Instruct")
    tpu = Tpu("v6e", topology="2x4")
    with pytest.raises(VllmConstructsError) as refusal:
        check_split(qwen, options(tpu, qwen))
    assert str(refusal.value).endswith("give tensor_parallel_size=4 and data_parallel_size=2.")
    check_split(qwen, options(tpu, qwen, tensor_parallel_size=4, data_parallel_size=2))
