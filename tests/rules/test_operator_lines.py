"""Command lines that an object gives to an operator."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .odd_values import check_odd_values

FLAGS = ("E01", "E02", "E08")


def kserve(value: object, **container: Any) -> dict[str, Any]:
    """A service of KServe whose flags are in its variable."""
    env = [{"name": "VLLM_ADDITIONAL_ARGS", "value": value}]
    main = {"name": "main", "env": env, **container}
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "LLMInferenceService",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"template": {"containers": [main]}},
    }


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("--max-modle-len 8192", "E01"),
        ("--seed=1 --max-model-len=4096 --num-scheduler-steps 8", "E01"),
        ("--enable-prefix-caching=yes", "E02"),
        ("--max-num-seqs 8 --max_num_seqs 16", "E08"),
    ],
)
def test_bad(value: str, rule: str) -> None:
    """Flags that vLLM rejects or ignores, at the variable that has them."""
    [one] = found([kserve(value)], *FLAGS)
    assert (rule, "warning") == (one.rule.id, one.level)
    assert ("spec", "template", "containers", 0, "env", 0, "value") == one.path
    assert one.fix is None


@pytest.mark.parametrize(
    ("value", "container"),
    [
        ("--max-model-len 8192 --gpu-memory-utilization 0.9", {}),
        ('--kv_transfer_config \'{"kv_connector":"NixlConnector","kv_role":"kv_both"}\'', {}),
        ('--kv-events-config \'{"topic":"kv@${POD_IP}@m","publisher":"zmq"}\'', {}),
        ("--flag-of-a-fork $MORE", {}),
        ("--seed 'one", {}),
        ("--max-modle-len 8192", {"command": ["python3", "-m", "sglang.launch_server"]}),
        ("", {}),
    ],
)
def test_good(value: str, container: dict[str, Any]) -> None:
    """Right flags, flags of forks, and what cannot be read."""
    assert [] == sentences([kserve(value, **container)], *FLAGS)


def test_others() -> None:
    """The variable means nothing elsewhere."""
    other = kserve("--max-modle-len 8192") | {"kind": "InferenceGraph"}
    assert [] == ids([other], *FLAGS)


def test_odd_values() -> None:
    """No value of any type raises."""
    check_odd_values([kserve("--max-modle-len 8192 --seed 1 --seed 2")], *FLAGS)
