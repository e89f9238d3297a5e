"""Names that are probably meant to be others."""

from __future__ import annotations

import pytest

from vllm_constructs.rules.misspellings import Names, is_misspelt


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("weigths", "weights"),
        ("weight", "weights"),
        ("weightss", "weights"),
        ("weighty", "weights"),
        ("Model_Cache", "model-cache"),
        ("modelcache", "model-cache"),
        ("vllm-sever-8b", "vllm-server-8b"),
    ],
)
def test_misspelt(name: str, other: str) -> None:
    """Another letter of a longer word, capitals and separators."""
    assert is_misspelt(name, other)
    assert other == Names(["else", other]).near(name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("weights", "weights"),
        ("llama-7b", "llama-8b"),
        ("qwen2", "qwen3"),
        ("cache-a", "cache-b"),
        ("dev", "den"),
        ("model-cache", "model-cache-pvc"),
        ("prefill", "decode"),
        ("", "weights"),
    ],
)
def test_other(name: str, other: str) -> None:
    """Other digits and other short words make other names."""
    assert not is_misspelt(name, other)
    assert Names([other]).near(name) is None


def test_long() -> None:
    """A name of any length is compared, at least as a whole."""
    long = "word-" * 50
    assert long == Names([long]).near(long.upper())
