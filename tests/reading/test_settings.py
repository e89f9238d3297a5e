"""Settings: what manifests do not say."""

import dataclasses

import pytest

from vllm_constructs.reading.settings import Settings


def test_defaults() -> None:
    """By default nothing more is known."""
    assert {"vllm": None, "kubernetes": None, "gpu": None} == dataclasses.asdict(Settings())


def test_frozen() -> None:
    """They do not change while rules run."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().gpu = "NVIDIA-L40S"  # type: ignore[misc]  # the mistake
