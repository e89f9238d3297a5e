"""To which volumes claims bind, by the real controllers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from cdk8s import Chart

from vllm_constructs import ModelCache

from .conftest import NEWEST, rendered
from .kubectl import Kubectl, wait_for
from .nodes import Manifest

pytestmark = [
    pytest.mark.parametrize("bed", [NEWEST], indirect=True),
    pytest.mark.usefixtures("cluster"),
]


def volume(name: str, storage_class: str = "", labels: Mapping[str, str] | None = None) -> Manifest:
    """A volume that somebody made by hand."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteMany"],
            "storageClassName": storage_class,
            "persistentVolumeReclaimPolicy": "Retain",
            "nfs": {"server": "127.0.0.1", "path": "/weights"},
        },
    }


@pytest.fixture
def volumes(kubectl: Kubectl) -> Iterator[None]:
    """Volumes that were made by hand, and a default class that is none of theirs."""
    default = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "cloud",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "example.com/none",
    }
    made = [
        volume("by-hand-a"),
        volume("by-hand-b", labels={"disk": "nvme"}),
        volume("by-hand-c", storage_class="nfs"),
        default,
    ]
    kubectl.apply(made)
    yield
    kubectl.delete(made)


@pytest.mark.usefixtures("volumes")
def test_volumes_that_exist(kubectl: Kubectl, chart: Chart, namespace: str) -> None:
    """Claims bind to the volumes that they name or select, whatever the default class is."""
    ModelCache(chart, "named", size="50Gi", volume_name="by-hand-a")
    ModelCache(chart, "selected", size="50Gi", selector={"disk": "nvme"})
    ModelCache(chart, "classed", size="50Gi", volume_name="by-hand-c", storage_class="nfs")
    expected = {"named": "by-hand-a", "selected": "by-hand-b", "classed": "by-hand-c"}
    kubectl.apply(rendered(chart))

    def bound() -> dict[str, str]:
        claims = kubectl.items("persistentvolumeclaims", namespace)
        found = {
            claim["metadata"]["name"]: claim["spec"]["volumeName"]
            for claim in claims
            if claim["status"].get("phase") == "Bound"
        }
        return found if len(found) == len(expected) else {}

    try:
        assert expected == wait_for("bound claims", bound)
    finally:
        kubectl.delete(rendered(chart))


@pytest.mark.usefixtures("volumes")
def test_default_class(kubectl: Kubectl, chart: Chart, namespace: str) -> None:
    """A claim that names a volume and no class waits: it gets the default class."""
    ModelCache(chart, "named", size="50Gi", volume_name="by-hand-a")
    (claim,) = rendered(chart)
    assert claim["spec"].pop("storageClassName") == ""
    kubectl.apply([claim])

    def mismatch() -> list[str]:
        events = kubectl.items("events", namespace)
        return [event["message"] for event in events if event["reason"] == "VolumeMismatch"]

    try:
        assert "storageClassName does not match" in wait_for("the reason", mismatch)[0]
        found = kubectl.get("persistentvolumeclaim", "named", namespace)
        assert (found["spec"]["storageClassName"], found["status"]["phase"]) == ("cloud", "Pending")
    finally:
        kubectl.delete([claim])


@pytest.mark.usefixtures("volumes")
def test_name_before_selector(kubectl: Kubectl, chart: Chart, namespace: str) -> None:
    """Kubernetes ignores the selector of a claim that names its volume."""
    ModelCache(chart, "named", size="50Gi", volume_name="by-hand-a")
    (claim,) = rendered(chart)
    claim["spec"]["selector"] = {"matchLabels": {"disk": "nvme"}}
    kubectl.apply([claim])

    def bound() -> bool:
        found = kubectl.get("persistentvolumeclaim", "named", namespace)
        return bool(found["status"].get("phase") == "Bound")

    try:
        assert wait_for("the claim", bound)
    finally:
        kubectl.delete([claim])
