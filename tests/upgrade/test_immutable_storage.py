"""Claims and volumes: what cannot be changed, and what depends on the cluster."""

from typing import Any

import pytest

from tests.cluster.kinds import made

from .both import Missing, changed, live, sample, upgraded, verdict

CLAIM = sample("PersistentVolumeClaim")
BOUND = {"phase": "Bound", "capacity": {"storage": "200Gi"}}
SIZE = ("spec", "resources", "requests", "storage")


def storage_class(**fields: Any) -> dict[str, Any]:
    """The class of the claim."""
    found = made("storage.k8s.io/v1", "StorageClass", provisioner="csi.example.com", **fields)
    found["metadata"]["name"] = "bed"
    return found


@pytest.mark.parametrize(
    ("path", "value", "file", "cluster"),
    [
        (("spec", "accessModes"), ["ReadWriteMany"], "refused", "refused"),
        (("spec", "volumeMode"), "Block", "refused", "refused"),
        (("spec", "selector"), {"matchLabels": {"a": "b"}}, "refused", "refused"),
        (("spec", "storageClassName"), "other", "refused", "refused"),
        (("spec", "storageClassName"), Missing, "refused", "nothing"),
        (("spec", "resources", "limits"), {"storage": "1Ti"}, "refused", "refused"),
        (SIZE, "100Gi", "refused", "refused"),
        (SIZE, Missing, "refused", "refused"),
        (SIZE, "204800Mi", "nothing", "nothing"),
        (SIZE, "300Gi", "doubtful", "doubtful"),
        (("spec", "volumeName"), "pv-1", "doubtful", "changed"),
        (("spec", "volumeAttributesClassName"), "gold", "changed", "changed"),
        (("spec", "dataSource"), {"kind": "VolumeSnapshot", "name": "a"}, "refused", "refused"),
        (
            ("metadata", "annotations", "volume.beta.kubernetes.io/storage-class"),
            "bed",
            "refused",
            "refused",
        ),
        (("metadata", "labels", "a"), "2", "changed", "changed"),
    ],
)
def test_claim(path: tuple[str | int, ...], value: Any, file: str, cluster: str) -> None:
    """A claim cannot be changed, but for its size and its class of attributes."""
    new = changed(CLAIM, *path, to=value)

    assert file == verdict(upgraded(CLAIM, new))
    assert cluster == verdict(upgraded(live(CLAIM, BOUND), new))


class TestGrowth:
    """A claim grows if its class allows it, once it is bound."""

    new = changed(CLAIM, *SIZE, to="300Gi")

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"allowVolumeExpansion": True}, "changed"),
            ({"allowVolumeExpansion": False}, "refused"),
            ({}, "refused"),
        ],
    )
    def test_class(self, fields: dict[str, Any], expected: str) -> None:
        """The class may be in the manifests, after or before."""
        found = storage_class(**fields)

        assert expected == verdict(upgraded([CLAIM, found], [self.new, found]))
        assert expected == verdict(upgraded([CLAIM], [self.new, found]))
        assert expected == verdict(upgraded([CLAIM, found], [self.new]))

    def test_pending(self) -> None:
        """A claim that waits for its volume cannot grow."""
        found = storage_class(allowVolumeExpansion=True)
        old = [live(CLAIM, {"phase": "Pending"}), found]

        assert "refused" == verdict(upgraded(old, [self.new, found]))

    def test_none(self) -> None:
        """A claim for a volume that somebody made by hand cannot grow."""
        old = changed(CLAIM, "spec", "storageClassName", to="")

        assert "refused" == verdict(upgraded(old, changed(old, *SIZE, to="300Gi")))

    def test_chosen(self) -> None:
        """The cluster may have chosen the class."""
        file = changed(CLAIM, "spec", "storageClassName", to=Missing)
        new = changed(file, *SIZE, to="300Gi")
        found = storage_class(allowVolumeExpansion=True)

        (doubt,) = upgraded(file, new).doubtful
        assert "its class has allowVolumeExpansion: true" == doubt.unless
        assert "changed" == verdict(upgraded([live(CLAIM, BOUND), found], [new, found]))

    def test_taken_back(self) -> None:
        """A growth that has failed may be taken back, down to more than the volume has."""
        old = live(self.new, BOUND)

        assert "refused" == verdict(upgraded(old, CLAIM))
        assert "changed" == verdict(upgraded(old, changed(CLAIM, *SIZE, to="250Gi")))


