"""Rules of KV cache that vLLM itself offloads: K01 and K02."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vllm_constructs import require
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.kv_offloading import (
    GIB,
    Asked,
    HostCache,
    asked,
    host_cache,
    problem,
)
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path

from .rule import Found, rule
from .shared_memory import (
    CONTAINER_DEFAULT,
    SHM,
    lacks_shared_memory,
    memory_limit,
    shared_memory_of,
)

_FLAGS = ("kv-offloading-size", "kv-transfer-config")


def offloading(engine: Engine) -> EngineArgs | None:
    """The flags of an engine that offloads; None if it does not, or they are not all known.

    Args:
        engine: The engine.
    """
    line = engine.line
    if not any(one in line.options for one in _FLAGS):
        return None
    sizes = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")
    if any(one in line.unread for one in (*_FLAGS, "kv-offloading-backend", *sizes)):
        return None
    return engine.args


def ranks_of(engine: Engine) -> int:
    """The workers in a pod, each of which has buffers of its own.

    Args:
        engine: The engine.
    """
    data = max(1, engine.size("data-parallel-size-local"))
    if "data-parallel-size-local" not in engine.options:
        data = engine.size("data-parallel-size")
    tensor, pipeline = engine.size("tensor-parallel-size"), engine.size("pipeline-parallel-size")
    return max(1, tensor * pipeline * data // engine.size("nnodes"))


def asked_of(engine: Engine, args: EngineArgs) -> Asked:
    """The KV cache in the memory of the host that an engine's pod is asked to keep.

    Args:
        engine: The engine.
        args: Its flags.
    """
    return asked(args, engine.release, engine.env, gpus=ranks_of(engine))


def _cache(engine: Engine, args: EngineArgs, *, is_hybrid: bool = False) -> HostCache | None:
    ranks = ranks_of(engine)
    return host_cache(args, engine.release, engine.env, gpus=ranks, is_hybrid=is_hybrid)


def _place(engine: Engine) -> Path:
    return engine.flag_place(*_FLAGS)


@rule("K01", "error", "offloaded KV cache for which the pod has no memory")
def memory(graph: Graph) -> Iterator[Found]:
    """VLLM ends when it makes the tier, or the kernel kills it when the tier fills."""
    for engine in graph.engines:
        args = offloading(engine)
        if args is None:
            continue
        found = problem(args, engine.release)
        if found is not None and engine.flag("kv-offloading-backend") != "lmcache":
            yield Found(manifest=engine.manifest, path=_place(engine), problem=found)
            continue
        size = asked_of(engine, args).native
        if size:
            shm = _too_large_for_shm(engine, args, size)
            yield from [shm] if shm is not None else _too_large_for_limit(engine, size)


def _is_in_shm(engine: Engine, args: EngineArgs) -> bool:
    """Whether the tier is a file in `/dev/shm`: in an image of one's own, that is not known."""
    cache = _cache(engine, args)
    is_known = engine.release.version is not None or engine.release.is_official
    return is_known and cache is not None and cache.shared_memory > 0


def _too_large_for_shm(engine: Engine, args: EngineArgs, size: int) -> Found | None:
    from vllm_constructs.workloads.storage import LARGEST_QUEUE

    if not _is_in_shm(engine, args):
        return None
    volume = shared_memory_of(engine)
    path: Path = (*engine.path, "volumeMounts")
    have: int | None = CONTAINER_DEFAULT if lacks_shared_memory(engine) else None
    if volume is not None:
        path, have = (*volume.path, "sizeLimit"), volume.size
    # Each queue of several workers is checked against the free space, too.
    beside = LARGEST_QUEUE if ranks_of(engine) > 1 else 0
    if have is None or size + beside <= have:
        return None
    given = f"{gib(have)}" if volume is not None else "the 64 MiB of a container without a volume"
    found = Problem(
        where=SHM,
        text=f"has {given}, and the tier of {gib(size)} is a file there: vLLM ends with "
        "insufficient space",
        advice="mount an emptyDir with medium Memory and a fifth more than the tier, and give a "
        "memory limit above that",
    )
    return Found(manifest=engine.manifest, path=path, problem=found)


def _too_large_for_limit(engine: Engine, size: int) -> Iterator[Found]:
    limit = memory_limit(engine)
    if limit is None or size < limit[1]:
        return
    found = Problem(
        where="limits.memory",
        text=f"is {gib(limit[1])}, and the tier of {gib(size)} counts against it: the kernel "
        "kills the engine",
        advice="raise it to the tier, what the processes take and the rest of /dev/shm, or lower "
        "the tier",
    )
    yield Found(manifest=engine.manifest, path=limit[0], problem=found)


