"""Storage: volumes for the weights of a model, and the shared memory of its workers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast, get_args

from vllm_constructs import require
from vllm_constructs.accelerators.cpu import Cpu
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.kube import names, quantity
from vllm_constructs.kube.references import HasName, name_of, namespace_of

from .paths import SUB_PATH

if TYPE_CHECKING:
    from vllm_constructs.engine.kv_offloading import HostCache

AccessMode: TypeAlias = Literal[
    "ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"
]
ACCESS_MODES = get_args(AccessMode)
_SHARED = ("ReadWriteMany", "ReadOnlyMany")

CACHE = "model-cache"
"""Name of the cache's volume."""
MOUNT_PATH = "/model-cache"
"""Where the cache is mounted: a path that no image has, so that the mount hides no files and no
parent folder is owned by root."""


@dataclass(frozen=True)
class ExistingClaim:
    """A PersistentVolumeClaim that exists, or that another tool creates.

    Args:
        claim_name: Name of the claim, which is in the namespace of the model.
        access: Access mode of the claim. Default: `ReadWriteMany`. With `ReadOnlyMany` it is
            mounted read-only and downloads are off (`HF_HUB_OFFLINE=1`), since they could not be
            written.
        namespace: Namespace of the claim; models in other namespaces are then rejected.
            Default: not known.
        size: Size of the claim, such as `200Gi`; models with larger weights are then rejected.
            Default: not known.
        sub_path: Folder of the claim that is the cache. Default: its root.

    Raises:
        VllmConstructsError: A name is invalid, or the access mode is unknown.
    """

    claim_name: str
    access: AccessMode = field(default="ReadWriteMany", kw_only=True)
    namespace: str | None = field(default=None, kw_only=True)
    size: str | None = field(default=None, kw_only=True)
    sub_path: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.size is not None:
            quantity.memory("ExistingClaim.size", self.size)
        if self.sub_path is not None:
            allowed = "a relative path without '..'"
            require.matching("ExistingClaim.sub_path", self.sub_path, SUB_PATH, allowed)
        names.subdomain("ExistingClaim.claim_name", self.claim_name)
        if self.namespace is not None:
            names.label("ExistingClaim.namespace", self.namespace)
        require.choice("ExistingClaim.access", self.access, ACCESS_MODES)

    @classmethod
    def from_claim(
        cls,
        claim: str | HasName,
        *,
        access: AccessMode = "ReadWriteMany",
        size: str | None = None,
    ) -> ExistingClaim:
        """Refer to a claim by its name or as a cdk8s-plus `IPersistentVolumeClaim`.

        Args:
            claim: The claim.
            access: As above.
            size: As above. Default: that of a claim that is made in the same app.
        """
        name = name_of("ExistingClaim.from_claim claim", claim, "PersistentVolumeClaim")
        size = _size_of(claim) if size is None else size
        return cls(name, access=access, namespace=namespace_of(claim), size=size)

    @property
    def can_be_shared(self) -> bool:
        """Whether pods on several nodes can mount it."""
        return self.access in _SHARED

    @property
    def is_read_only(self) -> bool:
        """Whether pods cannot write to it."""
        return self.access == "ReadOnlyMany"

    def volume(self) -> dict[str, Any]:
        """The volume of the pod."""
        claim: dict[str, Any] = {"claimName": self.claim_name}
        if self.is_read_only:
            claim["readOnly"] = True
        return {"persistentVolumeClaim": claim}


