"""Rules of data and expert parallelism: D01, D02, D05 and D06."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs.engine.conflicts import conflicts, exclusions
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import has_given, is_plain, lists_flags
from vllm_constructs.reading.listeners import MULTI_PORT
from vllm_constructs.releases.environment import switch
from vllm_constructs.workloads.lora_adapter import RUNTIME, servers_problem

from .owners import given_flags, level_of, owner_of
from .rule import Found, rule

_SIZE, _LOCAL = "data-parallel-size", "data-parallel-size-local"
_START, _RANK = "data-parallel-start-rank", "data-parallel-rank"
_HYBRID, _EXTERNAL = "data-parallel-hybrid-lb", "data-parallel-external-lb"
# Flags on which the conflicts of ranks depend, beside those of data parallelism.
_NODES = ("nnodes", "node-rank", "api-server-count")
# vLLM refuses a dense model with ranks of its own servers (vllm/engine/arg_utils.py).
_REFUSES_DENSE = (0, 21, 0)


@rule("D01", "error", "load balancing of ranks with which vLLM does not start")
def balancing(graph: Graph) -> Iterator[Found]:
    """The three modes exclude each other, and each needs its own sizes."""
    for engine in graph.engines:
        if not is_plain(engine) or not _is_parallel(engine):
            continue
        found = [one for one in _conflicts(engine) if owner_of(one) == "D01"]
        # What a mode lacks is of no interest before it is the only one.
        both = [one for one in exclusions(given_flags(engine)) if one in found]
        for problem in both or found:
            yield _at(engine, problem)
        if _has_same_ranks(engine):
            mode = MULTI_PORT if engine.flag(MULTI_PORT) is True else _HYBRID
            text = (
                f"is given to all pods of a group without --{_START}, so that each of them has the "
                "ranks of the first one"
            )
            advice = f"add --node-rank=$(LWS_WORKER_INDEX), or a --{_START} for each pod"
            if mode == _HYBRID:
                advice = f"give a --{_START} for each pod, or --nnodes and --node-rank"
            problem = Problem(where=f"--{mode}", text=text, advice=advice)
            yield Found(manifest=engine.manifest, path=engine.flag_place(mode), problem=problem)


def _is_parallel(engine: Engine) -> bool:
    names = (*engine.options, *engine.line.unread)
    return any(name.startswith("data-parallel") for name in names)


def _at(engine: Engine, problem: Problem) -> Found:
    flag = problem.where.removeprefix("EngineArgs.").replace("_", "-")
    return Found(
        manifest=engine.manifest,
        path=engine.flag_place(flag),
        problem=problem,
        level=level_of(engine),
    )


def _conflicts(engine: Engine) -> Iterator[Problem]:
    """The conflicts between its flags, as far as their values are known."""
    given = given_flags(engine)
    is_known = lists_flags(engine) and not any(
        name.startswith("data-parallel") or name in _NODES for name in engine.line.unread
    )
    if not is_known:
        return exclusions(given)
    pod = engine.pod
    has_nodes = bool(pod.role) and pod.group_size != 1
    has_nodes = has_nodes or has_given(engine, "data-parallel-address", _START)
    return conflicts(given, is_complete=True, has_nodes=has_nodes)


def _has_same_ranks(engine: Engine) -> bool:
    """Whether all pods of a group begin with the same rank."""
    size = engine.pod.group_size
    if size is None or size < 2 or engine.pod.role == "leader" or not lists_flags(engine):
        return False
    if engine.flag(_HYBRID) is not True and engine.flag(MULTI_PORT) is not True:
        return False
    local, ranks = engine.flag(_LOCAL), engine.flag(_SIZE)
    is_whole = isinstance(local, int) and local == ranks
    return not is_whole and not has_given(engine, _START, "node-rank")


@rule("D02", "error", "a dense model behind an external load balancer of ranks")
def dense(graph: Graph) -> Iterator[Found]:
    """Ranks of a model without experts share nothing: they are replicas, and vLLM refuses them."""
    for engine in graph.engines:
        flag = next(
            (
                name
                for name in (_RANK, _EXTERNAL, MULTI_PORT)
                if engine.flag(name) is True or (name == _RANK and has_given(engine, name))
            ),
            None,
        )
        if flag is None and engine.flag(_HYBRID) is True and engine.flag(_LOCAL) == 1:
            flag = _HYBRID
        ranks = engine.flag(_SIZE)
        if flag is None or not isinstance(ranks, int) or ranks < 2 or not _is_dense(engine.model):
            continue
        release = engine.release
        is_refused = release.version is not None and release.assumed >= _REFUSES_DENSE
        text = (
            f"is given to {escaped(repr(engine.model))}, which has no experts, so that its ranks "
            "are replicas that wait for each other"
        )
        if is_refused:
            text = (
                f"is given to {escaped(repr(engine.model))}, which has no experts, and "
                f"{release.description} does not start with that"
            )
        problem = Problem(
            where=f"--{flag}",
            text=text,
            advice="leave out all --data-parallel flags, and give replicas",
        )
        yield Found(
            manifest=engine.manifest,
            path=engine.flag_place(flag),
            problem=problem,
            level=None if is_refused else "warning",
        )


def _is_dense(model: str | None) -> bool:
    """Whether a model is known to have no experts."""
    from vllm_constructs.memory.shapes import ModelShape, is_named

    return model is not None and is_named(model) and ModelShape.named(model).experts is None


@rule("D05", "error", "a balancer of experts that has nothing to balance")
def experts(graph: Graph) -> Iterator[Found]:
    """EPLB moves experts between ranks of expert parallelism, and does not start without them."""
    for engine in graph.engines:
        if not has_given(engine, "enable-eplb", "eplb-config") or not is_plain(engine):
            continue
        if not lists_flags(engine):
            continue
        has_sizes = any("parallel-size" in name for name in engine.line.unread)
        given = given_flags(engine)
        if has_sizes:
            # The product of all sizes is not known without one of them.
            given.pop("tensor_parallel_size", None)
        for problem in conflicts(given, is_complete=not has_sizes):
            if owner_of(problem) == "D05":
                yield _at(engine, problem)


@rule("D06", "error", "adapters loaded at run time with several API servers")
def servers(graph: Graph) -> Iterator[Found]:
    """Only one of the servers would know the adapter, so vLLM refuses to start."""
    for engine in graph.engines:
        if not switch(engine.env, RUNTIME) or not is_plain(engine):
            continue
        count = engine.flag("api-server-count")
        if "api-server-count" in engine.line.unread or not lists_flags(engine):
            continue
        problem = servers_problem(count if isinstance(count, int) else None, _servers(engine))
        if problem is not None:
            path = engine.flag_place("api-server-count", _SIZE)
            yield Found(manifest=engine.manifest, path=path, problem=problem)


def _servers(engine: Engine) -> int:
    """The API servers that vLLM starts without a number of them."""
    if engine.is_headless or engine.flag(MULTI_PORT) is True or has_given(engine, _RANK):
        return 1
    if engine.flag(_EXTERNAL) is True:
        return 1
    name = _LOCAL if engine.flag(_HYBRID) is True or has_given(engine, _START) else _SIZE
    return 1 if name in engine.line.unread else engine.size(name)
