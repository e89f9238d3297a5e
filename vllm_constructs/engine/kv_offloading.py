"""Memory of the host in which engines keep KV cache, as flags and variables say.

Sources: vllm/config/vllm.py and vllm/v1/kv_offload/cpu of vLLM 0.33; LMCache 0.5.6,
lmcache/v1/config.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.releases.environment import switch
from vllm_constructs.releases.release import VllmRelease

from .engine_args import EngineArgs
from .parallelism import Parallelism

GIB = 2**30
PLATFORMS = ("CUDA", "ROCm", "XPU")
"""The platforms of vLLM's own connector."""
SIZED = ("kv_offloading_size", "kv_offloading_backend")
"""The flags with which vLLM makes a connector itself."""
# vLLM 0.26 allocated 1.92 times as much for a hybrid model (vllm-project/vllm#53042, open).
_HYBRID = 2
# PyTorch rounds pinned memory up to a power of two (vllm-project/vllm#56410: 1.9 times as much).
PINNED = 2
# The default of LMCACHE_MAX_LOCAL_CPU_SIZE, in GiB.
_LMCACHE_GIB = 5.0
_FALSE = ("0", "false", "no", "off")
_MOST = 2**60
# The connectors of each backend; vLLM replaces any other.
_OF_BACKEND = {
    "native": ("OffloadingConnector", "SimpleCPUOffloadConnector"),
    "lmcache": ("LMCacheConnectorV1",),
}
TIERING = "TieringOffloadingSpec"
"""The `spec_name` of a connector with tiers."""


