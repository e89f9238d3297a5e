"""The file behind a shape: where it is looked for, and what is said of bad ones."""

from functools import partial
from pathlib import Path

import pytest

from tests import strategies
from vllm_constructs.memory.hf_file import HfFile, load


def test_missing(tmp_path: Path) -> None:
    """A file that is not there, or is no JSON, is refused."""
    bad = tmp_path / "config.json"
    bad.write_text("{", encoding="utf-8")

    assert "FileNotFoundError" in strategies.refusal(lambda: load(tmp_path / "other.json"))
    assert "JSONDecodeError" in strategies.refusal(lambda: load(bad))
    bad.write_text("[]", encoding="utf-8")
    assert "with a JSON object" in strategies.refusal(lambda: load(tmp_path))


@pytest.mark.parametrize("wrong", [None, 5, b"x", ["a"], "a\0b"])
def test_refused(wrong: object) -> None:
    """What is neither a path nor a dict is refused."""
    strategies.refusal(lambda: load(wrong))


def test_first_key() -> None:
    """The first key that is there and not null counts."""
    file = HfFile({"a": None, "b": 2, "c": 3}, "m")

    assert file.size("a", "b", "c") == 2
    assert file.optional("a") == 0
    assert strategies.refusal(lambda: file.size("a", "d")).startswith(
        "the config.json of m has no 'a' (or 'd')"
    )


def test_numbers() -> None:
    """A list of numbers may be missing, but not be something else."""
    file = HfFile({"a": [1, 2], "b": "12", "c": [1.5]}, "m")

    assert file.numbers("a") == (1, 2)
    assert file.numbers("z") == ()
    for key in "bc":
        strategies.refusal(partial(file.numbers, key))