def gib(size: int) -> str:
    """Bytes as GiB, for a sentence."""
    return f"{size / GIB:.4g} GiB"


@rule("K02", "warning", "offloaded KV cache that grows beyond what is planned for it")
def growth(graph: Graph) -> Iterator[Found]:
    """Files on a disk are never deleted, and hybrid models allocate twice what they are given."""
    for engine in graph.engines:
        args = offloading(engine)
        if args is None:
            continue
        for folder in _disk_tiers(args.get("kv_transfer_config")):
            found = _unlimited(engine, folder)
            if found is not None:
                yield Found(manifest=engine.manifest, path=_place(engine), problem=found)
        yield from _hybrid(engine, args)
        yield from _leftovers(engine, args)


def _disk_tiers(config: object) -> Iterator[str]:
    """The folders of all tiers of files in a `kv_transfer_config`."""
    if isinstance(config, Mapping):
        folder = config.get("root_dir")
        if config.get("type") == "fs" and isinstance(folder, str):
            yield folder
        for value in config.values():
            yield from _disk_tiers(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _disk_tiers(value)


def _unlimited(engine: Engine, folder: str) -> Problem | None:
    """Why a folder fills the disk of the node; None if it does not, or that is not known."""
    from vllm_constructs.workloads.offload_tiers import on_node_disk

    mount = engine.mount(folder)
    if mount is None:
        is_all = engine.pod.is_whole
        found = on_node_disk({"emptyDir": {}}) if is_all else None
    else:
        volume = engine.volume(mount[1])
        body = {} if volume is None else volume[1]
        in_memory = mapping(body, "emptyDir").get("medium") == "Memory"
        found = None if in_memory else on_node_disk(body)
    if found is None:
        return None
    return replace(
        found,
        where=f"root_dir {escaped(require.shown(folder))}",
        advice="mount a PersistentVolumeClaim or an ephemeral volume there: when it is full, vLLM "
        "skips the writes",
    )


def _hybrid(engine: Engine, args: EngineArgs) -> Iterator[Found]:
    """A tier with room for what it is given, but not for what a hybrid model takes."""
    from vllm_constructs.memory.fit import is_hybrid

    size = asked_of(engine, args).native
    if not size or not is_hybrid(engine.model, None):
        return
    cache = _cache(engine, args, is_hybrid=True)
    volume, limit = shared_memory_of(engine), memory_limit(engine)
    places: list[tuple[str, Path, int | None]] = []
    if volume is not None and _is_in_shm(engine, args):
        places.append((f"sizeLimit of {SHM}", (*volume.path, "sizeLimit"), volume.size))
    if limit is not None:
        places.append(("limits.memory", *limit))
    for where, path, have in places:
        if cache is not None and have is not None and size < have <= cache.size:
            text = (
                f"is {gib(have)}, and {escaped(require.shown(engine.model))} has layers of "
                f"several kinds: vLLM was measured to allocate almost twice the tier of "
                f"{gib(size)} for such a model"
            )
            advice = f"give more than {gib(cache.size)}, or halve the tier"
            found = Problem(where=where, text=text, advice=advice)
            yield Found(manifest=engine.manifest, path=path, problem=found)
            return


def _leftovers(engine: Engine, args: EngineArgs) -> Iterator[Found]:
    """A tier whose file stays in `/dev/shm` when the engine is killed, beside that of the next."""
    cache, volume = _cache(engine, args), shared_memory_of(engine)
    size = asked_of(engine, args).native
    if cache is None or not cache.has_leftovers or not _is_in_shm(engine, args):
        return
    words = (*strings(engine.container.get("command")), *strings(engine.container.get("args")))
    is_removed = any(SHM in word for word in words)
    if volume is None or volume.size is None or is_removed or not size < volume.size < 2 * size:
        return
    text = (
        f"is {gib(volume.size)}, and a killed engine leaves the file of its tier of {gib(size)} "
        "there: the volume outlives the container, which then finds too little space, and restarts "
        "for ever"
    )
    advice = (
        "remove /dev/shm/vllm_offload_* before vllm serve in the command, or give more than twice "
        "the tier"
    )
    found = Problem(where=f"sizeLimit of {SHM}", text=text, advice=advice)
    yield Found(manifest=engine.manifest, path=(*volume.path, "sizeLimit"), problem=found)
