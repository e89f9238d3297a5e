"""Rules of shared memory: G04 and G05."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.kube import quantity
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import integer, items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path

from .rule import Edit, Fix, Found, put, rule

SHM = "/dev/shm"  # noqa: S108  # a path of the pod
CONTAINER_DEFAULT = 64 * quantity.MI
"""Bytes of `/dev/shm` that a container has without a volume."""
_MEMORY = "Memory"
# Of these, one process drives all chips of a host.
_ONE_PROCESS = {"aws.amazon.com/neuron", "aws.amazon.com/neuroncore", "google.com/tpu"}
_NEGATIVE = re.compile(r"-\s*[\d.]+\w*")
_NAME = "shm"


@dataclass(frozen=True, kw_only=True)
class SharedMemory:
    """The volume at `/dev/shm` of an engine.

    Args:
        path: The fields that lead to its `emptyDir`.
        medium: Its medium; empty for the disk of the node.
        size: Its `sizeLimit` in bytes; None if it has none, or none that is known.
    """

    path: Path
    medium: str
    size: int | None


def shared_memory_of(engine: Engine) -> SharedMemory | None:
    """The emptyDir at an engine's `/dev/shm`; None without a mount, or with another volume.

    Args:
        engine: The engine.
    """
    mount = engine.mount(SHM)
    volume = None if mount is None else engine.volume(mount[1])
    if volume is None or "emptyDir" not in volume[1]:
        return None
    path, body = volume
    source = mapping(body, "emptyDir")
    return SharedMemory(
        path=(*path, "emptyDir"),
        medium=str(source.get("medium") or ""),
        size=amount(source.get("sizeLimit")),
    )


def lacks_shared_memory(engine: Engine) -> bool:
    """Whether an engine has only the container's own `/dev/shm`.

    Args:
        engine: The engine.
    """
    pod = engine.pod
    is_own = pod.is_whole and pod.spec.get("hostIPC") is not True
    return is_own and engine.mount(SHM) is None


def memory_limit(engine: Engine) -> tuple[Path, int] | None:
    """The memory limit of an engine's container, or else of its pod; None if there is none.

    Args:
        engine: The engine.
    """
    for path, limits in (
        (engine.path, engine.limits),
        (engine.pod.path, mapping(engine.pod.spec, "resources", "limits")),
    ):
        size = amount(limits.get("memory"))
        if size is not None:
            return (*path, "resources", "limits", "memory"), size
    return None


def amount(value: object) -> int | None:
    """A size in bytes; None if it is none, or so small that its unit is wrong."""
    found = quantity.parse(str(value)) if isinstance(value, (str, int, float)) else None
    return int(found) if found and found >= quantity.MI else None


def workers_of(engine: Engine) -> int | None:
    """The workers of one engine in a pod; None if the manifest does not say.

    Args:
        engine: The engine.
    """
    line = engine.line
    names = ("tensor-parallel-size", "pipeline-parallel-size", "nnodes")
    if any(one in line.unread for one in names):
        return None
    if engine.flag("distributed-executor-backend") not in (None, "mp"):
        return None
    tensor, pipeline, nodes = (engine.size(one) for one in names)
    if "data-parallel-size" in line.options and nodes > 1:
        return None
    count = max(1, tensor * pipeline // nodes)
    # With Ray, the others are in other pods.
    return min(count, engine.gpus.count or count)


@rule("G04", "error", "too little shared memory for several workers")
def workers(graph: Graph) -> Iterator[Found]:
    """Workers exchange their inputs and results in `/dev/shm`, which has 64 MiB by default."""
    for engine in graph.engines:
        yield from _mediums(engine)
        count = workers_of(engine)
        if count is None or count < 2 or not _ONE_PROCESS.isdisjoint(engine.limits):
            continue
        if lacks_shared_memory(engine):
            yield _no_volume(engine, count)
            continue
        found = shared_memory_of(engine)
        if found is not None and not found.medium:
            yield _on_disk(engine, found)
        elif found is not None and found.size is not None:
            yield from _too_small(engine, found.path, found.size, count)


def _mediums(engine: Engine) -> Iterator[Found]:
    """Media that the kubelet does not know."""
    for path, volume in engine.pod.volumes.values():
        medium = mapping(volume, "emptyDir").get("medium")
        if medium in (None, "", _MEMORY) or str(medium).startswith(("HugePages", "$", "{{")):
            continue
        is_meant = str(medium).strip().lower() in ("memory", "ram", "tmpfs")
        text = (
            f"is {escaped(require.shown(medium))}, which the kubelet does not know, so that it "
            "never starts the pod"
        )
        where = (*path, "emptyDir", "medium")
        yield Found(
            manifest=engine.manifest,
            path=where,
            problem=Problem(where="emptyDir.medium", text=text, advice="write Memory"),
            fix=put(where, _MEMORY, is_safe=True) if is_meant else None,
        )


def _needed(engine: Engine, count: int) -> int:
    from vllm_constructs.workloads.storage import shared_memory_needed

    gpus = engine.gpus.count
    return shared_memory_needed(max(count, gpus))


def _no_volume(engine: Engine, count: int) -> Found:
    size = quantity.gibibytes(_needed(engine, count))
    volumes = items(engine.pod.spec.get("volumes"))
    mounts = items(engine.container.get("volumeMounts"))
    name = _NAME if _NAME not in engine.pod.volumes else f"{_NAME}-of-vllm"
    added: tuple[tuple[Path, list[Any], dict[str, Any]], ...] = (
        (
            (*engine.pod.path, "volumes"),
            volumes,
            {"name": name, "emptyDir": {"medium": _MEMORY, "sizeLimit": size}},
        ),
        ((*engine.path, "volumeMounts"), mounts, {"name": name, "mountPath": SHM}),
    )
    edits = tuple(
        Edit(path=(*path, len(before)), value=one) if before else Edit(path=path, value=[one])
        for path, before, one in added
    )
    problem = Problem(
        where=SHM,
        text=f"has the 64 MiB of a container without a volume there, too little for {count} "
        "workers: vLLM or NCCL ends with no space left",
        advice=f"mount an emptyDir with medium Memory and sizeLimit {size} there; it counts "
        "against the memory limit",
    )
    return Found(
        manifest=engine.manifest,
        path=(*engine.path, "volumeMounts"),
        problem=problem,
        fix=Fix(edits=edits, is_safe=False),
    )


def _on_disk(engine: Engine, found: SharedMemory) -> Found:
    path = (*found.path, "medium")
    problem = Problem(
        where=SHM,
        text="is an emptyDir on the disk of the node, and all that workers exchange is written to "
        "it",
        advice="give it medium Memory; it then counts against the memory limit",
    )
    # A limit of memory may not have room for it.
    fix = put(path, _MEMORY)
    return Found(manifest=engine.manifest, path=path, problem=problem, level="warning", fix=fix)


def _too_small(engine: Engine, path: Path, size: int, count: int) -> Iterator[Found]:
    from vllm_constructs.workloads.storage import LARGEST_QUEUE, queues

    needed = queues(count)
    if size >= needed:
        return
    starts = size >= LARGEST_QUEUE
    text = (
        f"is {_mib(size)}, but the queues of {count} workers take up to {_mib(needed)}"
        if starts
        else f"is {_mib(size)}, but vLLM starts {count} workers only if {_mib(LARGEST_QUEUE)} are "
        "free"
    )
    right = quantity.gibibytes(_needed(engine, count))
    problem = Problem(
        where=f"sizeLimit of {SHM}",
        text=text,
        advice=f"give {right}, of which NCCL takes a part; it counts against the memory limit",
    )
    where = (*path, "sizeLimit")
    yield Found(
        manifest=engine.manifest,
        path=where,
        problem=problem,
        level="warning" if starts else None,
        fix=put(where, right),
    )


def _mib(size: int) -> str:
    return (
        f"{size / quantity.GI:g} GiB" if size % quantity.GI == 0 else f"{size // quantity.MI} MiB"
    )


@rule("G05", "error", "shared memory as large as the memory limit")
def limit(graph: Graph) -> Iterator[Found]:
    """Its pages count against the limit: the kernel kills the engine before it is full."""
    for engine in graph.engines:
        mount = engine.mount(SHM)
        volume = None if mount is None else engine.volume(mount[1])
        source = {} if volume is None else mapping(volume[1], "emptyDir")
        if volume is None or not source:
            continue
        given, path = source.get("sizeLimit"), (*volume[0], "emptyDir", "sizeLimit")
        where = f"sizeLimit of {SHM}"
        if isinstance(given, (str, int)) and _NEGATIVE.fullmatch(str(given)):
            text = f"is {escaped(require.shown(given))}, and Kubernetes refuses a negative size"
            problem = Problem(where=where, text=text, advice="give what the workers need")
            yield Found(manifest=engine.manifest, path=path, problem=problem)
        size, memory = amount(given), memory_limit(engine)
        if size is None or memory is None or source.get("medium") != _MEMORY:
            continue
        if size >= memory[1]:
            text = (
                f"is {escaped(str(given))}, not below the memory limit of {_mib(memory[1])}, which "
                "includes it"
            )
            advice = "lower it to what the workers need, or raise the limit"
            problem = Problem(where=where, text=text, advice=advice)
            yield Found(
                manifest=engine.manifest,
                path=path,
                problem=problem,
                fix=_lower(engine, path, memory[1]),
            )


def _lower(engine: Engine, path: Path, memory: int) -> Fix | None:
    """A size that the workers need, if the limit has room for it and no cache is kept there."""
    count = workers_of(engine)
    has_cache = {"kv-offloading-size", "kv-transfer-config"} & {
        *engine.options,
        *engine.line.unread,
    }
    if count is None or has_cache:
        return None
    needed = _needed(engine, max(count, integer(engine.gpus.count, 1)))
    return put(path, quantity.gibibytes(needed)) if 2 * needed < memory else None