@dataclass(frozen=True, kw_only=True)
class EphemeralCache:
    """A volume on the disk of the node, to which every pod downloads the weights again.

    Args:
        size: Limit of the volume, such as `100Gi`, above which kubelet evicts the pod without a
            drain. It is also the `ephemeral-storage` request of the container, so that the pod is
            scheduled on a node that has as much. Default: no limit; a ModelDeployment requests
            what the weights need, where it knows them.

    Raises:
        VllmConstructsError: The size is not a quantity of bytes.
    """

    size: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            quantity.memory("EphemeralCache.size", self.size)

    @property
    def can_be_shared(self) -> bool:
        """True: each pod has a volume of its own, so there may be any number of pods."""
        return True

    @property
    def is_read_only(self) -> bool:
        """False: the volume is empty at first, so pods must write to it."""
        return False

    @property
    def sub_path(self) -> None:
        """None: the cache is the whole volume."""
        return

    def volume(self) -> dict[str, Any]:
        """The volume of the pod."""
        return {"emptyDir": {} if self.size is None else {"sizeLimit": self.size}}


CacheVolume: TypeAlias = "ExistingClaim | EphemeralCache"


def check_sharing(where: str, cache: CacheVolume, replicas: int, *, downloads: bool) -> None:
    """Reject a cache that the replicas cannot mount (Kubernetes docs, "Access Modes").

    Args:
        where: Name of the model, for the sentence.
        cache: The cache.
        replicas: The largest number of replicas.
        downloads: Whether pods download their weights; several that do without a shared cache
            cause a warning.

    Raises:
        VllmConstructsError: Only one node can mount the cache, and there may be several replicas.
    """
    if isinstance(cache, EphemeralCache) and replicas > 1 and downloads:
        warn(repeated_download(where, replicas))
    if isinstance(cache, ExistingClaim):
        what = f"the cache {cache.claim_name!r}"
        found = sharing_problem(where, what, cache.access, replicas)
        if found is not None:
            refuse(found)


def repeated_download(where: str, replicas: int) -> Problem:
    """That each of several pods downloads the weights.

    Args:
        where: Name of the model, for the sentence.
        replicas: The largest number of replicas.
    """
    return Problem(
        where=where,
        text=f"has up to {replicas} replicas without a shared cache, so each pod downloads the "
        "weights again",
        advice="give {cache=ModelCache(...)}",
    )


def sharing_problem(where: str, what: str, access: str, replicas: int) -> Problem | None:
    """Why pods cannot share a claim; None if they can, or there is one.

    Args:
        where: Name of what has the pods, for the sentence.
        what: What the claim is called in the sentence.
        access: Its access mode.
        replicas: The largest number of pods.
    """
    if access in _SHARED or replicas <= 1:
        return None
    return Problem(
        where=where,
        text=f"has up to {replicas} replicas, but {what} is {access}, which pods on two nodes "
        "cannot mount",
        advice="use storage with {access='ReadWriteMany'} or 'ReadOnlyMany', "
        "{cache=EphemeralCache()}, or one replica",
    )


def check_size(where: str, cache: CacheVolume, weights: int) -> None:
    """Reject a cache that is smaller than the weights that are downloaded into it.

    Args:
        where: Name of the model, for the sentence.
        cache: The cache.
        weights: Bytes of the weights.

    Raises:
        VllmConstructsError: They do not fit: the pod would be evicted, or find no space left.
    """
    if cache.size is None:
        return
    needed = disk_needed(weights)
    if isinstance(cache, EphemeralCache):
        what, advice = "EphemeralCache", f"give {{EphemeralCache.size={needed!r}}} or more"
    else:
        what = f"claim {cache.claim_name!r}"
        advice = f"give it {needed!r} or more, and twice that to download a new revision"
    found = size_problem(where, what, cache.size, weights, advice)
    if found is not None:
        refuse(found)


def size_problem(where: str, what: str, size: str, weights: int, advice: str) -> Problem | None:
    """That weights are larger than a volume; None if they are not.

    Args:
        where: Name of the model, for the sentence.
        what: What the volume is called in the sentence.
        size: Its size, a quantity.
        weights: Bytes of the weights.
        advice: What to do.
    """
    amount = quantity.parse(size)
    if amount is None or amount >= weights:
        return None
    return Problem(
        where=where,
        text=f"has {weights / quantity.GI:.1f} GiB of weights, more than the {size} of its {what}",
        advice=advice,
        kind="does not fit",
    )


