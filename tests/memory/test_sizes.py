"""Sizes: what a shape consists of, and what contradicts itself."""

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import ModelShape, VllmConstructsError
from vllm_constructs.memory.quantization import Quantization
from vllm_constructs.memory.shapes import catalog
from vllm_constructs.memory.sizes import (
    FEED_FORWARDS,
    MIXERS,
    Experts,
    LatentAttention,
    Recurrent,
    Sizes,
)

QWEN = ModelShape.named("Qwen/Qwen2.5-7B-Instruct")


def sizes(**changes: Any) -> Sizes:
    """Return the sizes of a model with two layers."""
    given_: dict[str, Any] = {
        "name": "two",
        "hidden_size": 64,
        "vocab_size": 64,
        "mixers": ("full", "full"),
        "feed_forwards": ("dense", "dense"),
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 16,
    }
    return Sizes(**given_ | changes)


def test_fields() -> None:
    """A ModelShape is these sizes, and nothing else."""
    assert isinstance(QWEN, Sizes)
    assert [one.name for one in fields(Sizes)] == [one.name for one in fields(ModelShape)]


def test_layers() -> None:
    """Layers are kept as tuples, and know whether any of them keeps keys and values."""
    found = sizes(mixers=["full", "none"], feed_forwards=["dense", "none"])

    assert (("full", "none"), ("dense", "none"), 2) == (
        found.mixers,
        found.feed_forwards,
        found.layers,
    )
    assert found.has_attention
    assert not sizes(mixers=("none", "none")).has_attention
    with pytest.raises(FrozenInstanceError):
        found.hidden_size = 1  # type: ignore[misc]  # the point


def test_catalog() -> None:
    """The layers of every model of the catalog are of kinds that are known."""
    shapes = [ModelShape.named(name) for name in catalog()]

    assert {one for shape in shapes for one in shape.mixers} <= set(MIXERS)
    assert {one for shape in shapes for one in shape.feed_forwards} <= set(FEED_FORWARDS)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"hidden_size": 0}, "ModelShape.hidden_size is 0"),
        ({"hidden_size": True}, "ModelShape.hidden_size is True"),
        ({"tied": 1}, "ModelShape.tied is 1; expected True or False"),
        ({"mixers": "full"}, "ModelShape.mixers is 'full'"),
        ({"mixers": ("ful",)}, "did you mean 'full'?"),
        ({"mixers": ("full",)}, "has 1 entries, and feed_forwards has 28"),
        ({"mixers": (), "feed_forwards": ()}, "has 0 entries"),
        ({"num_key_value_heads": 0}, "ModelShape.num_key_value_heads is missing"),
        ({"intermediate_size": 0}, "ModelShape.intermediate_size is missing"),
        ({"mixers": ("sliding",) * 28}, "ModelShape.window is missing"),
        ({"mixers": ("recurrent",) * 28}, "ModelShape.recurrent is missing"),
        ({"feed_forwards": ("experts",) * 28}, "ModelShape.experts is missing"),
        ({"latent": {}}, "expected LatentAttention(...)"),
        ({"quantization": "fp8"}, "expected Quantization(...)"),
        ({"longest": 0}, "an integer of tokens"),
        ({"dtype": "bf16"}, "did you mean 'bfloat16'?"),
        ({"name": ""}, "ModelShape.name is ''"),
    ],
)
def test_refused(changes: dict[str, Any], part: str) -> None:
    """A shape that contradicts itself, or has sizes that are none, is rejected."""
    assert part in strategies.refusal(lambda: replace(QWEN, **changes))


def test_parts_refused() -> None:
    """The parts of a shape check themselves."""
    latent = {"kv_rank": 512, "rope_dim": 64, "nope_dim": 128, "v_dim": 128}
    calls = {
        "LatentAttention.q_rank": lambda: LatentAttention(**latent, q_rank=-1),
        "LatentAttention.kv_rank": lambda: LatentAttention(**{**latent, "kv_rank": 0}),
        "Experts.per_token": lambda: Experts(count=4, per_token=5, size=8),
        "Experts.bias": lambda: Experts(count=4, per_token=2, size=8, bias="no"),  # type: ignore[arg-type]  # the mistake
        "Recurrent.kind": lambda: Recurrent(kind="mamba", inner=8, kernel=4),  # type: ignore[arg-type]  # the mistake
        "Recurrent.state_dtype": lambda: Recurrent(
            kind="conv",
            inner=8,
            kernel=4,
            state_dtype="fp8",  # type: ignore[arg-type]  # the mistake
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
    """Whatever is given for a field, the shape takes it or rejects it with a sentence."""
    try:
        shape = replace(QWEN, **{name: value})
    except ValueError as error:
        assert type(error) is VllmConstructsError  # noqa: PT017  # others are let through
    else:
        assert shape.parameters > 0
