"""LMCache: KV cache that LMCache keeps, inside of the engine or in a server on the node.

Source: LMCache 0.5.6, lmcache/v1/config.py and docs/source/mp.
"""

from __future__ import annotations

import math
import re
from typing import Protocol

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.kv_offloading import PLATFORMS, SIZED
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube import quantity
from vllm_constructs.releases.release import VllmRelease

from .additions import AddedPod, Additions
from .offload_tiers import check_disk
from .volumes import Volume

_HOST = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", re.ASCII)
_DISK = "/lmcache"


@dataclass(frozen=True, kw_only=True)
class LmCache:
    """KV cache that LMCache keeps, inside of the engine's processes.

    Each GPU has a buffer of its own, and the memory of the pod follows from all of them. LMCache
    is in the official images for CUDA and ROCm, and in `lmcache/vllm-openai`. For one cache that
    all pods of a node share, use an `LmCacheServer`.

    Args:
        gib: GiB in the memory of the pod, in total for its GPUs.
        disk: A volume for more KV cache. Default: none.
        disk_gib: GiB on the volume, in total for the GPUs. Required with `disk`.
        remote_url: A server that pods share, such as `lm://cache.llm.svc:65432`, or
            `redis://redis.cache.svc:6379`. Write a password as `$(NAME)`, a variable in `env`.
            Default: none.
        serde: Format of the data on the server: `"naive"` (default), uncompressed, or `"cachegen"`,
            with lossy compression.
        chunk_size: Tokens per chunk. Default: 256.

    Raises:
        VllmConstructsError: An invalid size, volume or URL.
    """

    gib: int
    disk: Volume | None = None
    disk_gib: int | None = None
    remote_url: str | None = None
    serde: str = "naive"
    chunk_size: int = 256

    def __post_init__(self) -> None:
        require.integer("LmCache.gib", self.gib, 1, 2**16, "GiB")
        if (self.disk is None) != (self.disk_gib is None):
            text = "needs both {disk} and {disk_gib}, or neither"
            refuse(Problem(where="LmCache", text=text, advice="give both"))
        if self.disk is not None:
            self._check_disk()
        if self.remote_url is not None:
            url = require.text("LmCache.remote_url", self.remote_url)
            if "://" not in url:
                allowed = "a URL such as 'redis://redis.cache.svc:6379'"
                require.wrong("LmCache.remote_url", url, allowed)
        require.choice("LmCache.serde", self.serde, ("naive", "cachegen"))
        require.integer("LmCache.chunk_size", self.chunk_size, 16, 65536, "tokens")

    def _check_disk(self) -> None:
        disk = check_disk("LmCache.disk", self.disk)
        gib = require.integer("LmCache.disk_gib", self.disk_gib, 1, 2**20, "GiB")
        limit = disk.source[disk.kind].get("sizeLimit")
        if limit is not None and quantity.memory("LmCache.disk", limit) < gib * quantity.GI:
            text = f"is {gib}, more than the {limit} of {{disk}}, at which the pod is evicted"
            advice = "lower it, or give a larger volume"
            refuse(Problem(where="LmCache.disk_gib", text=text, value=str(gib), advice=advice))

    def additions(self, pod: AddedPod) -> Additions:
        """What it adds to a pod.

        Args:
            pod: The pod.

        Raises:
            VllmConstructsError: The image has no LMCache, or LMCache reads a file instead.
        """
        check_lmcache(pod.release)
        if "LMCACHE_CONFIG_FILE" in pod.env:
            text = "is given, and LMCache ignores all variables of {kv_offload} then"
            advice = "leave one of them out"
            refuse(Problem(where="env['LMCACHE_CONFIG_FILE']", text=text, advice=advice))
        gpus = pod.gpu.devices
        env = {
            "LMCACHE_CHUNK_SIZE": str(self.chunk_size),
            "LMCACHE_LOCAL_CPU": "True",
            "LMCACHE_MAX_LOCAL_CPU_SIZE": _part(self.gib, gpus),
        }
        volumes = {}
        if self.disk is not None and self.disk_gib is not None:
            env["LMCACHE_LOCAL_DISK"] = f"file://{_DISK}"
            env["LMCACHE_MAX_LOCAL_DISK_SIZE"] = _part(self.disk_gib, gpus)
            volumes[_DISK] = self.disk
        if self.remote_url is not None:
            # Keys of chunks depend on Python's hashes, which must be equal in pods that share them.
            env |= {"LMCACHE_REMOTE_URL": self.remote_url, "LMCACHE_REMOTE_SERDE": self.serde}
            env["PYTHONHASHSEED"] = "0"
        config = {"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}
        return Additions(
            option="kv_offload",
            engine={"kv_transfer_config": config},
            excludes=SIZED,
            env=env,
            volumes=volumes,
        )


@dataclass(frozen=True, kw_only=True)
class LmCacheClient:
    """KV cache that an LMCache server on the node keeps for all engines there; since vLLM 0.23.

    An `LmCacheServer` has one as its `client`; this class is for servers that other tools deploy.
    They must run with `--isolated-ipc`, since the pod shares no memory with its host.

    Args:
        host: Name of the server's Service.
        port: Its port. Default: 5555.

    Raises:
        VllmConstructsError: An invalid host or port.
    """

    host: str
    port: int = 5555

    def __post_init__(self) -> None:
        allowed = "a host, such as 'lmcache.llm.svc'"
        require.matching("LmCacheClient.host", self.host, _HOST, allowed)
        require.integer("LmCacheClient.port", self.port, 1, 65535)

    def additions(self, pod: AddedPod) -> Additions:
        """What it adds to a pod.

        Args:
            pod: The pod.

        Raises:
            VllmConstructsError: The image has no such client, or the GPU's memory cannot be shared
                with the server.
        """
        check_lmcache(pod.release)
        if not pod.release.behaves("lmcache-backend-is-client"):
            text = f"is an LMCache server, whose client is not yet in {pod.release.description}"
            advice = "use an image of vLLM 0.23 or newer, or {LmCache}"
            refuse(Problem(where="kv_offload", text=text, advice=advice))
        # A `MigSlice`, or a `DeviceClaim` of one.
        if getattr(pod.gpu, "profile", None) is not None:
            text = "is an LMCache server, which can see only one MIG slice"
            refuse(Problem(where="kv_offload", text=text, advice="use {KvOffload} or {LmCache}"))
        if pod.release.family.accelerator == "ROCm":
            text = "is an LMCache server, which cannot share memory of AMD's GPUs with a pod"
            refuse(Problem(where="kv_offload", text=text, advice="use {KvOffload} or {LmCache}"))
        families = tuple(getattr(pod, "ip_families", ()))
        if families[:1] == ("IPv6",):
            text = "is an LMCache server, which listens on IPv4 only"
            refuse(Problem(where="kv_offload", text=text, advice="use {KvOffload} or {LmCache}"))
        self._check_memory(pod)
        extra = {
            "lmcache.mp.host": f"tcp://{self.host}",
            "lmcache.mp.port": self.port,
            "lmcache.mp.isolated_ipc": True,
        }
        config = {
            "kv_connector": "LMCacheMPConnector",
            "kv_role": "kv_both",
            "kv_connector_extra_config": extra,
        }
        return Additions(
            option="kv_offload",
            engine={"kv_transfer_config": config},
            excludes=SIZED,
            addresses=(f"tcp://{self.host}:{self.port}",),
        )

    def _check_memory(self, pod: AddedPod) -> None:
        """Reject CUDA's virtual memory, which other processes cannot open."""
        cannot = "cannot be shared with an LMCache server"
        if pod.engine.get("enable_sleep_mode"):
            text = f"is True, and its memory {cannot}"
            refuse(Problem(where="EngineArgs.enable_sleep_mode", text=text, advice="leave it out"))
        for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
            value = pod.env.get(name)
            if isinstance(value, str) and "expandable_segments:true" in value.lower():
                text = f"has expandable segments, and their memory {cannot}"
                refuse(Problem(where=f"env[{name!r}]", text=text, advice="leave them out"))


class HasClient(Protocol):
    """A construct with a client, such as `LmCacheServer`."""

    @property
    def client(self) -> LmCacheClient:
        """The client."""
        ...


def _part(gib: int, gpus: int) -> str:
    """The part of each GPU, rounded down to MiB, so that the parts do not exceed the total."""
    part = math.floor(gib * 1024 / gpus) / 1024
    return f"{part:.6f}".rstrip("0").rstrip(".")


def check_lmcache(release: VllmRelease) -> None:
    """Reject an official image without LMCache: any but those for CUDA and ROCm.

    Args:
        release: The vLLM release in the image.

    Raises:
        VllmConstructsError: Such an image.
    """
    if release.is_official and release.family.accelerator not in ("CUDA", "ROCm"):
        text = f"is LMCache, which the image for {release.family.accelerator} does not have"
        is_native = release.family.accelerator in PLATFORMS
        advice = "use {KvOffload}, or another image" if is_native else "leave it out"
        refuse(Problem(where="kv_offload", text=text, advice=advice))
