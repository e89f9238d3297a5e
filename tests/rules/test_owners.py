"""Owners: which rule tells a problem of the command line."""

import pytest

from vllm_constructs.engine.conflicts import conflicts
from vllm_constructs.errors import Problem
from vllm_constructs.rules.owners import owner_of


@pytest.mark.parametrize(
    ("where", "owner"),
    [
        ("EngineArgs.data_parallel_hybrid_lb", "D01"),
        ("EngineArgs.data_parallel_size_local", "D01"),
        ("EngineArgs.extra['data-parallel-rank']", "D01"),
        ("EngineArgs.api_server_count", "D01"),
        ("EngineArgs.headless", "D01"),
        ("EngineArgs.enable_eplb", "D05"),
        ("EngineArgs.eplb_config", "D05"),
        ("EngineArgs.kv_transfer_config", "X07"),
        ("EngineArgs.ec_transfer_config", "X07"),
        ("EngineArgs.lora_modules", "L01"),
        ("EngineArgs.max_cpu_loras", "L01"),
        ("--nnodes", "M01"),
        ("EngineArgs.enable_auto_tool_choice", "E06"),
        ("EngineArgs.distributed_executor_backend", "E06"),
        ("", "E06"),
    ],
)
def test_conflicts(where: str, owner: str) -> None:
    """A conflict belongs to the rule that knows its flags, others to E06."""
    assert owner == owner_of(Problem(where=where, text="is wrong"))


@pytest.mark.parametrize(
    ("where", "owner"),
    [
        ("--kv-transfer-config", "X07"),
        ("EngineArgs.kv_transfer_config['kv_role']", "X07"),
        ("--max-lora-rank", "L01"),
        ("--data-parallel-size", "E02"),
        ("--max-num-seqs", "E02"),
        ("'word'", "E02"),
    ],
)
def test_values(where: str, owner: str) -> None:
    """Of single values, only those of connectors and ranks of adapters have another rule."""
    assert owner == owner_of(Problem(where=where, text="is wrong"), "E02")


def test_all() -> None:
    """Conflicts that are found together go to different rules."""
    given = {"enable_eplb": True, "lora_modules": ["a=/x"], "enable_log_outputs": True}

    assert ["E06", "D05", "L01"] == [owner_of(problem) for problem in conflicts(given)]
