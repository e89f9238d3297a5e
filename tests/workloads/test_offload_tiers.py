"""Tiers on disks and in buckets."""

import pytest

from tests.workloads.offloads import BUCKET, DISK, pod
from vllm_constructs import (
    DiskTier,
    EnvVarSource,
    KvOffload,
    VllmConstructsWarning,
    Volume,
)
from vllm_constructs.workloads.offload_tiers import on_node_disk


def test_roles() -> None:
    """A bucket without keys in the pod is read with a role, which is fetched elsewhere."""
    store = "https://s3.eu-west-1.amazonaws.com"
    keys = {
        name: EnvVarSource.from_secret("s3", key=name)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }
    offload = KvOffload(gib=1, tiers=[DISK, BUCKET])

    roles = ("http://169.254.170.23:80", "https://sts.amazonaws.com")
    assert (store, *roles) == pod(offload).addresses
    assert (store,) == pod(offload, env=keys).addresses


@pytest.mark.parametrize(
    ("volume", "effect"),
    [
        (Volume.from_empty_dir(), "the disk of the node is full"),
        (Volume.from_host_path("/mnt/kv"), "the disk of the node is full"),
        (Volume.from_empty_dir(size_limit="100Gi"), "the pod is evicted"),
    ],
)
def test_disk_of_node(volume: Volume, effect: str) -> None:
    """A tier that only grows is warned about on the disk of the node."""
    sentence = (
        f"DiskTier.volume is on the disk of the node, and vLLM never deletes its files: it fills "
        f"until {effect}; give a claim, such as Volume.from_claim(...)."
    )
    with pytest.warns(VllmConstructsWarning) as caught:
        DiskTier(volume)
    assert [sentence] == [str(one.message) for one in caught]


@pytest.mark.parametrize("volume", [{"nfs": {}}, {}, {"persistentVolumeClaim": {}}])
def test_elsewhere(volume: dict[str, object]) -> None:
    """Volumes that are not on the disk of the node."""
    assert on_node_disk(volume) is None


@pytest.mark.parametrize("value", [None, 5, "x", [], {}])
def test_any_type(value: object) -> None:
    """A volume of others may have any value."""
    found = on_node_disk({"emptyDir": value})
    assert found is not None
    assert "disk of the node is full" in found.sentence()
