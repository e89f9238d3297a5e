"""Storage: where a model's weights are kept, and the shared memory of its workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.errors import refuse, warn
from vllm_constructs.kube import names, quantity

from .secrets import HasName, name_of

AccessMode: TypeAlias = Literal[
    "ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"
]
ACCESS_MODES = ("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany")

MOUNT_PATH = "/model-cache"
"""Where the cache is mounted: a path of its own, which exists in no image, so that nothing is
hidden and no parent folder belongs to root."""


@dataclass(frozen=True)
class ExistingClaim:
    """A PersistentVolumeClaim that something else makes.

    Args:
        claim_name: Name of the claim, in the namespace of the model.
        access: Its access mode, default `ReadWriteMany`. `ReadOnlyMany` mounts it read-only
            and turns downloads off (`HF_HUB_OFFLINE=1`), since nothing could be written.

    Raises:
        VllmConstructsError: An illegal name or an unknown access mode.
    """

    claim_name: str
    access: AccessMode = field(default="ReadWriteMany", kw_only=True)

    def __post_init__(self) -> None:
        names.subdomain("ExistingClaim.claim_name", self.claim_name)
        require.choice("ExistingClaim.access", self.access, ACCESS_MODES)

    @classmethod
    def from_claim(
        cls, claim: str | HasName, *, access: AccessMode = "ReadWriteMany"
    ) -> ExistingClaim:
        """Refer to a claim by name or by a cdk8s-plus `IPersistentVolumeClaim`."""
        return cls(
            name_of("ExistingClaim.from_claim claim", claim, "PersistentVolumeClaim"), access=access
        )

    @property
    def can_be_shared(self) -> bool:
        """Whether pods on several nodes can mount it."""
        return self.access in ("ReadWriteMany", "ReadOnlyMany")

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be downloaded into it."""
        return self.access == "ReadOnlyMany"

    def volume(self) -> dict[str, Any]:
        """The pod's volume."""
        claim: dict[str, Any] = {"claimName": self.claim_name}
        if self.is_read_only:
            claim["readOnly"] = True
        return {"persistentVolumeClaim": claim}


@dataclass(frozen=True, kw_only=True)
class EphemeralCache:
    """Weights on the node's disk, downloaded by each pod again.

    Args:
        size: Most that the pod may write, such as `100Gi`; also its ephemeral-storage request,
            so that it is scheduled where there is room. Default: no limit and no request.

    Raises:
        VllmConstructsError: A size that is no quantity of bytes.
    """

    size: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            quantity.memory("EphemeralCache.size", self.size)

    @property
    def can_be_shared(self) -> bool:
        """Each pod has its own, so any number of pods works."""
        return True

    @property
    def is_read_only(self) -> bool:
        """Never: it begins empty."""
        return False

    def volume(self) -> dict[str, Any]:
        """The pod's volume."""
        return {"emptyDir": {} if self.size is None else {"sizeLimit": self.size}}


CacheVolume: TypeAlias = "ExistingClaim | EphemeralCache"


def check_sharing(where: str, cache: CacheVolume, replicas: int, *, downloads: bool) -> None:
    """Refuse a claim of one node for more than one replica (Kubernetes docs, access modes)."""
    if isinstance(cache, EphemeralCache) and replicas > 1 and downloads:
        warn(
            f"{where} has up to {replicas} replicas without a cache that they share, so each "
            "downloads the weights again; give cache=ModelCache(...)."
        )
    if isinstance(cache, ExistingClaim) and not cache.can_be_shared and replicas > 1:
        refuse(
            f"{where} has up to {replicas} replicas, and the cache {cache.claim_name!r} is "
            f"{cache.access}, which pods on two nodes cannot mount; use storage that takes "
            "access='ReadWriteMany' or 'ReadOnlyMany', cache=EphemeralCache(), or one replica."
        )


def claim_manifest(
    *, name: str, size: str, storage_class: str | None, access: AccessMode
) -> dict[str, Any]:
    """The PersistentVolumeClaim of a ModelCache."""
    quantity.memory("ModelCache.size", size)
    require.choice("ModelCache.access", access, ACCESS_MODES)
    spec: dict[str, Any] = {
        "accessModes": [access],
        "resources": {"requests": {"storage": size}},
    }
    if storage_class is not None:
        spec["storageClassName"] = names.subdomain("ModelCache.storage_class", storage_class)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": names.subdomain("ModelCache.name", name)},
        "spec": spec,
    }


def shared_memory_needed(gpus: int) -> int:
    """Bytes that `/dev/shm` must have for the workers of `gpus` GPUs.

    vLLM's queues take 160 MiB, 240 MiB per worker and 24 MiB for the group
    (shm_broadcast.py). With more than one GPU NCCL adds its own segments, for which 256 MiB per
    GPU are kept: where GPUs have no peer-to-peer access, all traffic goes through them.
    """
    nccl = 256 * gpus if gpus > 1 else 0
    return (160 + 240 * gpus + 24 + nccl) * quantity.MI


def shared_memory(gpus: int, asked: str | None, memory_limit: str) -> str:
    """The `sizeLimit` of `/dev/shm`: what was asked for, or what is needed in whole Gi."""
    needed = shared_memory_needed(gpus)
    size = asked if asked is not None else quantity.gibibytes(needed)
    amount = quantity.memory("shared_memory", size)
    limit = quantity.memory("memory", memory_limit)
    if amount < needed:
        refuse(
            f"shared_memory is {size!r}, less than the workers of {gpus} GPU(s) need; "
            f"give at least '{needed // quantity.MI}Mi', or leave it out to get that."
        )
    if amount >= limit:
        refuse(
            f"shared_memory is {size!r}, not below the memory limit {memory_limit!r} "
            "against which its pages count; lower it or raise memory."
        )
    return size
