"""Reserved flags: those that are given elsewhere, and where."""

from functools import partial
from typing import Any

from tests import strategies
from vllm_constructs import EngineArgs
from vllm_constructs.engine.reserved_flags import RESERVED
from vllm_constructs.releases.release import catalog


def test_reserved_flags() -> None:
    """Every reserved flag is one of the release, and its rejection says where to give the fact."""
    for name, advice in RESERVED.items():
        assert f"--{name}" in catalog()["flags"]
        sentence = strategies.refusal(partial(EngineArgs, extra={name: "secret-value"}))
        assert advice in sentence
        assert "secret-value" not in sentence


def test_no_keywords() -> None:
    """No reserved flag is a keyword, and as one it is rejected with the same advice."""
    for name, advice in RESERVED.items():
        keyword = name.replace("-", "_")
        assert keyword not in EngineArgs.keywords()
        given: Any = {keyword: "secret-value"}
        sentence = strategies.refusal(partial(EngineArgs, **given))
        assert advice in sentence
        assert "secret-value" not in sentence