class TestClass:
    """The class of a claim, which the cluster may have chosen."""

    file = changed(CLAIM, "spec", "storageClassName", to=Missing)

    def test_doubt(self) -> None:
        """Of a file it is not known; of a cluster it is."""
        (found,) = upgraded(self.file, CLAIM).doubtful

        assert "bed is the class that the cluster has chosen, or it has chosen none" == found.unless
        assert "nothing" == verdict(upgraded(live(CLAIM), CLAIM))
        assert "changed" == verdict(upgraded(live(self.file), CLAIM))
        other = changed(CLAIM, "spec", "storageClassName", to="other")
        assert "refused" == verdict(upgraded(live(CLAIM), other))

    def test_annotation(self) -> None:
        """It may move from the annotation of old releases into its field."""
        key = "volume.beta.kubernetes.io/storage-class"
        old = changed(self.file, "metadata", "annotations", key, to="bed")

        assert "changed" == verdict(upgraded(old, CLAIM))
        other = changed(CLAIM, "spec", "storageClassName", to="other")
        assert "refused" == verdict(upgraded(old, other))


class TestAttributes:
    """The class of attributes of a claim."""

    def test_removed(self) -> None:
        """It cannot be removed once it has been applied."""
        old = changed(CLAIM, "spec", "volumeAttributesClassName", to="gold")
        done = {**BOUND, "currentVolumeAttributesClassName": "gold"}
        emptied = changed(CLAIM, "spec", "volumeAttributesClassName", to="")

        assert "doubtful" == verdict(upgraded(old, CLAIM))
        assert "refused" == verdict(upgraded(live(old, done), emptied))
        assert "changed" == verdict(upgraded(live(old, BOUND), emptied))
        assert "refused" == verdict(upgraded(live(CLAIM, {"phase": "Pending"}), old))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("spec", "csi", "volumeHandle"), "b", "refused"),
        (("spec", "csi", "fsType"), "ext4", "refused"),
        (("spec", "nfs"), {"server": "a", "path": "/"}, "refused"),
        (("spec", "csi", "controllerExpandSecretRef"), {"name": "a"}, "changed"),
        (("spec", "volumeMode"), "Block", "refused"),
        (("spec", "nodeAffinity"), Missing, "refused"),
        (("spec", "persistentVolumeReclaimPolicy"), "Delete", "changed"),
        (("spec", "capacity", "storage"), "1Ti", "changed"),
        (("spec", "accessModes"), ["ReadOnlyMany"], "changed"),
        (("spec", "mountOptions"), ["rw"], "changed"),
        (("spec", "storageClassName"), "other", "changed"),
        (("spec", "volumeAttributesClassName"), "gold", "changed"),
    ],
)
def test_volume(path: tuple[str | int, ...], value: Any, expected: str) -> None:
    """The source of a volume cannot be changed."""
    old = sample("PersistentVolume")

    assert expected == verdict(upgraded(old, changed(old, *path, to=value)))


def test_volume_nodes() -> None:
    """Nodes may be given once; the class of attributes cannot be taken back."""
    old = sample("PersistentVolume of a server")
    new = changed(old, "spec", "nodeAffinity", to={"required": {}})
    gold = changed(old, "spec", "volumeAttributesClassName", to="gold")

    assert "changed" == verdict(upgraded(old, new))
    assert "refused" == verdict(upgraded(gold, old))
