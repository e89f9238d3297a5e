"""Conflicts between flags, with which vLLM does not start.

The rules are those of vllm/entrypoints/openai/cli_args.py, vllm/entrypoints/cli/serve.py,
vllm/config/scheduler.py, vllm/config/parallel.py and vllm/config/kv_transfer.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped

# A flag, the flag that it needs, and what to do without that.
_NEEDS = (
    (
        "enable_auto_tool_choice",
        "tool_call_parser",
        "give the parser of the model, for example {tool_call_parser='hermes'}",
    ),
    ("enable_log_outputs", "enable_log_requests", "add {enable_log_requests=True}"),
    ("enable_eplb", "enable_expert_parallel", "add {enable_expert_parallel=True}"),
    ("lora_modules", "enable_lora", "add {enable_lora=True}"),
)
# Two flags that exclude each other, and why.
_EXCLUDE = (
    ("enable_per_request_metrics", "disable_log_stats", "per-request metrics are log statistics"),
    ("headless", "data_parallel_hybrid_lb", "each node of that mode has an HTTP server"),
    ("headless", "data_parallel_external_lb", "each rank of that mode has an HTTP server"),
    (
        "headless",
        "data_parallel_multi_port_external_lb",
        "each rank of that mode has an HTTP server",
    ),
    ("data_parallel_multi_port_external_lb", "grpc", "its ranks serve HTTP"),
    ("data_parallel_multi_port_external_lb", "uds", "its ranks have ports"),
)
# Load balancers of data-parallel ranks; `data_parallel_rank` implies the external one.
_BALANCERS = (
    "data_parallel_hybrid_lb",
    "data_parallel_external_lb",
    "data_parallel_multi_port_external_lb",
)
_STARTS = "and vLLM does not start with that"


def conflict(given: Mapping[str, Any], *, is_complete: bool = False) -> Problem | None:
    """The first conflict between flags; None if there is none.

    Args:
        given: Flags by their Python names, without those that are left out.
        is_complete: Whether these are all flags of a command line, so that a flag that is left
            out has vLLM's default. Default False: this library may add others.
    """
    return next(conflicts(given, is_complete=is_complete), None)


def conflicts(
    given: Mapping[str, Any], *, is_complete: bool = False, has_nodes: bool = False
) -> Iterator[Problem]:
    """All conflicts between flags.

    Args:
        given: Flags by their Python names, without those that are left out.
        is_complete: Whether these are all flags of a command line. Default: False.
        has_nodes: Whether other nodes may have ranks of the same engine. Default: False.
    """
    whole = {"tensor_parallel_size": 1, **given} if is_complete else given
    yield from _missing(given)
    yield from exclusions(given)
    for check in (_batch, _transfer):
        yield from filter(None, (check(given),))
    yield from filter(None, (_local_ranks(given, has_nodes=has_nodes), _nodes(given)))
    for check in (_context, _experts):
        yield from filter(None, (check(whole),))


def _problem(name: str, text: str, advice: str, value: object = None) -> Problem:
    shown = "" if value is None else require.shown(value)
    return Problem(where=f"EngineArgs.{name}", text=text, value=shown, advice=advice)


def _missing(given: Mapping[str, Any]) -> Iterator[Problem]:
    for name, other, advice in _NEEDS:
        if given.get(name) and not given.get(other):
            state = "is True" if given[name] is True else "is given"
            text = f"{state} without {{{other}}}, {_STARTS}"
            yield _problem(name, text, advice, given[name])


def exclusions(given: Mapping[str, Any]) -> Iterator[Problem]:
    """The conflicts between flags that exclude each other, whatever else is given.

    Args:
        given: Flags by their Python names, without those that are left out.
    """
    for name, other, why in _EXCLUDE:
        if given.get(name) and given.get(other):
            state = "True" if given[other] is True else "given"
            text = f"and {{{other}}} are both {state}, {_STARTS}: {why}"
            yield _problem(name, text, "leave one out", given[name])
    balancers = [name for name in _BALANCERS if given.get(name)]
    is_external = "data_parallel_external_lb" in balancers
    if given.get("data_parallel_rank") is not None and not is_external:
        balancers.append("data_parallel_rank")
    # A node that serves and begins with another rank has the hybrid mode.
    first_rank = "data_parallel_start_rank"
    is_hybrid = given.get(first_rank) is not None and not given.get("headless")
    if is_hybrid and not {_BALANCERS[0], _BALANCERS[2]} & set(balancers):
        balancers.append(first_rank)
    if len(balancers) > 1:
        first, second, *_ = balancers
        text = f"and {{{second}}} are both given, {_STARTS}"
        yield _problem(first, text, "leave one out", given[first])


def _batch(given: Mapping[str, Any]) -> Problem | None:
    tokens, seqs = given.get("max_num_batched_tokens"), given.get("max_num_seqs")
    if tokens is None or seqs is None or tokens >= seqs:
        return None
    text = f"is {tokens}, less than {{max_num_seqs}} ({seqs}), {_STARTS}"
    return _problem("max_num_batched_tokens", text, f"raise it to at least {seqs}", tokens)


def _transfer(given: Mapping[str, Any]) -> Problem | None:
    for kind, example in (("kv", "kv_both"), ("ec", "ec_producer")):
        config = given.get(f"{kind}_transfer_config")
        if not isinstance(config, Mapping):
            continue
        if config.get(f"{kind}_connector") and not config.get(f"{kind}_role"):
            text = f"has '{kind}_connector' without '{kind}_role', {_STARTS}"
            advice = f"add '{kind}_role', for example {example!r}"
            return _problem(f"{kind}_transfer_config", text, advice, config)
    return None


def _context(given: Mapping[str, Any]) -> Problem | None:
    tensor, context = given.get("tensor_parallel_size"), given.get("decode_context_parallel_size")
    if not tensor or not context or tensor % context == 0:
        return None
    text = f"is {context}, which does not divide {{tensor_parallel_size}} ({tensor}), {_STARTS}"
    advice = "leave it out" if tensor == 1 else f"give a divisor of {tensor}"
    return _problem("decode_context_parallel_size", text, advice, context)


def _local_ranks(given: Mapping[str, Any], *, has_nodes: bool) -> Problem | None:
    """The ranks of one node, which two of the load balancers need, and no other takes."""
    name = "data_parallel_size_local"
    size, local = given.get("data_parallel_size") or 1, given.get(name)
    balancer = next((one for one in (_BALANCERS[0], _BALANCERS[2]) if given.get(one)), None)
    if balancer is None:
        if given.get(_BALANCERS[1]) or given.get("data_parallel_rank") is not None:
            return _external(given, size, local)
        is_elsewhere = (given.get("nnodes") or 1) > 1 or given.get("headless")
        if local in (None, size) or is_elsewhere or (has_nodes and local <= size):
            return None
        text = f"is {local} of {{data_parallel_size={size}}}, {_STARTS} on one node"
        return _problem(name, text, "leave it out: all ranks are in the pod", local)
    return _of_node(given, balancer, size, local)


def _of_node(
    given: Mapping[str, Any], balancer: str, size: int, local: int | None
) -> Problem | None:
    """What the load balancers of a node need: how many ranks it has."""
    name = "data_parallel_size_local"
    if local is None:
        text = f"is True without {{{name}}}, {_STARTS}"
        return _problem(balancer, text, "give the ranks of one node", True)  # noqa: FBT003  # its value
    least = 1 if balancer == _BALANCERS[0] else 2
    if not least <= local <= size or (least == 2 and size % local):
        what = "from 1" if least == 1 else "a divisor from 2"
        text = f"is {local} with {{{balancer}=True}}, {_STARTS}"
        return _problem(name, text, f"give {what} to {{data_parallel_size}} ({size})", local)
    servers = given.get("api_server_count")
    if least == 2 and servers not in (None, 1):
        text = f"is {servers} with {{{balancer}=True}}, {_STARTS}"
        return _problem("api_server_count", text, "leave it out", servers)
    return None


def _external(given: Mapping[str, Any], size: int, local: int | None) -> Problem | None:
    """What the external load balancer needs: a rank, of several, alone on its node."""
    rank = given.get("data_parallel_rank")
    name = _BALANCERS[1] if rank is None else "data_parallel_rank"
    if size < 2:
        text = f"is given with {{data_parallel_size={size}}}, {_STARTS}"
        return _problem(name, text, "give the number of ranks, or leave it out", given[name])
    if local not in (None, 1):
        text = f"is {local} with {{{name}}}, {_STARTS}: each rank is an engine of its own"
        return _problem("data_parallel_size_local", text, "leave it out", local)
    if rank is None and (given.get("nnodes") or 1) < 2:
        text = f"is True without {{data_parallel_rank}}, {_STARTS}"
        return _problem(name, text, "give the rank of each engine", True)  # noqa: FBT003  # its value
    return None


def _nodes(given: Mapping[str, Any]) -> Problem | None:
    nodes = given.get("nnodes") or 1
    if nodes < 2:
        return None
    for name in ("distributed_executor_backend", "data_parallel_backend"):
        if given.get(name, "mp") != "mp":
            value = escaped(require.shown(given[name]))
            text = f"is {value} with {{nnodes={nodes}}}, {_STARTS}"
            return _problem(name, text, "give 'mp'", given[name])
    sizes = [given.get(f"{kind}_parallel_size") for kind in ("tensor", "pipeline", "data")]
    ranks = math.prod(one or 1 for one in sizes)
    if any(sizes) and ranks % nodes:
        text = (
            f"is {nodes}, which does not divide the {ranks} ranks of tensor, pipeline and data "
            f"parallelism, {_STARTS}"
        )
        return _problem("nnodes", text, "give sizes whose product it divides", nodes)
    return None


def _experts(given: Mapping[str, Any]) -> Problem | None:
    """The balancer of experts, which needs ranks to move them between."""
    name, config = "enable_eplb", given.get("eplb_config")
    if not given.get(name):
        spare = config.get("num_redundant_experts") if isinstance(config, Mapping) else None
        if not spare:
            return None
        text = f"has 'num_redundant_experts' without {{{name}}}, {_STARTS}"
        return _problem("eplb_config", text, f"add {{{name}=True}}", config)
    kinds = ("tensor", "prefill_context", "data")
    ranks = math.prod(given.get(f"{kind}_parallel_size") or 1 for kind in kinds)
    if ranks > 1 or not given.get("tensor_parallel_size"):
        return None
    text = f"is True with one rank, {_STARTS}: there is nothing to balance"
    return _problem(name, text, "leave it out", True)  # noqa: FBT003  # its value
