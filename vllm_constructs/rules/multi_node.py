"""Rules of the sizes and ranks of engines that have several nodes: M01 and M02."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs.accelerators.google import Tpu
from vllm_constructs.engine.conflicts import conflicts
from vllm_constructs.errors import Problem
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import (
    LEADER_ADDRESS,
    Group,
    groups,
    has_given,
    is_plain,
    lists_flags,
    script,
    serves_ranks,
)

from .owners import given_flags, level_of, owner_of
from .rule import Found, Level, rule

SIZES = {
    "tensor": "tensor-parallel-size",
    "pipeline": "pipeline-parallel-size",
    "prefill context": "prefill-context-parallel-size",
    "data": "data-parallel-size",
}
"""The flags whose product is the number of ranks, by what they split."""


@rule("M01", "error", "sizes of a group that do not agree")
def sizes(graph: Graph) -> Iterator[Found]:
    """Ranks that are never started are waited for, and the group does not become ready."""
    for engine in graph.engines:
        for problem in conflicts(given_flags(engine)):
            if owner_of(problem) == "M01":
                yield _at(engine, "nnodes", problem, level_of(engine))
    for group in groups(graph):
        told: set[str] = set()
        for engine in group.engines:
            found = _nodes(group, engine) or _devices(group, engine) or _local_ranks(group, engine)
            # What is wrong with both templates is told once.
            if found is not None and found.problem.text not in told:
                told.add(found.problem.text)
                yield found
        yield from _differences(group)


def _at(engine: Engine, flag: str, problem: Problem, level: Level | None = None) -> Found:
    path = engine.flag_place(flag)
    return Found(manifest=engine.manifest, path=path, problem=problem, level=level)


def _nodes(group: Group, engine: Engine) -> Found | None:
    """Another number of nodes than the group has pods."""
    nodes, size = engine.flag("nnodes"), group.size
    if size is None or not isinstance(nodes, int) or nodes in (1, size):
        return None
    if not _meets_leader(engine, "master-addr"):
        # Its nodes may be in several groups.
        return None
    text = f"is {nodes}, but a group of the set has {_count(size, 'pod')}"
    advice = f"give $(LWS_GROUP_SIZE), or {nodes} as the size of the group"
    return _at(engine, "nnodes", Problem(where="--nnodes", text=text, advice=advice))


def _meets_leader(engine: Engine, flag: str) -> bool:
    """Whether the nodes meet at the leader of their own group."""
    line = engine.line
    if flag in line.unread:
        return LEADER_ADDRESS in line.unread[flag].value
    return flag not in line.options


def _devices(group: Group, engine: Engine) -> Found | None:
    """Other GPUs than the ranks of a node need."""
    ranks, size = _ranks(engine), group.size
    devices = 0 if isinstance(engine.gpus.gpu, Tpu) else _device_count(engine)
    if ranks is None or not size or not devices:
        return None
    product = " x ".join(
        f"{kind} {engine.size(flag)}" for kind, flag in SIZES.items() if engine.size(flag) > 1
    )
    flag = next((flag for flag in SIZES.values() if flag in engine.options), "nnodes")
    if engine.flag("nnodes") == size and size > 1 and ranks % size == 0:
        if ranks // size == devices:
            return None
        here = _count(ranks // size, "rank")
        text = f"makes {here} on each of the {size} nodes, but a pod has {_count(devices, 'GPU')}"
        advice = f"give sizes whose product is {devices * size}, or pods with {ranks // size} GPUs"
    elif engine.flag("nnodes") == size > 1 and not product:
        text = f"makes {_count(ranks, 'rank')}, which {size} nodes cannot share"
        advice = f"give sizes whose product is {devices * size}"
    elif group.uses_ray and ranks > devices * size:
        # An engine without another executor takes that of Ray.
        text = (
            f"makes {_count(ranks, 'rank')}, but the {_count(size, 'pod')} of a group have "
            f"{devices * size} GPUs"
        )
        advice = "give smaller sizes, or larger groups"
    else:
        return None
    where = f"the product of the parallel sizes ({product or 'each is 1'})"
    return _at(engine, flag, Problem(where=where, text=text, advice=advice))


def _ranks(engine: Engine) -> int | None:
    """The product of its sizes; None if the manifest does not say."""
    if not is_plain(engine) or not lists_flags(engine):
        return None
    product = 1
    for flag in SIZES.values():
        if flag in engine.line.unread:
            return None
        product *= engine.size(flag)
    return product


def _device_count(engine: Engine) -> int:
    gpus = engine.gpus
    return gpus.gpu.devices if gpus.gpu is not None else gpus.count


def _local_ranks(group: Group, engine: Engine) -> Found | None:
    """Data-parallel ranks of all pods that are more or fewer than the engine has."""
    local, total, size = "data-parallel-size-local", engine.flag("data-parallel-size"), group.size
    if not size or not isinstance(total, int) or has_given(engine, "nnodes"):
        return None
    if not has_given(engine, "data-parallel-address") or not _meets_leader(
        engine, "data-parallel-address"
    ):
        return None
    counts = [
        (1 if one.pod.role == "leader" else size - 1 if one.pod.role == "worker" else size)
        * (one.flag(local) if isinstance(one.flag(local), int) else 0)
        for one in group.engines
    ]
    is_known = all(isinstance(one.flag(local), int) and is_plain(one) for one in group.engines)
    if not is_known or len(counts) != len(group.pods) or sum(counts) == total:
        return None
    text = (
        f"is {total}, but the {_count(size, 'pod')} of a group have {_count(sum(counts), 'rank')}"
    )
    advice = f"give {sum(counts)}, or other ranks of each node (--{local})"
    problem = Problem(where="--data-parallel-size", text=text, advice=advice)
    return _at(engine, "data-parallel-size", problem)


def _differences(group: Group) -> Iterator[Found]:
    """Sizes of the workers that are not those of their leader."""
    leader, worker = group.engine("leader"), group.engine("worker")
    if leader is None or worker is None or not group.is_one_engine:
        return
    if not all(is_plain(one) and lists_flags(one) for one in (leader, worker)):
        return
    for flag in SIZES.values():
        if flag in leader.line.unread or flag in worker.line.unread:
            continue
        if leader.size(flag) != worker.size(flag):
            text = f"is {worker.size(flag)} on the workers and {leader.size(flag)} on the leader"
            advice = "give all nodes of an engine the same sizes"
            yield _at(worker, flag, Problem(where=f"--{flag}", text=text, advice=advice))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@rule("M02", "error", "--headless on the first node, or not on another one")
def headless(graph: Graph) -> Iterator[Found]:
    """A headless first node serves nobody; another one without it starts a second server."""
    for engine in graph.engines:
        if not is_plain(engine) or serves_ranks(engine):
            continue
        ranks = _node_ranks(engine)
        if engine.is_headless and 0 in ranks:
            where = "the leader" if engine.pod.role == "leader" else "the first node"
            if len(ranks) > 1:
                where = "all nodes, the first one too"
            text = f"is given to {where}, so that no node serves HTTP"
            advice = "give it to the other nodes only"
            advice += ", with a leaderTemplate of its own" if len(ranks) > 1 else ""
            yield _at(engine, "headless", Problem(where="--headless", text=text, advice=advice))
        elif ranks - {0} and not engine.is_headless and _lacks_headless(engine):
            what = "the nodes behind the first one" if 0 in ranks else "this node"
            text = f"is missing on {what}, which would start an API server of its own"
            advice = "add it to all nodes but the first one"
            advice += ", which needs a leaderTemplate of its own" if 0 in ranks else ""
            yield _at(engine, "nnodes", Problem(where="--headless", text=text, advice=advice))


def _node_ranks(engine: Engine) -> set[int]:
    """The numbers of its nodes as far as they are known: 0 is the first one, and 1 any other."""
    rank, role = engine.flag("node-rank"), engine.pod.role
    if has_given(engine, "nnodes"):
        if isinstance(rank, int):
            return {min(rank, 1)} if engine.size("nnodes") > 1 else set()
        size = engine.pod.group_size
        if not role or size is None or size < 2:
            return set()
        return {"leader": {0}, "worker": {1}}.get(role, {0, 1})
    if role and _meets_leader(engine, "data-parallel-address"):
        first = engine.flag("data-parallel-start-rank", 0)
        if role == "leader" and first == 0 and "data-parallel-start-rank" not in engine.line.unread:
            return {0}
        if role == "worker" and has_given(engine, "data-parallel-address"):
            return {1}
    return set()


def _lacks_headless(engine: Engine) -> bool:
    return lists_flags(engine) and "headless" not in script(engine.container)
