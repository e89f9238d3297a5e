"""ModelCache: the PersistentVolumeClaim that keeps a model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vllm_constructs.errors import refuse, warn
from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.workloads.storage import (
    AccessMode,
    ExistingClaim,
    claim_manifest,
)

from .base import VllmConstruct
from .registry import Key, chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class ModelCache(VllmConstruct):
    """A PersistentVolumeClaim for the weights of one or more models.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        size: Requested storage, such as `200Gi`: for the weights of all models, and twice that
            while a new revision is downloaded.
        storage_class: StorageClass; `""` binds only volumes without a class, and provisions
            none. Default: the cluster's own, and `""` with volume_name or selector.
        access: Access mode. Default: `ReadWriteMany`. One that pods on two nodes cannot mount
            is rejected by models with more than one replica.
        volume_name: The PersistentVolume that the claim binds to, which exists already. Its
            capacity, access modes and class have to fit. Default: any.
        selector: Labels of the PersistentVolumes that the claim may bind to. Volumes are not
            provisioned for such a claim. Default: any.
        name: Name of the claim. Default: the id, as a legal name.
        labels: More labels of the claim. Default: none.
        annotations: More annotations of the claim. Default: none.

    Attributes:
        claim: The PersistentVolumeClaim.
        name: Its name.

    Raises:
        VllmConstructsError: An invalid quantity, an unknown access mode, an illegal name, or
            both volume_name and selector.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        size: str,
        storage_class: str | None = None,
        access: AccessMode = "ReadWriteMany",
        volume_name: str | None = None,
        selector: Mapping[str, str] | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        self.name = names.sanitized(id) if name is None else name
        body = claim_manifest(
            name=self.name,
            size=size,
            storage_class=storage_class,
            access=access,
            volume_name=volume_name,
            selector=selector,
        )
        volume: Key = ("bound PersistentVolume", None, volume_name or "")
        bound = context.app.maker(volume) if volume_name else None
        if bound is not None:
            refuse(
                f"ModelCache.volume_name is {volume_name!r}, to which {bound} binds already, and a "
                "PersistentVolume binds to one claim; use that cache, or make another volume of "
                "the same storage."
            )
        is_any = volume_name is None and selector is None and storage_class is None
        if access == "ReadOnlyMany" and is_any:
            warn(
                "ModelCache.access is 'ReadOnlyMany' for a claim that any volume may fit, such as "
                "a new and empty one; give volume_name=, selector= or storage_class=."
            )
        self.volume = ExistingClaim(
            self.name, access=access, namespace=context.namespace, size=size
        )
        mark("ModelCache", [body], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, {"Default": body})
        if volume_name is not None:
            context.app.claim([volume], repr(self))

    @property
    def claim(self) -> ApiObject:
        """The PersistentVolumeClaim."""
        return self._object("Default")
