"""How a command line of `vllm serve` spells options."""

from typing import Any

import pytest

from vllm_constructs import EngineArgs, VllmConstructsError
from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.releases.release import catalog


@pytest.mark.parametrize("flag", sorted(catalog()["flags"]))
def test_every_flag(flag: str) -> None:
    """Every flag of the newest release is spelt as vLLM has it, by either of its names."""
    name = flag.removeprefix("--").replace("-", "_")

    assert flag == as_flags(name) == as_flags(f"EngineArgs.{name}")
    assert f"{flag}=1" == as_flags(name, "1")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("EngineArgs", "the command line"),
        ("EngineArgs.compilation_config['mode']", "--compilation-config['mode']"),
        ("EngineArgs.hf_overrides['a_b']['c']", "--hf-overrides['a_b']['c']"),
        ("EngineArgs.extra['swap-space']", "--swap-space"),
        ("EngineArgs.extra['compilation-config']['a']", "--compilation-config['a']"),
        ("EngineArgs.delivery", "EngineArgs.delivery"),
        ("EngineArgs.extra", "EngineArgs.extra"),
        ("Drain.seconds", "Drain.seconds"),
        ("WholeGpu.count", "WholeGpu.count"),
        ("response_timeout", "response_timeout"),
    ],
)
def test_names(option: str, expected: str) -> None:
    """Keys of JSON stand behind the flag; what is no flag keeps Python's spelling."""
    assert expected == as_flags(option)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("max_num_seqs", "8", "--max-num-seqs=8"),
        ("kv_cache_dtype", "'fp8'", "--kv-cache-dtype=fp8"),
        ("enable_lora", "True", "--enable-lora"),
        ("EngineArgs.enable_lora", None, "--enable-lora"),
        ("revision", "", "--revision="),
        ("WholeGpu.count", "8", "WholeGpu(count=8)"),
        ("response_timeout", "8", "response_timeout=8"),
    ],
)
def test_values(option: str, value: str | None, expected: str) -> None:
    """A value stands behind `=`, without Python's quotes; a switch that is on has none."""
    assert expected == as_flags(option, value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_num_seqs": 0}, "--max-num-seqs is 0;"),
        ({"enable_log_outputs": True}, "--enable-log-outputs is True without --enable-log-req"),
        ({"compilation_config": {"mode": 17}}, "--compilation-config['mode'] is 17;"),
        ({"limit_mm_per_prompt": {"image": "x"}}, "--limit-mm-per-prompt['image'] is 'x';"),
        ({"extra": {"swap-space": None}}, "--swap-space is None;"),
        ({"max_num_seqs": 9, "max_num_batched_tokens": 8}, "--max-num-batched-tokens is 8, less"),
    ],
)
def test_sentences(given: dict[str, Any], expected: str) -> None:
    """A problem of an engine names the flags of the command line."""
    with pytest.raises(VllmConstructsError) as caught:
        EngineArgs(**given)
    sentence = caught.value.problem.sentence(as_flags)

    assert sentence.startswith(expected)
    assert "EngineArgs" not in sentence
    assert str(caught.value).startswith("EngineArgs.")
