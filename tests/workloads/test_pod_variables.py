"""Variables of the container: what a user may set, and what is set here."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import GpuPodSpec, WholeGpu
from vllm_constructs.releases.release import VllmRelease
from vllm_constructs.workloads import pod_variables

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


def check(env: object, *, is_offline: bool = False) -> dict[str, str]:
    """The variables, for the newest release."""
    return dict(pod_variables.check_variables(env, VllmRelease(), is_offline=is_offline))


def test_sorted() -> None:
    """The order in which variables are given is not the order in which they are written."""
    assert ["A", "B"] == list(check({"B": "1", "A": "2"}))


@pytest.mark.parametrize("name", sorted(pod_variables._RESERVED))
def test_reserved(name: str) -> None:
    """A variable that would break what is derived is refused, with advice and without its value."""
    sentence = strategies.refusal(lambda: check({name: TOKEN}))

    assert sentence.startswith(f"env['{name}'] ")
    assert TOKEN not in sentence


def test_offline() -> None:
    """A read-only cache switches downloads off by itself; otherwise a user may."""
    assert {"HF_HUB_OFFLINE": "1"} == check({"HF_HUB_OFFLINE": "1"})
    sentence = strategies.refusal(lambda: check({"HF_HUB_OFFLINE": "1"}, is_offline=True))
    assert "is set by a read-only cache" in sentence


@pytest.mark.parametrize(
    "env",
    [
        [{"name": "HF_TOKEN", "value": TOKEN}],
        {"HF_TOKEN": TOKEN},
        {"HF_TOKEN": TOKEN.encode()},
        {"A": [TOKEN]},
        TOKEN,
    ],
)
def test_token_in_env(env: Any) -> None:
    """A token in `env` is in no error, whatever its type."""
    sentence = strategies.refusal(
        lambda: GpuPodSpec(model="a/b", gpu=WholeGpu("NVIDIA-L40S"), env=env)
    )

    assert TOKEN not in sentence
    assert TOKEN[3:] not in sentence
