"""ModelCache: the PersistentVolumeClaim that keeps a model's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from vllm_constructs import require
from vllm_constructs.kube import names
from vllm_constructs.workloads.storage import (
    ACCESS_MODES,
    AccessMode,
    EphemeralCache,
    ExistingClaim,
    claim_manifest,
)

from .base import Room, place_of

if TYPE_CHECKING:
    import cdk8s_plus_27 as kplus
    from cdk8s import ApiObject
    from constructs import Construct


class ModelCache(Room):
    """A PersistentVolumeClaim for the weights of one or more models.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        size: Storage to ask for, such as `200Gi`: weights of all models, twice while a new
            revision comes in.
        storage_class: StorageClass. Default: the cluster's own.
        access: Access mode, default `ReadWriteMany`. One that pods on two nodes cannot mount
            is refused by models with more than one replica.
        name: Name of the claim. Default: the id, as a legal name.

    Attributes:
        claim: The PersistentVolumeClaim.
        name: Its name.

    Raises:
        VllmConstructsError: No quantity, an unknown access mode, or an illegal name.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        size: str,
        storage_class: str | None = None,
        access: AccessMode = "ReadWriteMany",
        name: str | None = None,
    ) -> None:
        place = place_of(scope, id)
        self.name = names.sanitised(id) if name is None else name
        body = claim_manifest(name=self.name, size=size, storage_class=storage_class, access=access)
        self.volume = ExistingClaim(self.name, access=access)
        place.check_free(body)
        super().__init__(scope, id, place)
        self.claim: ApiObject = self._add("Default", body)


Cache: TypeAlias = "ModelCache | ExistingClaim | EphemeralCache | kplus.IPersistentVolumeClaim"


def claim_of(cache: Any) -> ExistingClaim | EphemeralCache:
    """The volume behind whatever a user gives as a cache."""
    if cache is None:
        return EphemeralCache()
    if isinstance(cache, (ExistingClaim, EphemeralCache)):
        return cache
    if isinstance(cache, ModelCache):
        return cache.volume
    if hasattr(cache, "__jsii_type__"):
        # A cdk8s-plus claim that was made here knows its modes; one that is only named does not.
        modes = [str(mode.value) for mode in getattr(cache, "access_modes", None) or []]
        best = [mode for mode in reversed(ACCESS_MODES) if mode in map(_spelt, modes)]
        return ExistingClaim.from_claim(cache, access=_mode(best))
    return require.wrong("cache", cache, "a ModelCache, ExistingClaim, EphemeralCache or a claim")


def _spelt(mode: str) -> str:
    """`READ_WRITE_ONCE` as `ReadWriteOnce`."""
    return "".join(part.capitalize() for part in mode.split("_"))


def _mode(modes: list[str]) -> Any:
    if not modes:
        return "ReadWriteMany"
    return "ReadWriteMany" if "ReadWriteMany" in modes else modes[0]
