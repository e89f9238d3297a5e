"""Texts of flags: read as vLLM reads them."""

from functools import partial
from typing import Any

import pytest

from tests import strategies
from vllm_constructs.engine.flag_parsing import amount, value_of
from vllm_constructs.releases.release import catalog

FLAGS = catalog()["flags"]


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        ("--max-model-len", "-1", "auto"),
        ("--max-model-len", "auto", "auto"),
        ("--max-model-len", "1.5k", 1500),
        ("--kv-cache-memory-bytes", "2G", 2**31),
        ("--seed", "-3", -3),
        ("--gpu-memory-utilization", ".5", 0.5),
        ("--optimization-level", "3", 3),
        ("--compilation-config", '{"mode":3}', {"mode": 3}),
        ("--hf-overrides", "a.b", "a.b"),
        ("--hf-overrides", ' {"a": 1} ', {"a": 1}),
        ("--device-ids", "7", 7),
        ("--moe-backend", "DEEP-GEMM", "deep_gemm"),
        ("--revision", "None", None),
        ("--revision", "", None),
    ],
)
def test_values(flag: str, text: str, expected: Any) -> None:
    """A text becomes a value of the flag's type; what stands for nothing becomes None."""
    assert value_of(flag, FLAGS[flag], text) == expected


@pytest.mark.parametrize(
    ("flag", "text", "word"),
    [
        ("--max-model-len", "many", "such as 32768, 32k or 32K"),
        ("--max-model-len", "1.5K", "such as 32768, 32k or 32K"),
        ("--seed", "1.0", "an integer"),
        ("--gpu-memory-utilization", "half", "a number"),
        ("--optimization-level", "fast", "an integer"),
        ("--compilation-config", "3", 'write -O3, or --compilation-config {"mode": 3}'),
        ("--compilation-config", "null", "expected JSON"),
        ("--limit-mm-per-prompt", "image=2", 'write --limit-mm-per-prompt {"image": 2}'),
        ("--dtype", "", "leave the flag out"),
    ],
)
def test_refused(flag: str, text: str, word: str) -> None:
    """What the type does not take is refused with how to write it."""
    assert word in strategies.refusal(lambda: value_of(flag, FLAGS[flag], text))


@pytest.mark.parametrize(
    ("text", "expected"), [("32k", 32_000), ("32K", 32_768), ("1.5g", 1_500_000_000), (7, 7)]
)
def test_amount(text: object, expected: int) -> None:
    """Sizes are read as vLLM reads them."""
    assert amount("x", text) == expected


def test_amount_refused() -> None:
    """What is no size is refused."""
    for wrong in ("32Ki", "", None, 1.5, True, 0):
        assert strategies.refusal(partial(amount, "x", wrong)).startswith("x is")
