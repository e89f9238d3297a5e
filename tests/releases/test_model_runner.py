"""Model runner: which models each release runs on the second one."""

import pytest

from vllm_constructs import VllmRelease
from vllm_constructs.releases.model_runner import RunnerFacts, is_second


def facts(
    family: str = "phi3",
    *,
    generates: bool = True,
    experts: bool = False,
    state: bool = False,
    quantized: bool = False,
) -> RunnerFacts:
    """Return what is known of a model, dense and plain by default."""
    return RunnerFacts(
        family=family,
        generates=generates,
        has_experts=experts,
        has_state=state,
        is_quantized=quantized,
    )


@pytest.mark.parametrize(
    ("first", "model"),
    [
        ("0.22.0", facts("qwen3")),
        ("0.23.0", facts("llama")),
        ("0.24.0", facts("qwen3", quantized=True)),
        ("0.24.0", facts("deepseek_v2", experts=True)),
        ("0.25.0", facts()),
        ("0.25.0", facts(quantized=True)),
        ("0.28.0", facts("deepseek_v4", experts=True)),
        ("0.29.0", facts("gpt_oss", experts=True, quantized=True)),
        ("0.29.0", facts("bamba", state=True)),
        ("0.29.0", facts("qwen3", generates=False)),
    ],
)
def test_first(first: str, model: RunnerFacts) -> None:
    """Each kind of model moved with one release, and none moved back."""
    releases = [f"0.{minor}.0" for minor in range(12, 34)]
    found = [one for one in releases if is_second(VllmRelease(f"vllm:v{one}"), model, {})]

    assert found == releases[releases.index(first) :]


def test_not_said() -> None:
    """An image that does not say its release is taken for the newest one."""
    assert is_second(VllmRelease(), facts("gpt_oss", experts=True), {})


@pytest.mark.parametrize(("asked", "expected"), [("1", True), ("0", False), ("", False)])
def test_variable(*, asked: str, expected: bool) -> None:
    """The variable decides it if it is given."""
    env = {"VLLM_USE_V2_MODEL_RUNNER": asked}

    assert is_second(VllmRelease("vllm:v0.20.0"), facts(), env) is expected
