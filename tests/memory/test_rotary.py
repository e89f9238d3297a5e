"""Rotary tables: as long as vLLM makes them for each kind of scaling."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_constructs.memory.hf_file import HfFile
from vllm_constructs.memory.rotary import positions

LINEAR = {"rope_type": "linear", "factor": 8.0}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, 1000),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 1000),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 8.0}}, 1000),
        ({"rope_scaling": LINEAR}, 8000),
        ({"rope_scaling": YARN}, 131072),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, 1000),
        ({"rope_scaling": YARN | {"type": "longrope"}}, 33768),
        ({"rope_scaling": {"mrope_section": [16, 24, 24]}}, 4000),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}}, 250),
        # Gemma 3 has a table of its own for sliding layers.
        ({"model_type": "gemma3_text", "rope_scaling": LINEAR}, 9000),
        (
            {
                "head_dim": 256,
                "global_head_dim": 512,
                "rope_parameters": {
                    "full_attention": {"rope_type": "proportional"},
                    "sliding_attention": {"rope_type": "default"},
                },
            },
            3000,
        ),
    ],
)
def test_positions(config: dict[str, Any], expected: int) -> None:
    """Each kind has as many rows as its class computes."""
    assert positions(HfFile({"max_position_embeddings": 1000, **config}, "x")) == expected


def test_none() -> None:
    """A file without a length has no table."""
    assert positions(HfFile({"rope_scaling": LINEAR}, "x")) == 0


@given(
    st.dictionaries(
        st.sampled_from(["rope_type", "type", "factor", "partial_rotary_factor", "full_attention"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    )
)
def test_garbage(rope: dict[str, Any]) -> None:
    """Whatever a file has there, the rows are a number."""
    assert positions(HfFile({"max_position_embeddings": 1000, "rope_scaling": rope}, "x")) > 0
