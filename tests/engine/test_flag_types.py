"""Values of flags: what the parser takes of each kind."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs.engine.flag_types import check_json, check_value, fields_of
from vllm_constructs.releases.release import catalog

FLAGS = catalog()["flags"]
ACCEPTED: list[tuple[str, Any]] = [
    ("--enable-dbo", False),
    ("--block-size", 16),
    ("--watermark", 1),
    ("--max-model-len", "auto"),
    ("--max-num-queued-tokens", "32k"),
    ("--pt-load-map-location", "cpu"),
    ("--pt-load-map-location", {"cuda": "cuda:1"}),
    ("--middleware", "a.b"),
    ("--middleware", ["a.b", "c.d"]),
    ("--collect-detailed-traces", ["model", "worker"]),
    ("--speculative-config", {"method": "ngram", "num_speculative_tokens": 3}),
    ("--kv-transfer-config", {"kv_role": None}),
]
REFUSED: list[tuple[str, Any, str]] = [
    ("--enable-dbo", 1, "True or False"),
    ("--block-size", "16", "an integer"),
    ("--watermark", "x", "a number"),
    ("--max-num-queued-tokens", "1.5K", "an integer from"),
    ("--middleware", [], "at least one entry"),
    ("--collect-detailed-traces", ["modell"], "did you mean 'model'?"),
    ("--speculative-config", {"methd": "ngram"}, "did you mean 'method'?"),
    ("--kv-transfer-config", {"kv_role": "kv_all"}, "['kv_role'] is 'kv_all'"),
    ("--reasoning-config", {"_enabled": True}, "the unknown key"),
]


@pytest.mark.parametrize(("flag", "value"), ACCEPTED)
def test_accepted(flag: str, value: Any) -> None:
    """What vLLM takes passes, and is JSON."""
    check_value("x", FLAGS[flag], value)
    check_json("x", value)


@pytest.mark.parametrize(("flag", "value", "words"), REFUSED)
def test_refusals(flag: str, value: Any, words: str) -> None:
    """What vLLM does not take is refused in one sentence."""
    assert words in strategies.refusal(lambda: check_value("x", FLAGS[flag], value))


def test_fields() -> None:
    """The keys of JSON are known, whether the parser or the engine looks at them."""
    assert "mode" in (fields_of(FLAGS["--compilation-config"]) or {})
    assert "method" in (fields_of(FLAGS["--speculative-config"]) or {})
    assert fields_of(FLAGS["--mm-processor-kwargs"]) is None
