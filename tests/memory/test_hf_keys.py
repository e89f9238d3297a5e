"""Keys that are not read: those of the newest families are decided, sizes make plans inexact."""

import json
from pathlib import Path
from typing import Any

import pytest

from vllm_constructs import EngineArgs, MemoryPlan, ModelShape, WholeGpu
from vllm_constructs.memory import hf_config, hf_encoders, hf_layers, rotary
from vllm_constructs.memory.hf_keys import decision, unread
from vllm_constructs.memory.shapes import catalog

# The keys of the configuration classes of Transformers 5.20 and vLLM 0.33, by family.
FAMILIES: dict[str, list[str]] = json.loads(
    (Path(__file__).parents[1] / "data" / "config_keys.json").read_text(encoding="utf-8")
)
SOURCE = "".join(
    Path(str(module.__file__)).read_text(encoding="utf-8")
    for module in (hf_config, hf_encoders, hf_layers, rotary)
)
PLAIN: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}


def is_read(key: str) -> bool:
    """Whether the modules that read a file name the key."""
    return f'"{key}"' in SOURCE


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_decided(family: str) -> None:
    """Each key of a family is read, irrelevant or known as a size that is not read."""
    assert len(FAMILIES) > 30
    assert [key for key in FAMILIES[family] if not is_read(key) and not decision(key)] == []


def test_catalog() -> None:
    """All sizes of the models in the catalog are read."""
    for name in catalog():
        assert ModelShape.named(name).unread == (), name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hc_mult", 4),
        ("compress_rates", {"a": 1}),
        ("use_double_wide_mlp", True),
        # Not known, but as sizes are.
        ("flux_capacitor_size", 88),
        ("new_layer_pattern", ["a"]),
        ("v_head_dim", 192),
    ],
)
def test_unread(key: str, value: object) -> None:
    """A size that is not read makes a plan inexact, and is named."""
    shape = ModelShape.from_config(PLAIN | {key: value}, name="x")
    engine = EngineArgs(max_model_len=8192)
    plan = MemoryPlan(shape=shape, gpu=WholeGpu("NVIDIA-L40S"), engine=engine)

    assert shape.unread == (key,)
    assert dict(plan.exact) == {}
    assert {"kv_bytes_per_token", "kv_bytes_needed", "weights"} <= set(plan.estimated)
    assert f"not exact: its config.json has sizes that are not read ({key!r})" in plan.explain()
    assert "within 1 %" not in plan.explain()
    assert (
        f"the plan is not exact, since its config.json has sizes that are not read ({key!r})"
        in (plan.sentence)
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hc_mult", 0),
        ("use_double_wide_mlp", False),
        ("flux_capacitor_size", 1),
        ("flux_capacitor_size", None),
        ("flux_capacitor", "yes"),
        ("use_flux_capacitor", True),
        ("flux_token_id", 7),
        ("new_layer_pattern", []),
        ("router_aux_loss_coef", 2),
        ("torch_dtype", "bfloat16"),
    ],
)
def test_irrelevant(key: str, value: object) -> None:
    """What is absent or changes no size leaves a plan exact."""
    assert ModelShape.from_config(PLAIN | {key: value}, name="x").unread == ()


def test_not_refused() -> None:
    """A model whose sizes are not all read is never refused, only warned about."""
    shape = ModelShape.from_config(PLAIN | {"hc_mult": 4, "hc_lowrank": 9}, name="x")
    plan = MemoryPlan(shape=shape, gpu=WholeGpu("Tesla-T4"))

    assert plan.verdict == "too large"
    assert plan.problem is not None
    assert plan.problem.kind == "invalid"
    assert "x probably does not fit" in plan.sentence
    assert "('hc_lowrank' and 'hc_mult')" in plan.sentence


def test_sorted() -> None:
    """The order of a file does not matter, and many keys are told in short."""
    text = {f"size_{letter}": 9 for letter in "dbeac"}
    assert unread(text, set()) == tuple(sorted(text))
    shape = ModelShape.from_config(PLAIN | text, name="x")
    plan = MemoryPlan(shape=shape, gpu=WholeGpu("NVIDIA-L40S"))
    assert plan.caveat is not None
    assert "('size_a', 'size_b', 'size_c' and 2 others)" in plan.caveat.sentence()
