"""Rule of LMCache in the processes of engines: K03."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from vllm_constructs import require
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.kv_offloading import GIB, connectors, problem
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph

from .offloading import asked_of, gib, offloading, ranks_of
from .rule import Found, rule
from .shared_memory import amount, memory_limit

_CONNECTOR = "LMCacheConnectorV1"
_RAM, _DISK, _DISK_SIZE = (
    "LMCACHE_MAX_LOCAL_CPU_SIZE",
    "LMCACHE_LOCAL_DISK",
    "LMCACHE_MAX_LOCAL_DISK_SIZE",
)
_FILE = "LMCACHE_CONFIG_FILE"
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


@rule("K03", "error", "LMCache with sizes or layers that do not work")
def in_process(graph: Graph) -> Iterator[Found]:
    """A size that nothing reads, buffers of all ranks above the memory, or a hybrid model."""
    for engine in graph.engines:
        args = offloading(engine)
        if args is None:
            continue
        if engine.flag("kv-offloading-backend") == "lmcache":
            found = problem(args, engine.release)
            if found is not None:
                advice = (
                    "leave both flags out, and give --kv-transfer-config with LMCacheMPConnector "
                    f"and an LMCache server, or with {_CONNECTOR} and {_RAM}"
                )
                path = engine.flag_place("kv-offloading-size")
                told = replace(found, where="--kv-offloading-size", advice=advice)
                yield Found(manifest=engine.manifest, path=path, problem=told)
        if _CONNECTOR in connectors(args.get("kv_transfer_config")):
            yield from _buffers(engine, args)
            yield from _without_manager(engine, args)


def _buffers(engine: Engine, args: EngineArgs) -> Iterator[Found]:
    """Buffers of all ranks that exceed the memory or the disk."""
    # A file of LMCache may have other sizes.
    if _FILE in engine.env or _FILE in engine.env_paths or not _has_all_variables(engine):
        return
    ranks, limit = ranks_of(engine), memory_limit(engine)
    size = asked_of(engine, args).lmcache
    if limit is not None and size >= limit[1]:
        each = f"{gib(size // ranks)} for each of {ranks} GPUs" if ranks > 1 else gib(size)
        given = "is" if _RAM in engine.env else "is left out, which means"
        text = f"{given} {each}, {gib(size)} in all: not below the memory limit of "
        text += gib(limit[1])
        advice = "lower it, or raise the limit; it is per GPU"
        found = Problem(where=_RAM, text=text, advice=advice)
        yield Found(manifest=engine.manifest, path=engine.env_place(_RAM), problem=found)
    disk, each_disk = _disk_size(engine), engine.env.get(_DISK_SIZE, "")
    if disk is None or not _NUMBER.fullmatch(each_disk):
        return
    needed = int(float(each_disk) * GIB) * ranks
    if needed > disk:
        of_all = f" for each of {ranks} GPUs, {gib(needed)} in all" if ranks > 1 else ""
        text = f"is {each_disk} GiB{of_all}, more than the {gib(disk)} of the volume"
        advice = "lower it, or give a larger volume; it is per GPU"
        found = Problem(where=_DISK_SIZE, text=text, advice=advice)
        yield Found(manifest=engine.manifest, path=engine.env_place(_DISK_SIZE), problem=found)


def _has_all_variables(engine: Engine) -> bool:
    """Whether all variables of LMCache have values that are in the manifests."""
    if any(name.startswith("LMCACHE_") and name not in engine.env for name in engine.env_paths):
        return False
    namespace, configs = engine.pod.namespace, engine.graph.config_data
    return all(
        (namespace, str(mapping(one, "configMapRef").get("name"))) in configs
        for one in map(mapping, items(engine.container.get("envFrom")))
    )


def _disk_size(engine: Engine) -> int | None:
    """Bytes of the volume on which LMCache keeps files; None if that is not known."""
    folder = engine.env.get(_DISK, "").removeprefix("file://")
    mount = engine.mount(folder) if folder.startswith("/") else None
    volume = None if mount is None else engine.volume(mount[1])
    if volume is None:
        return None
    body = volume[1]
    claim: Mapping[str, Any] = mapping(body, "ephemeral", "volumeClaimTemplate", "spec")
    name = mapping(body, "persistentVolumeClaim").get("claimName")
    if name is not None:
        named = engine.graph.find("PersistentVolumeClaim", engine.pod.namespace, name)
        claim = {} if named is None else named.spec
    if claim:
        return amount(mapping(claim, "resources", "requests").get("storage"))
    return amount(mapping(body, "emptyDir").get("sizeLimit"))


def _without_manager(engine: Engine, args: EngineArgs) -> Iterator[Found]:
    """A model with layers of several kinds, whose KV cache LMCache cannot keep apart."""
    from vllm_constructs.memory.fit import is_hybrid, shape_of

    if not is_hybrid(engine.model, None) or args.get("disable_hybrid_kv_cache_manager"):
        return
    shape = shape_of(str(engine.model))
    is_recurrent = shape is not None and shape.recurrent is not None
    effect = (
        "vLLM does not start"
        if is_recurrent
        else "vLLM turns its hybrid KV cache manager off, and layers with a sliding window take as "
        "much KV cache as the others"
    )
    advice = "use vLLM's own connector (--kv-offloading-size) or LMCacheMPConnector"
    if not is_recurrent:
        advice += ", or accept that with --disable-hybrid-kv-cache-manager"
    found = Problem(
        where=_CONNECTOR,
        text=f"is used, but {escaped(require.shown(engine.model))} has layers of several kinds, "
        f"which it cannot keep apart: {effect}",
        advice=advice,
    )
    path = engine.flag_place("kv-transfer-config")
    yield Found(
        manifest=engine.manifest,
        path=path,
        problem=found,
        level=None if is_recurrent else "warning",
    )
