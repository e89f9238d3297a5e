"""KvOffload: KV cache outside of the GPU, in the memory of the host and on further tiers.

Sources: vLLM 0.33, docs/features/kv_offloading_usage.md and vllm/v1/kv_offload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.engine.kv_offloading import GIB, PLATFORMS, SIZED, TIERING
from vllm_constructs.errors import Problem, refuse

from .additions import AddedPod, Additions
from .lmcache import HasClient, LmCache, LmCacheClient
from .offload_tiers import BucketTier, DiskTier


@dataclass(frozen=True, kw_only=True)
class KvOffload:
    """KV cache that vLLM itself keeps in the memory of the host.

    Flags, `/dev/shm`, and the pod's request and limit of memory follow from its size.

    Args:
        gib: GiB for one engine, in total for its GPUs. With data parallelism, each engine in the
            pod has that much.
        tiers: `DiskTier`s and `BucketTier`s to which KV cache goes from the memory, in this order.
            Default: none.
        hybrid: Whether the model has layers of several kinds. vLLM was measured to allocate 1.92
            times the size for such a model, so twice the size is reserved. Default: as the model's
            shape says; False if the shape is not known.

    Raises:
        VllmConstructsError: A size below 0.1, or tiers of another type.
    """

    gib: float
    tiers: Sequence[DiskTier | BucketTier] = ()
    hybrid: bool | None = None

    def __post_init__(self) -> None:
        require.number("KvOffload.gib", self.gib, 0.1, 2**16, "GiB")
        allowed = "a list of DiskTier(...) and BucketTier(...)"
        kinds = (DiskTier, BucketTier)
        object.__setattr__(
            self, "tiers", require.instances("KvOffload.tiers", self.tiers, kinds, allowed)
        )
        paths = [path for tier in self.tiers for path in tier.volumes()]
        if len(set(paths)) < len(paths):
            text = "has two tiers at one path"
            refuse(Problem(where="KvOffload.tiers", text=text, advice="give each a DiskTier.path"))
        if self.hybrid is not None:
            require.boolean("KvOffload.hybrid", self.hybrid)

    def additions(self, pod: AddedPod) -> Additions:
        """What it adds to a pod.

        Args:
            pod: The pod.

        Raises:
            VllmConstructsError: The release or its accelerator does not support it.
        """
        release = pod.release
        if release.family.accelerator not in PLATFORMS:
            text = f"is given, but vLLM's connector does not run on {release.family.accelerator}"
            refuse(Problem(where="kv_offload", text=text, advice="leave it out"))
        if not release.behaves("kv-offloading-size"):
            text = f"is not yet in {release.description}"
            advice = "use an image of vLLM 0.12 or newer, or leave it out"
            refuse(Problem(where="kv_offload", text=text, advice=advice))
        if not self.tiers:
            is_other = pod.engine.get("kv_offloading_backend") == "lmcache"
            return Additions(
                option="kv_offload",
                engine={"kv_offloading_size": self.gib},
                # vLLM would replace its connector.
                excludes=("kv_transfer_config", *SIZED[1 : 1 + is_other]),
            )
        if not release.behaves("kv-offload-tiers"):
            refuse(
                Problem(
                    where="KvOffload.tiers",
                    text=f"are not yet in {release.description}",
                    advice="use an image of vLLM 0.22 or newer, or leave them out",
                )
            )
        extra = {
            "spec_name": TIERING,
            "cpu_bytes_to_use": int(self.gib * GIB),
            "secondary_tiers": [tier.config() for tier in self.tiers],
        }
        config = {
            "kv_connector": "OffloadingConnector",
            "kv_role": "kv_both",
            "kv_connector_extra_config": extra,
        }
        has_keys = "AWS_ACCESS_KEY_ID" in pod.env
        return Additions(
            option="kv_offload",
            engine={"kv_transfer_config": config},
            excludes=SIZED,
            addresses=tuple(
                address for tier in self.tiers for address in tier.addresses(has_keys=has_keys)
            ),
            volumes={path: one for tier in self.tiers for path, one in tier.volumes().items()},
        )


Offload: TypeAlias = KvOffload | LmCache | LmCacheClient | HasClient
EXPECTED = "KvOffload(gib=...), LmCache(gib=...), LmCacheClient(host=...) or an LmCacheServer"


def offload_of(given: object) -> KvOffload | LmCache | LmCacheClient | None:
    """The value that the option `kv_offload` stands for.

    Args:
        given: What the user gave.

    Raises:
        VllmConstructsError: Another type.
    """
    value = getattr(given, "client", given)
    if value is not None and not isinstance(value, (KvOffload, LmCache, LmCacheClient)):
        require.wrong("kv_offload", given, EXPECTED)
    return value


def for_hybrid(offload: Offload | None, engine: object) -> Offload | None:
    """The offload of a pod whose model is hybrid, for which more memory is reserved.

    Args:
        offload: What the option `kv_offload` has.
        engine: Flags of the engine, as they are given.

    Raises:
        VllmConstructsError: LMCache in the engine, with which vLLM keeps as much KV cache for
            layers with a sliding window as for the others, and cannot run recurrent layers.
    """
    flags = engine if isinstance(engine, EngineArgs) else EngineArgs()
    size = flags.get("kv_offloading_size")
    is_native = flags.get("kv_offloading_backend") != "lmcache"
    if isinstance(offload, LmCache) and not flags.get("disable_hybrid_kv_cache_manager"):
        text = (
            "is an LmCache, but the model has layers of several kinds, and LMCache cannot keep "
            "their KV cache apart: vLLM turns its hybrid KV cache manager off, or does not start"
        )
        advice = (
            "use {KvOffload} or an {LmCacheServer}, or, for layers with a sliding window, give "
            "{EngineArgs.disable_hybrid_kv_cache_manager=True}"
        )
        refuse(Problem(where="kv_offload", text=text, advice=advice))
    if isinstance(offload, KvOffload) and offload.hybrid is None:
        return replace(offload, hybrid=True)
    if offload is None and isinstance(size, (int, float)) and size > 0.1 and is_native:
        return KvOffload(gib=size, hybrid=True)
    return offload