def disk_request(cache: CacheVolume, weights: int | None) -> str | None:
    """The `ephemeral-storage` that a pod requests: the cache's size, or what the weights need."""
    if not isinstance(cache, EphemeralCache):
        return None
    return cache.size or (None if weights is None else disk_needed(weights))


def disk_needed(weights: int) -> str:
    """A size for weights and a GiB of other files, such as tokenizers and caches of compilers.

    Args:
        weights: Bytes of the weights.
    """
    return f"{math.ceil(weights / quantity.GI) + 1}Gi"


def claim_manifest(
    *,
    name: str,
    size: str,
    storage_class: str | None,
    access: AccessMode,
    volume_name: str | None = None,
    selector: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The PersistentVolumeClaim of a ModelCache.

    A claim for volumes that exist has the class "" unless one is given: the API server gives a
    claim without a class the default class, and no volume of another class binds to it.
    """
    quantity.memory("ModelCache.size", size)
    require.choice("ModelCache.access", access, ACCESS_MODES)
    spec: dict[str, Any] = {
        "accessModes": [access],
        "resources": {"requests": {"storage": size}},
    }
    if volume_name is not None and selector is not None:
        refuse(
            Problem(
                where="ModelCache",
                text="has both {volume_name} and {selector}, and Kubernetes ignores the selector "
                "of a claim that names its volume",
                advice="leave one out",
            )
        )
    if volume_name is not None:
        spec["volumeName"] = names.subdomain("ModelCache.volume_name", volume_name)
    if selector is not None:
        labels = names.label_map("ModelCache.selector", selector)
        if not labels:
            require.wrong("ModelCache.selector", selector, "at least one label of the volume")
        spec["selector"] = {"matchLabels": labels}
    if storage_class is None and (volume_name is not None or selector is not None):
        storage_class = ""
    if storage_class is not None:
        spec["storageClassName"] = (
            ""
            if storage_class == ""
            else names.subdomain("ModelCache.storage_class", storage_class)
        )
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": names.subdomain("ModelCache.name", name)},
        "spec": spec,
    }


def memory_limit(gpu: Gpu, given: str | tuple[str, str] | None) -> str:
    """The memory limit of a pod, without what is offloaded to it.

    Args:
        gpu: GPU of the pod.
        given: Memory, as it is given.
    """
    if isinstance(gpu, Cpu):
        return f"{gpu.memory_gib}Gi"
    if given is not None:
        return given if isinstance(given, str) else given[1]
    return f"{32 * gpu.count}Gi"


LARGEST_QUEUE = 240 * quantity.MI
"""Bytes of the largest of vLLM's queues, which must be free in `/dev/shm` when it is made."""


def shared_memory_needed(gpus: int) -> int:
    """Bytes of `/dev/shm` that the workers of `gpus` GPUs need.

    With several GPUs, NCCL adds segments of its own to vLLM's queues, for which 256 MiB per GPU
    are reserved: without peer-to-peer access, all traffic between GPUs goes through them.
    """
    nccl = 256 * gpus if gpus > 1 else 0
    return queues(gpus) + nccl * quantity.MI


def queues(workers: int) -> int:
    """Bytes that vLLM's queues take in `/dev/shm` when they are full.

    160 MiB, 240 MiB per worker and 24 MiB for the group (shm_broadcast.py).

    Args:
        workers: Workers of one engine in a pod.
    """
    return (160 + 240 * workers + 24) * quantity.MI


def shared_memory(
    gpus: int,
    given: str | None,
    memory_limit: str,
    *,
    weights: int = 0,
    cache: HostCache | None = None,
) -> str:
    """The `sizeLimit` of `/dev/shm`: the given size, or what is needed in whole Gi.

    Args:
        gpus: GPUs of the pod.
        given: The given size, if any.
        memory_limit: Memory limit of the container.
        weights: Bytes of weights that are kept in the container's memory. Default: none.
        cache: KV cache that is kept there. Default: none.

    Raises:
        VllmConstructsError: The size is less than what is needed, or not below the memory limit,
            or the limit has no room for it beside what is offloaded.
    """
    in_shared = 0 if cache is None else cache.shared_memory
    needed = shared_memory_needed(gpus) + in_shared
    size = given if given is not None else quantity.gibibytes(needed)
    amount = quantity.memory("shared_memory", size)
    limit = quantity.memory("memory", memory_limit)
    if amount < needed:
        who = f"the workers of {gpus} GPU{'s' * (gpus > 1)}"
        if in_shared:
            who += f" and {in_shared / quantity.GI:g} GiB of offloaded KV cache"
        refuse(
            Problem(
                where="shared_memory",
                text=f"is {size!r}, less than {who} need",
                value=repr(size),
                allowed=f"at least '{needed // quantity.MI}Mi'",
                advice="leave it out to get what they need",
            )
        )
    offloaded = {
        "{cpu_offload_gb} keeps {} GiB of weights": weights,
        "{kv_offload} keeps {} GiB of KV cache": 0 if cache is None else cache.size - in_shared,
    }
    beside = sum(offloaded.values())
    if amount + beside < limit:
        return size
    if cache is not None:
        offloaded["{kv_offload} keeps {} GiB of KV cache"] = cache.size
    if not any(offloaded.values()):
        refuse(
            Problem(
                where="shared_memory",
                text=f"is {size!r}, not below the {{memory}} limit {memory_limit!r}, which "
                "includes it",
                value=repr(size),
                advice="lower it, or raise {memory}",
            )
        )
    what = " and ".join(
        text.replace("{}", f"{amount / quantity.GI:g}")
        for text, amount in offloaded.items()
        if amount
    )
    return refuse(
        Problem(
            where="memory",
            text=f"has a limit of {memory_limit!r}, but {what} there, with {size} of "
            "{shared_memory}",
            value=repr(memory_limit),
            advice="raise it, offload less, or leave {memory} out",
            kind="does not fit",
        )
    )


class HasClaim(Protocol):
    """A construct with a claim, such as `ModelCache`."""

    @property
    def volume(self) -> ExistingClaim:
        """The claim."""
        ...


Cache: TypeAlias = ExistingClaim | EphemeralCache | HasClaim | HasName


def claim_of(cache: object) -> ExistingClaim | EphemeralCache:
    """The volume that the option `cache` stands for."""
    if isinstance(cache, (ExistingClaim, EphemeralCache)):
        return cache
    volume = getattr(cache, "volume", None)
    if isinstance(volume, ExistingClaim):
        return volume
    if hasattr(cache, "__jsii_type__"):
        # A cdk8s-plus claim that is only imported by its name has no access modes.
        modes = [_spelt(str(mode.value)) for mode in getattr(cache, "access_modes", None) or []]
        return ExistingClaim.from_claim(cast("HasName", cache), access=best_mode(modes))
    return require.wrong("cache", cache, "a ModelCache, ExistingClaim, EphemeralCache or a claim")


def _size_of(claim: object) -> str | None:
    """The size of a cdk8s-plus claim; None if it is only imported by its name."""
    size = getattr(claim, "storage", None) if hasattr(claim, "__jsii_type__") else None
    return None if size is None else str(size.as_string())


def _spelt(mode: str) -> str:
    """`READ_WRITE_ONCE` spelled as `ReadWriteOnce`."""
    return "".join(part.capitalize() for part in mode.split("_"))


def best_mode(modes: Sequence[str]) -> Any:
    """The mode that allows most: writing from several nodes, then reading from several.

    Args:
        modes: Access modes of a claim.
    """
    ranked = ("ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod", "ReadWriteOnce")
    return next((mode for mode in ranked if mode in modes), "ReadWriteMany")
