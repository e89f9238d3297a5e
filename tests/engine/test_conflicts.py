"""Conflicts: flags with which vLLM does not start."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import EngineArgs
from vllm_constructs.engine.conflicts import conflict, conflicts
from vllm_constructs.engine.spelling import as_flags

REFUSED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"enable_auto_tool_choice": True}, ("is True without tool_call_parser", "'hermes'")),
    ({"enable_log_outputs": True}, ("without enable_log_requests",)),
    ({"enable_log_outputs": True, "enable_log_requests": False}, ("enable_log_requests=True",)),
    ({"enable_eplb": True}, ("without enable_expert_parallel",)),
    ({"lora_modules": ["a=/x"]}, ("is given without enable_lora", "enable_lora=True")),
    ({"enable_per_request_metrics": True, "disable_log_stats": True}, ("log statistics",)),
    ({"max_num_batched_tokens": 8, "max_num_seqs": 9}, ("is 8", "(9)", "at least 9")),
    (
        {"kv_transfer_config": {"kv_connector": "NixlConnector"}},
        ("without 'kv_role'", "for example 'kv_both'"),
    ),
    (
        {"tensor_parallel_size": 4, "decode_context_parallel_size": 3},
        ("is 3", "does not divide tensor_parallel_size (4)"),
    ),
    (
        {"data_parallel_hybrid_lb": True, "data_parallel_multi_port_external_lb": True},
        ("data_parallel_hybrid_lb and data_parallel_multi_port_external_lb",),
    ),
    (
        {"data_parallel_size": 8, "data_parallel_hybrid_lb": True},
        ("data_parallel_hybrid_lb is True without data_parallel_size_local",),
    ),
    (
        {"data_parallel_size": 8, "data_parallel_multi_port_external_lb": True},
        ("without data_parallel_size_local",),
    ),
    (
        {
            "data_parallel_size": 2,
            "data_parallel_hybrid_lb": True,
            "data_parallel_size_local": 4,
        },
        ("is 4 with data_parallel_hybrid_lb=True", "from 1 to data_parallel_size (2)"),
    ),
    (
        {
            "data_parallel_size": 8,
            "data_parallel_multi_port_external_lb": True,
            "data_parallel_size_local": 3,
        },
        ("is 3", "a divisor from 2 to data_parallel_size (8)"),
    ),
    (
        {
            "data_parallel_size": 8,
            "data_parallel_multi_port_external_lb": True,
            "data_parallel_size_local": 1,
        },
        ("is 1", "a divisor from 2"),
    ),
    (
        {
            "data_parallel_size": 8,
            "data_parallel_multi_port_external_lb": True,
            "data_parallel_size_local": 4,
            "api_server_count": 2,
        },
        ("api_server_count is 2", "leave it out"),
    ),
    (
        {"data_parallel_size": 8, "data_parallel_size_local": 4},
        ("is 4 of data_parallel_size=8", "all ranks are in the pod"),
    ),
]
# With flags that EngineArgs does not take, so only a command line can have them.
DERIVED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"headless": True, "data_parallel_hybrid_lb": True}, ("--headless", "HTTP server")),
    ({"headless": True, "data_parallel_external_lb": True}, ("--data-parallel-external-lb",)),
    ({"headless": True, "data_parallel_multi_port_external_lb": True}, ("--headless",)),
    (
        {"data_parallel_external_lb": True, "data_parallel_hybrid_lb": True},
        ("--data-parallel-hybrid-lb and --data-parallel-external-lb",),
    ),
    ({"nnodes": 2, "distributed_executor_backend": "ray"}, ("is 'ray' with --nnodes=2", "'mp'")),
    ({"nnodes": 2, "data_parallel_backend": "ray"}, ("--data-parallel-backend is 'ray'",)),
    ({"nnodes": 2, "tensor_parallel_size": 3}, ("--nnodes is 2", "the 3 ranks")),
    ({"enable_auto_tool_choice": True}, ("--enable-auto-tool-choice", "--tool-call-parser")),
    (
        {"data_parallel_start_rank": 4, "data_parallel_rank": 1},
        ("--data-parallel-rank and --data-parallel-start-rank",),
    ),
    (
        {"data_parallel_multi_port_external_lb": True, "grpc": True},
        ("--data-parallel-multi-port-external-lb and --grpc are both True",),
    ),
    (
        {"data_parallel_multi_port_external_lb": True, "uds": "/run/vllm.sock"},
        ("and --uds are both given",),
    ),
    (
        {"data_parallel_size": 8, "data_parallel_external_lb": True},
        ("--data-parallel-external-lb is True without --data-parallel-rank",),
    ),
    (
        {"data_parallel_rank": 0},
        ("--data-parallel-rank is given with --data-parallel-size=1",),
    ),
    (
        {"data_parallel_size": 8, "data_parallel_rank": 0, "data_parallel_size_local": 4},
        ("--data-parallel-size-local is 4 with --data-parallel-rank",),
    ),
    (
        {"eplb_config": {"num_redundant_experts": 32}},
        ("--eplb-config has 'num_redundant_experts' without --enable-eplb",),
    ),
    (
        {"enable_eplb": True, "enable_expert_parallel": True, "tensor_parallel_size": 1},
        ("--enable-eplb is True with one rank",),
    ),
]
ACCEPTED: list[dict[str, Any]] = [
    {},
    {"enable_auto_tool_choice": False},
    {"enable_eplb": True, "enable_expert_parallel": True, "data_parallel_size": 2},
    {"enable_eplb": True, "enable_expert_parallel": True, "tensor_parallel_size": 2},
    {"eplb_config": {"num_redundant_experts": 0}},
    {"data_parallel_size": 8, "data_parallel_rank": 3, "data_parallel_size_local": 1},
    {"data_parallel_size": 8, "data_parallel_external_lb": True, "nnodes": 8},
    {"data_parallel_size": 8, "data_parallel_start_rank": 4, "headless": True},
    {"enable_per_request_metrics": True, "disable_log_stats": False},
    {"kv_transfer_config": {"kv_connector": "NixlConnector", "kv_role": "kv_both"}},
    {"tensor_parallel_size": 4, "decode_context_parallel_size": 2},
    {"headless": True, "nnodes": 2, "tensor_parallel_size": 4, "data_parallel_backend": "mp"},
    {"nnodes": 2},
    {"nnodes": 2, "data_parallel_size": 8, "data_parallel_size_local": 4},
    {"data_parallel_size": 8, "data_parallel_size_local": 8},
    {"data_parallel_size": 8, "data_parallel_size_local": 4, "data_parallel_hybrid_lb": True},
    {
        "data_parallel_size": 8,
        "data_parallel_size_local": 4,
        "data_parallel_multi_port_external_lb": True,
        "api_server_count": 1,
    },
]


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_refusals(given: dict[str, Any], words: tuple[str, ...]) -> None:
    """An engine with flags that contradict each other is rejected with both of them."""
    sentence = strategies.refusal(lambda: EngineArgs(**given))

    assert sentence.startswith("EngineArgs.")
    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize(("given", "words"), DERIVED)
def test_command_lines(given: dict[str, Any], words: tuple[str, ...]) -> None:
    """On a command line the flags are named as they stand there."""
    problem = conflict(given, is_complete=True)

    assert problem is not None
    sentence = problem.sentence(as_flags)
    assert sentence.startswith("--")
    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize("given", ACCEPTED)
def test_accepted(given: dict[str, Any]) -> None:
    """What goes together is no conflict."""
    assert conflict(given) is None
    assert conflict(given, is_complete=True) is None


def test_left_out() -> None:
    """Only on a whole command line what is left out has vLLM's default."""
    given = {"decode_context_parallel_size": 2}

    assert conflict(given) is None
    problem = conflict(given, is_complete=True)
    assert problem is not None
    assert "is 2, which does not divide tensor_parallel_size (1)" in problem.sentence()


def test_all() -> None:
    """Each flag that lacks another one is told, not only the first."""
    given = {"enable_eplb": True, "lora_modules": ["a=/x"], "nnodes": 2, "data_parallel_size": 3}

    found = [problem.where.removeprefix("EngineArgs.") for problem in conflicts(given)]
    assert ["enable_eplb", "lora_modules", "nnodes"] == found


def test_other_nodes() -> None:
    """Where other nodes may have ranks, fewer ranks than there are is no conflict."""
    given = {"data_parallel_size": 16, "data_parallel_size_local": 8}

    assert [] == list(conflicts(given, has_nodes=True))
    assert "on one node" in next(conflicts(given)).sentence()
    assert list(conflicts({**given, "data_parallel_size_local": 32}, has_nodes=True))


@pytest.mark.parametrize("given", [given for given, _ in [*REFUSED, *DERIVED]])
def test_problem(given: dict[str, Any]) -> None:
    """A conflict is a mistake of one flag, with what to do."""
    problem = conflict(given)

    assert problem is not None
    assert problem.where.removeprefix("EngineArgs.") in given
    assert ("invalid", True) == (problem.kind, bool(problem.advice))
    assert problem.sentence().endswith(".")
    assert "{" not in problem.sentence(as_flags)
