"""Reading a config.json: sizes, lengths and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import VllmConstructsError
from vllm_constructs.memory.shapes import ModelShape, catalog

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def read(**changes: Any) -> ModelShape:
    """Return the shape of a config with other values."""
    return ModelShape.from_config(LLAMA | changes)


def test_places(tmp_path: Path) -> None:
    """A file, its folder, its path as a text and a dict say the same."""
    folder = tmp_path / "Llama-3-8B"
    folder.mkdir()
    path = folder / "config.json"
    path.write_text(json.dumps(LLAMA), encoding="utf-8")
    expected = ModelShape.from_config(LLAMA, name="Llama-3-8B")

    assert [ModelShape.from_config(one) for one in (path, folder, str(path))] == [expected] * 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "LlamaForCausalLM"),
        ({"_name_or_path": "a/b"}, "a/b"),
        ({"architectures": None}, "llama"),
        ({"architectures": None, "model_type": None}, "the model"),
    ],
)
def test_name(changes: dict[str, Any], expected: str) -> None:
    """A model is called what the file calls it."""
    assert read(**changes).name == expected
    assert ModelShape.from_config(LLAMA | changes, name="mine").name == "mine"


def test_text_config() -> None:
    """Of a multimodal model the text part counts, and the vision tower beside it, about."""
    vision = {"hidden_size": 1152, "num_hidden_layers": 27, "intermediate_size": 4304}
    config = {"model_type": "some_vl", "text_config": LLAMA, "vision_config": vision}
    shape = ModelShape.from_config(config)

    assert shape.hidden_size == 4096
    # SigLIP's tower has 412 million parameters outside of its embeddings.
    assert shape.other_parameters == pytest.approx(412_000_000, rel=0.01)
    assert ModelShape.from_config(config, parameters=9_000_000_000).parameters == 9_000_000_000


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 8192),
        ({"max_position_embeddings": None}, None),
        ({"model_max_length": 2048}, 2048),
        ({"rope_scaling": {"rope_type": "linear", "factor": 4.0}}, 32768),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, 16384),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 8192),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, 8192),
        ({"rope_scaling": {"rope_type": "linear", "factor": None}}, 8192),
        ({"rope_scaling": {"rope_type": "linear", "factor": float("inf")}}, 8192),
        (
            {"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 4096},
            4096,
        ),
    ],
)
def test_longest(changes: dict[str, Any], expected: int | None) -> None:
    """The longest request is what vLLM derives from the file."""
    assert read(**changes).longest == expected


def test_heads() -> None:
    """Missing head sizes are derived, and key-value heads go by several names."""
    assert read().head_dim == 128
    assert read(head_dim=64).head_dim == 64
    assert read(num_key_value_heads=None).num_key_value_heads == 32
    assert read(num_key_value_heads=None, num_kv_heads=4).num_key_value_heads == 4


@pytest.mark.parametrize(
    ("family", "expected"), [("llama", False), ("gemma2", True), ("mistral", False)]
)
def test_tied(family: str, expected: bool) -> None:  # noqa: FBT001  # a column of the table
    """Where the file is silent about tied embeddings, the family decides."""
    config = {key: value for key, value in LLAMA.items() if key != "tie_word_embeddings"}

    assert ModelShape.from_config(config | {"model_type": family}).tied is expected


@pytest.mark.parametrize(
    ("config", "part"),
    [
        ({"hidden_size": None}, "has no 'hidden_size'"),
        ({"num_key_value_heads": "8"}, "write 8 without quotes"),
        ({"num_hidden_layers": 10**9}, "from 1 to 4096"),
        ({"quantization_config": {"quant_method": "new"}}, "a method whose bits are known"),
    ],
)
def test_refused(config: dict[str, Any], part: str) -> None:
    """A key that is missing or wrong is named."""
    assert part in strategies.refusal(lambda: read(**config))


def test_parameters_refused() -> None:
    """Fewer parameters than the sizes make are refused."""
    sentence = strategies.refusal(lambda: ModelShape.from_config(LLAMA, parameters=10**9))

    assert "parameters is 1000000000, fewer than the 8030261248" in sentence


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)
_KEYS = sorted({key for one in catalog().values() for key in one["config"]})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_garbage(data: st.DataObject) -> None:
    """Whatever a key holds, the file is read or refused with a sentence."""
    config = catalog()[data.draw(st.sampled_from(sorted(catalog())))]["config"]
    changes = data.draw(st.dictionaries(st.sampled_from(_KEYS), _JSON, min_size=1, max_size=2))
    try:
        shape = ModelShape.from_config(config | changes, name="m")
    except ValueError as error:
        assert type(error) is VllmConstructsError, error  # noqa: PT017  # others are let through
    else:
        assert shape.layers > 0
