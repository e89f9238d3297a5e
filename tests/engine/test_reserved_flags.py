"""Derived flags: those that are said elsewhere, and where."""

from functools import partial

from tests import strategies
from vllm_constructs import EngineArgs
from vllm_constructs.engine.reserved_flags import DERIVED
from vllm_constructs.releases.release import catalogue


def test_derived_flags() -> None:
    """Every derived flag is one of the release, and its refusal says where to give the fact."""
    for name, advice in DERIVED.items():
        assert f"--{name}" in catalogue()["flags"]
        sentence = strategies.refusal(partial(EngineArgs, extra={name: "secret-value"}))
        assert advice in sentence
        assert "secret-value" not in sentence