@dataclass(frozen=True, kw_only=True)
class HostCache:
    """KV cache in the memory of the host.

    Args:
        size: Bytes that all engines of a pod allocate.
        shared_memory: Those of them that are in files in `/dev/shm`. Default: 0.
        has_leftovers: Whether a killed engine leaves its files there. Default: False.
    """

    size: int
    shared_memory: int = 0
    has_leftovers: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What flags and variables ask for, before what vLLM allocates on top of it.

    Args:
        native: Bytes of vLLM's own connectors.
        lmcache: Bytes of LMCache in the processes of the engines.
        is_simple: Whether vLLM's connector is the simple one, whose memory is never a file.
    """

    native: int
    lmcache: int
    is_simple: bool


def problem(engine: EngineArgs, release: VllmRelease) -> Problem | None:
    """The problem of offloading that vLLM rejects, ignores or does in another way, or None.

    Source of the platforms: a run of vLLM 0.32 on CPUs, which names those that it supports.

    Args:
        engine: Flags of the engine.
        release: The vLLM release.
    """
    size = engine.get("kv_offloading_size")
    config = engine.get("kv_transfer_config")
    named = config.get("kv_connector") if isinstance(config, Mapping) else None
    own = next((one for one in connectors(config) if one in _OF_BACKEND["native"]), None)
    platform = release.family.accelerator
    asks_native = size is not None and engine.get("kv_offloading_backend") != "lmcache"
    if platform not in PLATFORMS and (asks_native or own is not None):
        asking = "kv_offloading_size" if asks_native else "kv_transfer_config"
        value = str(size) if asks_native else repr(own)
        text = f"asks for vLLM's own connector, which does not run on {platform}"
        return Problem(where=f"EngineArgs.{asking}", text=text, value=value, advice="leave it out")
    if size is None:
        return None
    where = "EngineArgs.kv_offloading_size"
    if size <= 0:
        return Problem(where=where, value=str(size), allowed="a number of GiB above 0")
    backend = engine.get("kv_offloading_backend") or "native"
    if backend == "lmcache" and release.behaves("lmcache-backend-is-client"):
        return Problem(
            where=where,
            text=f"is {size}, which {release.description} ignores with "
            "{kv_offloading_backend='lmcache'}: that backend is the client of an LMCache server",
            value=str(size),
            advice="leave both out, and give {kv_offload=LmCacheServer(...)}",
        )
    if named is None or named in _OF_BACKEND[backend]:
        return None
    return Problem(
        where=where,
        text=f"is {size}, with which vLLM replaces the connector {escaped(require.shown(named))} "
        "of {kv_transfer_config}",
        value=str(size),
        advice="leave one of them out",
    )


def host_cache(
    engine: EngineArgs,
    release: VllmRelease,
    env: Mapping[str, str],
    *,
    gpus: int,
    is_hybrid: bool = False,
) -> HostCache | None:
    """The KV cache that a pod keeps in the memory of its host; None if it keeps none.

    Args:
        engine: Flags of the engine.
        release: The vLLM release.
        env: Variables of the container that have a value.
        gpus: GPUs of the pod.
        is_hybrid: Whether the model has layers of several kinds.
    """
    found = asked(engine, release, env, gpus=gpus)
    config = engine.get("kv_transfer_config")
    # Tiers read and write the file, so every platform and every release with tiers has it.
    is_tiered = has_tiers(config)
    is_file = is_tiered or (
        release.behaves("kv-offload-in-shared-memory") and release.family.accelerator != "ROCm"
    )
    is_shared = found.native > 0 and is_file and not found.is_simple
    native = found.native * max(_HYBRID if is_hybrid else 1, 1 if is_shared else PINNED)
    if not native + found.lmcache:
        return None
    return HostCache(
        size=native + found.lmcache,
        shared_memory=native if is_shared else 0,
        has_leftovers=is_shared and (is_tiered or not release.behaves("kv-offload-unlinked")),
    )


def asked(engine: EngineArgs, release: VllmRelease, env: Mapping[str, str], *, gpus: int) -> Asked:
    """The KV cache in the memory of the host that a pod is asked to keep.

    Args:
        engine: Flags of the engine.
        release: The vLLM release.
        env: Variables of the container that have a value.
        gpus: GPUs of the pod.
    """
    engines = Parallelism.of(engine, gpus).data
    config = engine.get("kv_transfer_config")
    names = set(connectors(config))
    size = engine.get("kv_offloading_size")
    beside = 0
    if size is None:
        native = sum(sizes(config)) * engines
        beside = _lmcache(env, gpus) if "LMCacheConnectorV1" in names else 0
        is_simple = "SimpleCPUOffloadConnector" in names
    elif engine.get("kv_offloading_backend") == "lmcache":
        native, is_simple = 0, False
        is_client = release.behaves("lmcache-backend-is-client")
        beside = 0 if is_client else _bytes(size, GIB) * engines
    else:
        native = _bytes(size, GIB) * engines
        is_simple = bool(switch(env, "VLLM_USE_SIMPLE_KV_OFFLOAD"))
    return Asked(native=native, lmcache=beside, is_simple=is_simple)


def _lmcache(env: Mapping[str, str], ranks: int) -> int:
    """Bytes of LMCache in the engine: each rank has a buffer of its own."""
    if env.get("LMCACHE_LOCAL_CPU", "true").strip().lower() in _FALSE:
        return 0
    return _bytes(env.get("LMCACHE_MAX_LOCAL_CPU_SIZE", _LMCACHE_GIB), GIB) * ranks


def _bytes(amount: object, unit: int = 1) -> int:
    """An amount in bytes; 0 if it is not a size that vLLM could allocate."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float, str)):
        return 0
    try:
        found = float(amount)
    except (ValueError, OverflowError):
        return 0
    return int(found * unit) if 0 < found < _MOST else 0


def connectors(config: object) -> Iterator[str]:
    """The names of all connectors in a `kv_transfer_config`; one may contain others."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key == "kv_connector" and isinstance(value, str):
                yield value
            else:
                yield from connectors(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from connectors(value)


def sizes(config: object) -> Iterator[int]:
    """The bytes of all offloading connectors in a `kv_transfer_config`."""
    if isinstance(config, Mapping):
        yield _bytes(config.get("cpu_bytes_to_use"))
        for value in config.values():
            yield from sizes(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from sizes(value)


def has_tiers(config: Any) -> bool:
    """Whether a `kv_transfer_config` has tiers beside the memory of the host, or might have."""
    if isinstance(config, Mapping):
        is_tiering = config.get("spec_name") == TIERING or bool(config.get("secondary_tiers"))
        return is_tiering or any(map(has_tiers, config.values()))
    return isinstance(config, (list, tuple)) and any(map(has_tiers, config))
