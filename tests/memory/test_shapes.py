"""Model shapes: the catalog, and what a shape refuses."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests import strategies
from vllm_constructs.memory.shapes import ModelShape, catalog, misspelled

QWEN = ModelShape.named("Qwen/Qwen2.5-7B-Instruct")
# What is counted beside the text layers: vision towers, and biases that choose experts.
BESIDE = {
    "google/gemma-3-4b-it": 419_816_304,
    "google/gemma-3-12b-it": 421_290_864,
    "google/gemma-3-27b-it": 423_060_336,
    "deepseek-ai/DeepSeek-V3": 14_848,
}


def test_catalog() -> None:
    """The catalog has many models, each with its source and under one name only."""
    names = [*catalog(), *(other for one in catalog().values() for other in one["also"])]

    assert len(catalog()) >= 25
    assert len(names) == len(set(names))
    kinds = [one["source"].partition(": ")[0] for one in catalog().values()]
    assert {"config.json", "config.json of a sibling", "tables"} == set(kinds)
    assert kinds.count("tables") <= 10
    assert all(one["source"].partition(": ")[2] for one in catalog().values())
    assert sorted(catalog()) == list(catalog())


@pytest.mark.parametrize("name", catalog())
def test_parameters(name: str) -> None:
    """The sizes of a model make its published number of parameters, to the last one."""
    shape = ModelShape.named(name)

    assert shape.parameters == catalog()[name]["parameters"]
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
    """The catalog has models of every kind of cache."""
    shapes = [ModelShape.named(name) for name in catalog()]

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
    ("name", "known"),
    [
        ("Qwen/Qwen2.5-7B-Instuct", "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen/Qwen2.5-7B-Insttruct", "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen/Qwen2.5-7B-Instrcut", "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen/Qwen2.5-7B_Instruct", "Qwen/Qwen2.5-7B-Instruct"),
        ("qwen/qwen2.5-7b-instruct", "Qwen/Qwen2.5-7B-Instruct"),
        ("openai/gpt-os-20b", "openai/gpt-oss-20b"),
        ("meta-lama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("Qwen/Qwen2.5-8B-Instruct", None),
        ("Qwen/Qwen2.5-7B-Instrct2", None),
        ("Qwen/Qwen2.5-17B-Instruct", None),
        ("Qwen/Qwen2.5-7B-Instuc", None),
        ("my-org/my-model", None),
        ("", None),
    ],
)
def test_misspelled(name: str, known: str | None) -> None:
    """A name that is one letter off is told, and another model is never meant."""
    assert known == misspelled(name)
