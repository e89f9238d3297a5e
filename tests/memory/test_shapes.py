"""Model shapes: the catalogue, and what a shape refuses."""

from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import VllmConstructsError
from vllm_constructs.memory.quantization import Quantization
from vllm_constructs.memory.shapes import Experts, LatentAttention, ModelShape, Recurrent, catalogue

QWEN = ModelShape.named("Qwen/Qwen2.5-7B-Instruct")
# What is counted beside the text layers: vision towers, and biases that choose experts.
BESIDE = {
    "google/gemma-3-4b-it": 419_816_304,
    "google/gemma-3-12b-it": 421_290_864,
    "google/gemma-3-27b-it": 423_060_336,
    "deepseek-ai/DeepSeek-V3": 14_848,
}


def test_catalogue() -> None:
    """The catalogue has many models, each with its source and under one name only."""
    names = [*catalogue(), *(other for one in catalogue().values() for other in one["also"])]

    assert len(catalogue()) >= 25
    assert len(names) == len(set(names))
    kinds = [one["source"].partition(": ")[0] for one in catalogue().values()]
    assert {"config.json", "config.json of a sibling", "tables"} == set(kinds)
    assert kinds.count("tables") <= 10
    assert all(one["source"].partition(": ")[2] for one in catalogue().values())
    assert sorted(catalogue()) == list(catalogue())


@pytest.mark.parametrize("name", catalogue())
def test_parameters(name: str) -> None:
    """The sizes of a model make its published number of parameters, to the last one."""
    shape = ModelShape.named(name)

    assert shape.parameters == catalogue()[name]["parameters"]
    assert shape.other_parameters == BESIDE.get(name, 0)


def test_measured_shapes() -> None:
    """The shapes of the measured models are those that were measured."""
    for one in strategies.facts("h100-measured.json")["shapes"]:
        shape = ModelShape.named(one["hf"])
        found = {
            "hidden_size": shape.hidden_size,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.num_attention_heads,
            "num_key_value_heads": shape.num_key_value_heads,
            "head_dim": shape.head_dim,
            "intermediate_size": shape.intermediate_size,
            "vocab_size": shape.vocab_size,
            "tie_word_embeddings": shape.tied,
        }
        assert found == {key: one[key] for key in found}
        assert shape.window == one.get("sliding_window", 0)


def test_kinds() -> None:
    """The catalogue has models of every kind of cache."""
    shapes = [ModelShape.named(name) for name in catalogue()]

    assert {"full", "sliding", "recurrent"} <= {mixer for one in shapes for mixer in one.mixers}
    assert any(one.latent for one in shapes)
    assert any(one.experts for one in shapes)
    assert any(one.recurrent and one.has_attention for one in shapes)
    assert any(not one.has_attention for one in shapes)
    assert any(one.quantization for one in shapes)


def test_alias() -> None:
    """A model with another's sizes has its own name."""
    shape = ModelShape.named("deepseek-ai/DeepSeek-R1")

    assert shape.name == "deepseek-ai/DeepSeek-R1"
    assert replace(shape, name="x") == replace(
        ModelShape.named("deepseek-ai/DeepSeek-V3"), name="x"
    )


def test_unknown() -> None:
    """An unknown model is refused with the nearest one."""
    sentence = strategies.refusal(lambda: ModelShape.named("Qwen/Qwen2.5-7B-Instuct"))

    assert sentence.endswith("did you mean 'Qwen/Qwen2.5-7B-Instruct'?")
    garbage: tuple[Any, ...] = (5, None, "", [], "zzzzzz")
    for wrong in garbage:
        strategies.refusal(partial(ModelShape.named, wrong))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"hidden_size": 0}, "ModelShape.hidden_size is 0"),
        ({"hidden_size": True}, "ModelShape.hidden_size is True"),
        ({"tied": 1}, "ModelShape.tied is 1; it takes True or False"),
        ({"mixers": "full"}, "ModelShape.mixers is 'full'"),
        ({"mixers": ("ful",)}, "did you mean 'full'?"),
        ({"mixers": ("full",)}, "1 layers and feed_forwards 28"),
        ({"mixers": (), "feed_forwards": ()}, "0 layers"),
        ({"num_key_value_heads": 0}, "ModelShape.num_key_value_heads is missing"),
        ({"intermediate_size": 0}, "ModelShape.intermediate_size is missing"),
        ({"mixers": ("sliding",) * 28}, "ModelShape.window is missing"),
        ({"mixers": ("recurrent",) * 28}, "ModelShape.recurrent is missing"),
        ({"feed_forwards": ("experts",) * 28}, "ModelShape.experts is missing"),
        ({"latent": {}}, "it takes an object of LatentAttention"),
        ({"quantization": "fp8"}, "it takes an object of Quantization"),
        ({"longest": 0}, "a whole number of tokens"),
        ({"dtype": "bf16"}, "did you mean 'bfloat16'?"),
        ({"name": ""}, "ModelShape.name is ''"),
    ],
)
def test_refused(changes: dict[str, Any], part: str) -> None:
    """A shape that contradicts itself, or has sizes that are none, is refused."""
    assert part in strategies.refusal(lambda: replace(QWEN, **changes))


def test_parts_refused() -> None:
    """The parts of a shape check themselves."""
    latent = {"kv_rank": 512, "rope_dim": 64, "nope_dim": 128, "v_dim": 128}
    calls = {
        "LatentAttention.q_rank": lambda: LatentAttention(**latent, q_rank=-1),
        "LatentAttention.kv_rank": lambda: LatentAttention(**{**latent, "kv_rank": 0}),
        "Experts.per_token": lambda: Experts(count=4, per_token=5, size=8),
        "Experts.bias": lambda: Experts(count=4, per_token=2, size=8, bias="no"),  # type: ignore[arg-type]  # what is refused
        "Recurrent.kind": lambda: Recurrent(kind="mamba", inner=8, kernel=4),  # type: ignore[arg-type]  # what is refused
        "Recurrent.state_dtype": lambda: Recurrent(
            kind="conv",
            inner=8,
            kernel=4,
            state_dtype="fp8",  # type: ignore[arg-type]  # what is refused
        ),
        "Quantization.bits": lambda: Quantization(method="x", bits=0),
    }
    for where, call in calls.items():
        assert strategies.refusal(call).startswith(where)


_ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from([one.name for one in fields(ModelShape)]), value=_ANY)
def test_garbage(name: str, value: Any) -> None:
    """Whatever is given for a field, the shape takes it or refuses it with a sentence."""
    try:
        shape = replace(QWEN, **{name: value})
    except ValueError as error:
        assert type(error) is VllmConstructsError  # noqa: PT017  # others are let through
    else:
        assert shape.parameters > 0
