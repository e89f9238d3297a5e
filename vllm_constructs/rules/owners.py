"""Owners: which rule tells a problem that a check of the command line has found."""

from __future__ import annotations

from typing import Any

from vllm_constructs.errors import Problem
from vllm_constructs.reading.engines import Engine

from .rule import Level

# By the beginning of a flag's Python name; the first one counts.
_CONFLICTS = (
    ("api_server_count", "D01"),
    ("data_parallel_", "D01"),
    ("headless", "D01"),
    ("enable_eplb", "D05"),
    ("eplb_config", "D05"),
    ("ec_transfer_config", "X07"),
    ("kv_transfer_config", "X07"),
    ("enable_lora", "L01"),
    ("lora_modules", "L01"),
    ("max_cpu_loras", "L01"),
    ("max_lora_rank", "L01"),
    ("nnodes", "M01"),
)
_VALUES = (
    ("ec_transfer_config", "X07"),
    ("kv_transfer_config", "X07"),
    ("max_lora_rank", "L01"),
)


def owner_of(problem: Problem, default: str = "E06") -> str:
    """The id of the rule that tells a problem of flags.

    Args:
        problem: The problem, whose `where` is a flag or the Python name of one.
        default: The rule of the check: `E06` for flags together, any other for single values.
            Default: E06.
    """
    name = problem.where.removeprefix("EngineArgs.").removeprefix("extra['")
    name = name.lstrip("'\"-").replace("-", "_")
    owners = _CONFLICTS if default == "E06" else _VALUES
    return next((owner for start, owner in owners if name.startswith(start)), default)


def given_flags(engine: Engine) -> dict[str, Any]:
    """The flags of an engine by their Python names, as checks of them together take them.

    Args:
        engine: The engine.
    """
    return {name.replace("-", "_"): value for name, value in engine.options.items()}


def level_of(engine: Engine) -> Level:
    """The level of what a release refuses: a warning where the manifest does not specify it.

    Args:
        engine: The engine.
    """
    return "error" if engine.release.is_certain else "warning"
