"""vLLM's environment variables, checked against the release in the image."""

import pytest

from vllm_constructs import VllmConstructsError, VllmRelease
from vllm_constructs.releases.environment import check
from vllm_constructs.releases.release import catalog, releases


def release(version: str) -> VllmRelease:
    """The official image of a release."""
    return VllmRelease(f"vllm/vllm-openai:v{version}")


@pytest.mark.parametrize("version", releases())
def test_defaults(version: str) -> None:
    """Each variable of a release takes its own default, where there is one to write."""
    for name, item in catalog(version)["environment"].items():
        default = item.get("default")
        if isinstance(default, bool):
            check(release(version), name, str(int(default)))
        elif isinstance(default, (int, float, str)) and not item.get("on"):
            check(release(version), name, str(default))


@pytest.mark.parametrize(
    ("version", "name", "value", "words"),
    [
        (
            "0.33.0",
            "VLLM_USE_DEEP_GEMM",
            "true",
            ("vLLM 0.33.0 rejects after", "expected a Boolean, '1' or '0'."),
        ),
        ("0.33.0", "VLLM_ENGINE_READY_TIMEOUT_S", "15m", ("is '15m'", "expected an integer.")),
        ("0.33.0", "VLLM_FLOAT32_MATMUL_PRECISION", "low", ("'highest'", "'high'")),
        (
            "0.33.0",
            "VLLM_ALLOW_LONG_MAX_MODEL_LEN",
            "yes",
            ("'yes', which vLLM 0.33.0 reads as false; expected '1' for true.",),
        ),
        (
            "0.33.0",
            "VLLM_FLOAT32_MATMUL_PRECISION",
            "{name}",
            ("is '{name}', which vLLM 0.33.0 rejects; expected one of 'high',",),
        ),
        ("0.33.0", "VLLM_LOGING_LEVEL", "DEBUG", ("did you mean 'VLLM_LOGGING_LEVEL'",)),
        ("0.33.0", "VLLM_ATTENTION_BACKEND", "FLASH_ATTN", ("no longer", "--attention-backend")),
        ("0.33.0", "VLLM_OF_MY_OWN", "1", ("is not a variable of vLLM 0.33.0",)),
        ("0.12.0", "VLLM_ENGINE_READY_TIMEOUT_S", "900", ("not a variable of", "0.33.0.")),
        ("0.8.5", "VLLM_LOGING_LEVEL", "DEBUG", ("did you mean 'VLLM_LOGGING_LEVEL'",)),
        ("0.12.0", "VLLM_USE_V1", "0", ("is no longer a variable of vLLM 0.12.0",)),
    ],
)
def test_refused(version: str, name: str, value: str, words: tuple[str, ...]) -> None:
    """What the release lacks or cannot read is rejected with what to do."""
    with pytest.raises(VllmConstructsError) as refused:
        check(release(version), name, value)
    assert [] == [word for word in (name, *words) if word not in str(refused.value)]


@pytest.mark.parametrize(
    ("image", "name", "value"),
    [
        ("vllm/vllm-openai:v0.33.0", "VLLM_USE_DEEP_GEMM", "0"),
        ("vllm/vllm-openai:v0.33.0", "VLLM_USE_DEEP_GEMM", "$(DEEP_GEMM)"),
        ("vllm/vllm-openai:v0.33.0", "NCCL_DEBUG", "WARN"),
        ("vllm/vllm-openai:v0.16.0", "VLLM_ENGINE_READY_TIMEOUT_S", "900"),
        ("registry.example.com/ml/llm:7", "VLLM_PLUGIN_OF_MY_OWN_X", "yes"),
        # Older than the oldest release that is known: it may have been a variable then.
        ("vllm/vllm-openai:v0.8.5", "VLLM_USE_V1", "0"),
        ("vllm/vllm-openai:v0.8.5", "VLLM_OF_THOSE_DAYS", "1"),
    ],
)
def test_accepted(image: str, name: str, value: str) -> None:
    """What the release reads passes, and so do other programs' variables."""
    check(VllmRelease(image), name, value)
