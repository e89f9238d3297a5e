"""Immutable fields of claims and volumes.

Kubernetes 1.37, pkg/apis/core/validation/validation.go, and the admission plugin
PersistentVolumeClaimResize.
"""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs.kube import quantity
from vllm_constructs.reading.fields import mapping

from .changes import Absent, Change
from .compared import Compared, Refusal

CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_SIZE = ("spec", "resources", "requests", "storage")
_COPY = "make a claim of another name, and copy the data"
_VOLUME = "make a volume of another name"
_ATTRIBUTES = ("spec", "volumeAttributesClassName")
# Fields of a volume that are no source of it.
_NO_SOURCE = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}


def claim(one: Compared) -> Iterator[Refusal]:
    """What is refused of the changes of a PersistentVolumeClaim.

    Args:
        one: The claim before and after.
    """
    for change in one.changed("spec"):
        field = change.path[1] if len(change.path) > 1 else ""
        if change.path == _SIZE:
            yield from _size(one, change)
        elif change.path == _ATTRIBUTES:
            yield from _attributes(one, change)
        elif field == "storageClassName":
            yield from _class(one, change)
        elif field == "volumeName" and change.old is Absent:
            if not one.is_live:
                unless = "the claim is not bound yet, or to this volume"
                yield _refused(one, change, unless=unless)
        elif field not in ("dataSource", "dataSourceRef") or _source(one.before) != _source(
            one.after
        ):
            yield _refused(one, change)
    for change in one.changed("metadata", "annotations", CLASS_ANNOTATION):
        if not _moves_class(one):
            yield _refused(one, change)


def volume(one: Compared) -> Iterator[Refusal]:
    """What is refused of the changes of a PersistentVolume.

    Args:
        one: The volume before and after.
    """
    for change in one.changed("spec"):
        field = change.path[1] if len(change.path) > 1 else ""
        is_new_secret = change.starts_with("spec", "csi", "controllerExpandSecretRef")
        if field not in _NO_SOURCE and not (is_new_secret and change.old is Absent):
            reason = "the source of a volume cannot be changed"
        elif field == "volumeMode":
            reason = "the mode of a volume cannot be changed"
        elif field == "nodeAffinity" and one.both("spec", "nodeAffinity")[0] is not Absent:
            reason = "the nodes of a volume cannot be changed"
        elif field == "volumeAttributesClassName" and change.new is Absent:
            reason = "the class of attributes cannot be removed"
        else:
            continue
        yield Refusal(manifest=one.new, change=change, reason=reason, advice=_VOLUME)


def _refused(
    one: Compared, change: Change, reason: str = "", advice: str = _COPY, unless: str = ""
) -> Refusal:
    text = reason or "a claim cannot be changed but for its size and its class of attributes"
    return Refusal(manifest=one.new, change=change, reason=text, advice=advice, unless=unless)


def _size(one: Compared, change: Change) -> Iterator[Refusal]:
    before, after = (
        quantity.parse(str(value)) if isinstance(value, (str, int)) else None
        for value in (change.old, change.new)
    )
    if before is None or after is None:
        yield _refused(one, change)
    elif after < before:
        capacity = quantity.parse(str(mapping(one.status, "capacity").get("storage")))
        # A growth that has failed may be taken back.
        if capacity is None or after <= capacity:
            yield _refused(one, change, "a claim cannot shrink")
    elif one.status.get("phase", "Bound") != "Bound":
        reason = "only a bound claim can grow"
        yield _refused(one, change, reason, "wait until a pod uses it, or delete it first")
    else:
        yield from _growth(one, change)


def _growth(one: Compared, change: Change) -> Iterator[Refusal]:
    """Growth, which only some classes allow."""
    name = one.both("spec", "storageClassName")[1]
    if name is Absent:
        # The cluster has chosen the class.
        name = one.old.spec.get("storageClassName")
    reason = "only claims of a StorageClass with allowVolumeExpansion: true can grow"
    advice = "set it in the StorageClass if its driver can expand volumes"
    if name == "":
        yield _refused(one, change, "only claims of a StorageClass can grow")
        return
    found = None
    for graph in reversed(one.graphs):
        found = found or (graph.find("StorageClass", "", name) if name is not None else None)
    if found is None:
        shown = "its class" if name is None else f"the StorageClass {name}"
        yield _refused(one, change, reason, advice, f"{shown} has allowVolumeExpansion: true")
    elif found.body.get("allowVolumeExpansion") is not True:
        yield _refused(one, change, reason, advice)


def _attributes(one: Compared, change: Change) -> Iterator[Refusal]:
    if one.status.get("phase", "Bound") != "Bound":
        yield _refused(one, change, "only a bound claim can get another class of attributes")
    elif change.new in (Absent, ""):
        reason = "the class of attributes cannot be removed"
        if not one.is_live:
            yield _refused(one, change, reason, unless="it has not been applied to the volume")
        elif one.status.get("currentVolumeAttributesClassName"):
            yield _refused(one, change, reason)


def _class(one: Compared, change: Change) -> Iterator[Refusal]:
    """The class of a claim, which is chosen once, by the cluster if nobody does."""
    if change.old is not Absent:
        yield _refused(one, change)
    elif not one.is_live and not _moves_class(one):
        unless = f"{change.new} is the class that the cluster has chosen, or it has chosen none"
        yield _refused(one, change, unless=unless)


def _moves_class(one: Compared) -> bool:
    """Whether the class moves from the annotation of old releases into its field."""
    old = mapping(one.before, "metadata", "annotations").get(CLASS_ANNOTATION)
    before, after = one.both("spec", "storageClassName")
    return old is not None and before is Absent and after == old


def _source(body: dict[str, object]) -> object:
    """What a claim is filled from; the two fields say the same."""
    spec = mapping(body, "spec")
    return spec.get("dataSourceRef") or spec.get("dataSource")
