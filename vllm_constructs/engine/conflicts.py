"""Flags that contradict each other, so that vLLM does not start.

The rules are those of vllm/entrypoints/openai/cli_args.py, vllm/entrypoints/cli/serve.py,
vllm/config/scheduler.py, vllm/config/parallel.py and vllm/config/kv_transfer.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from vllm_constructs.errors import refuse
from vllm_constructs.releases.release import catalogue

# A flag that is on, the flag that it needs, and what to do.
_NEEDS = (
    (
        "enable_auto_tool_choice",
        "tool_call_parser",
        "give the parser of the model, for example 'hermes'",
    ),
    ("enable_log_outputs", "enable_log_requests", "add enable_log_requests=True"),
    ("enable_eplb", "enable_expert_parallel", "add enable_expert_parallel=True"),
    ("lora_modules", "enable_lora", "add enable_lora=True"),
)
# Two flags of which one may be on, and why.
_EXCLUDE = (
    ("enable_per_request_metrics", "disable_log_stats", "per-request metrics are log statistics"),
    ("headless", "data_parallel_hybrid_lb", "each node of that mode has an HTTP server"),
    ("headless", "data_parallel_external_lb", "each rank of that mode has an HTTP server"),
    (
        "headless",
        "data_parallel_multi_port_external_lb",
        "each rank of that mode has an HTTP server",
    ),
)
# Ways to spread requests over data-parallel ranks; a rank is the second of them.
_BALANCERS = (
    "data_parallel_hybrid_lb",
    "data_parallel_external_lb",
    "data_parallel_multi_port_external_lb",
)
_STARTS = "and vLLM does not start like that"


def check(given: Mapping[str, Any], *, dashed: bool = False) -> None:
    """Refuse flags that contradict each other.

    Args:
        given: Flags by their Python names, without those that are left out.
        dashed: Whether it is a whole command line, so that what is left out has vLLM's default,
            and refusals name flags as there. Default: keywords of EngineArgs.
    """
    rules = (_needed, _excluded, _batch, _transfer, _nodes)
    found = [rule(given) for rule in rules]
    found.append(_parallel({"tensor_parallel_size": 1, **given} if dashed else given))
    sentence = next(filter(None, found), "")
    if not sentence:
        return
    if dashed:
        fact, mark, advice = sentence.partition(f", {_STARTS}")
        refuse(f"{re.sub(r'[a-z_]+', _dashed, fact)}{mark}{advice}")
    refuse(f"EngineArgs.{sentence}")


def _dashed(word: re.Match[str]) -> str:
    """A word of a refusal, as the command line has it where it is a flag."""
    flag = f"--{word[0].replace('_', '-')}"
    return flag if flag in catalogue()["flags"] and word[0] != "model" else word[0]


def _needed(given: Mapping[str, Any]) -> str:
    for name, other, advice in _NEEDS:
        if given.get(name) and not given.get(other):
            state = "is True" if given[name] is True else "is given"
            return f"{name} {state} without {other}, {_STARTS}; {advice}."
    return ""


def _excluded(given: Mapping[str, Any]) -> str:
    for name, other, why in _EXCLUDE:
        if given.get(name) and given.get(other):
            return f"{name} and {other} are both True, {_STARTS}: {why}; leave one out."
    on = [name for name in _BALANCERS if given.get(name)]
    if given.get("data_parallel_rank") is not None and "data_parallel_external_lb" not in on:
        on.append("data_parallel_rank")
    if len(on) > 1:
        return f"{on[0]} and {on[1]} are both given, {_STARTS}; leave one out."
    return ""


def _batch(given: Mapping[str, Any]) -> str:
    tokens, seqs = given.get("max_num_batched_tokens"), given.get("max_num_seqs")
    if tokens is None or seqs is None or tokens >= seqs:
        return ""
    return (
        f"max_num_batched_tokens is {tokens}, less than max_num_seqs ({seqs}), {_STARTS}; raise "
        f"it to at least {seqs}."
    )


def _transfer(given: Mapping[str, Any]) -> str:
    for kind, example in (("kv", "kv_both"), ("ec", "ec_producer")):
        config = given.get(f"{kind}_transfer_config")
        found = config if isinstance(config, Mapping) else {}
        if found.get(f"{kind}_connector") and not found.get(f"{kind}_role"):
            return (
                f"{kind}_transfer_config has {kind}_connector and no role, {_STARTS}; add "
                f"'{kind}_role', for example {example!r}."
            )
    return ""


def _parallel(given: Mapping[str, Any]) -> str:
    tensor, context = given.get("tensor_parallel_size"), given.get("decode_context_parallel_size")
    if not tensor or not context or tensor % context == 0:
        return ""
    return (
        f"decode_context_parallel_size is {context}, which does not divide tensor_parallel_size "
        f"({tensor}), {_STARTS}; give a divisor of {tensor}."
    )


def _nodes(given: Mapping[str, Any]) -> str:
    nodes = given.get("nnodes") or 1
    if nodes < 2:
        return ""
    for name in ("distributed_executor_backend", "data_parallel_backend"):
        if given.get(name, "mp") != "mp":
            return f"{name} is {given[name]!r} with nnodes={nodes}, {_STARTS}; give 'mp'."
    sizes = [given.get(f"{kind}_parallel_size") for kind in ("tensor", "pipeline", "data")]
    ranks = math.prod(one or 1 for one in sizes)
    if any(sizes) and ranks % nodes:
        return (
            f"nnodes is {nodes}, which does not divide the {ranks} ranks of tensor, pipeline and "
            f"data parallelism, {_STARTS}; give sizes whose product it divides."
        )
    return ""
