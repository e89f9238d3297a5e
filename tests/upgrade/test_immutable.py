"""Immutable fields: one change of each kind.

`tests/cluster/test_diff.py` compares all small changes with the real server.
"""

from typing import Any

import pytest

from .both import Missing, changed, live, sample, upgraded, verdict

SELECTOR = ("spec", "selector", "matchLabels", "tier")


@pytest.mark.parametrize(
    ("title", "path", "value"),
    [
        ("Deployment", SELECTOR, "gpu"),
        ("DaemonSet", SELECTOR, "gpu"),
        ("ReplicaSet", SELECTOR, "gpu"),
        ("StatefulSet", SELECTOR, "gpu"),
        ("StatefulSet", ("spec", "serviceName"), "other"),
        ("StatefulSet", ("spec", "podManagementPolicy"), Missing),
        ("StatefulSet", ("spec", "volumeClaimTemplates", 0, "metadata", "labels", "a"), "b"),
        ("StatefulSet", ("spec", "volumeClaimTemplates"), Missing),
        ("ConfigMap immutable", ("data", "a"), "2"),
        ("ConfigMap immutable", ("immutable",), False),
        ("ConfigMap immutable", ("immutable",), Missing),
        ("ConfigMap immutable", ("binaryData",), {"b": "AAAA"}),
        ("Secret", ("type",), "kubernetes.io/tls"),
        ("Secret immutable", ("stringData", "a"), "2"),
        ("ResourceQuota", ("spec", "scopes"), ["Terminating"]),
        ("ResourceQuota", ("spec",), Missing),
        ("RoleBinding", ("roleRef", "name"), "other"),
        ("ClusterRoleBinding", ("roleRef", "name"), "other"),
        ("StorageClass", ("provisioner",), "other"),
        ("StorageClass", ("parameters", "type"), "slow"),
        ("StorageClass", ("reclaimPolicy",), "Retain"),
        ("StorageClass", ("volumeBindingMode",), "WaitForFirstConsumer"),
        ("VolumeAttributesClass", ("parameters", "iops"), "200"),
        ("CSIDriver", ("spec", "attachRequired"), True),
        ("PriorityClass", ("value",), 2000),
        ("PriorityClass", ("preemptionPolicy",), "Never"),
        ("RuntimeClass", ("handler",), "other"),
        ("IngressClass", ("spec", "controller"), "example.com/other"),
        ("GatewayClass", ("spec", "controllerName"), "example.com/other"),
        ("ResourceClaim", ("spec", "devices", "requests", 0, "name"), "other"),
        ("ResourceClaimTemplate", ("spec", "spec", "devices", "requests", 0, "name"), "other"),
        ("EndpointSlice", ("addressType",), "IPv6"),
    ],
)
def test_refused(title: str, path: tuple[str | int, ...], value: Any) -> None:
    """What cannot be changed is refused, in a file and in a cluster, with the reason and advice."""
    old = sample(title)
    new = changed(old, *path, to=value)
    upgrade = upgraded(old, new)

    assert "refused" == verdict(upgrade)
    assert all(one.reason and one.advice and one.by for one in upgrade.refused)
    if value is not Missing and "stringData" not in old:
        assert "refused" == verdict(upgraded(live(old), new))


@pytest.mark.parametrize(
    ("title", "path", "value"),
    [
        ("Deployment", ("spec", "template", "metadata", "labels", "version"), "2"),
        ("Deployment", ("spec", "strategy"), {"type": "Recreate"}),
        ("DaemonSet", ("spec", "updateStrategy"), {"type": "OnDelete"}),
        ("StatefulSet", ("spec", "replicas"), 3),
        ("ConfigMap immutable", ("metadata", "labels", "a"), "2"),
        ("ConfigMap", ("immutable",), True),
        ("Secret", ("data", "a"), "Yg=="),
        ("ResourceQuota", ("spec", "hard", "pods"), "20"),
        ("RoleBinding", ("subjects", 0, "name"), "other"),
        ("StorageClass", ("allowVolumeExpansion",), True),
        ("StorageClass", ("mountOptions",), ["rw"]),
        ("CSIDriver", ("spec", "podInfoOnMount"), True),
        ("PriorityClass", ("description",), "other"),
        ("RuntimeClass", ("scheduling",), {"nodeSelector": {"a": "b"}}),
        ("GatewayClass", ("spec", "description"), "other"),
        ("PodDisruptionBudget", ("spec", "selector"), {"matchLabels": {"app": "b"}}),
        ("HorizontalPodAutoscaler", ("spec", "scaleTargetRef", "name"), "other"),
        ("Ingress", ("spec", "ingressClassName"), "other"),
        ("NetworkPolicy", ("spec", "podSelector"), {}),
        ("CronJob", ("spec", "jobTemplate", "spec", "backoffLimit"), 9),
        ("ReplicationController", ("spec", "selector"), {"app": "qwen", "tier": "gpu"}),
        ("ScaledObject", ("spec", "scaleTargetRef", "name"), "other"),
        ("HTTPRoute", ("spec", "hostnames"), ["other.example.com"]),
    ],
)
def test_changed(title: str, path: tuple[str | int, ...], value: Any) -> None:
    """What can be changed is a change."""
    old = sample(title)

    assert "changed" == verdict(upgraded(old, changed(old, *path, to=value)))
    assert "changed" == verdict(upgraded(live(old), changed(old, *path, to=value)))


def crd() -> dict[str, Any]:
    """A CRD."""
    names = {"kind": "Widget", "plural": "widgets"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names},
    }


def test_crd() -> None:
    """The kind and the scope of a CRD."""
    assert "refused" == verdict(upgraded(crd(), changed(crd(), "spec", "scope", to="Cluster")))
    kind = changed(crd(), "spec", "names", "kind", to="Gadget")
    assert "refused" == verdict(upgraded(crd(), kind))
    short = changed(crd(), "spec", "names", "shortNames", to=["w"])
    assert "changed" == verdict(upgraded(crd(), short))


class TestGroups:
    """LeaderWorkerSets, whose webhook refuses."""

    def group(self, **template: Any) -> dict[str, Any]:
        """A set of groups."""
        return {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": {"name": "x"},
            "spec": {
                "leaderWorkerTemplate": {
                    "size": 4,
                    "workerTemplate": {"spec": {"containers": [{"name": "vllm"}]}},
                    **template,
                }
            },
        }

    def test_subgroups(self) -> None:
        """Sub-groups cannot be added, removed or resized."""
        two, four = ({"subGroupPolicy": {"subGroupSize": size}} for size in (2, 4))
        for old, new in ((two, four), ({}, two), (two, {})):
            upgrade = upgraded(self.group(**old), self.group(**new))
            assert ["webhook of LeaderWorkerSet"] == [one.by for one in upgrade.refused]

    def test_others(self) -> None:
        """The size of groups can be changed, and the kind of sub-groups."""
        old = self.group(subGroupPolicy={"subGroupSize": 2})
        kinds = {"subGroupSize": 2, "subGroupPolicyType": "LeaderExcluded"}

        assert "changed" == verdict(upgraded(self.group(), self.group(size=8)))
        assert "changed" == verdict(upgraded(old, self.group(subGroupPolicy=kinds)))


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"helm.sh/hook": "pre-install"}, "hook"),
        ({"argocd.argoproj.io/hook": "Sync"}, "hook"),
        ({"argocd.argoproj.io/sync-options": "Force=true,Replace=true"}, "replaces"),
    ],
)
def test_made_again(annotations: dict[str, str], words: str) -> None:
    """What a tool makes again is not refused for certain."""
    old = sample("Job")
    new = changed(old, "spec", "completionMode", to="Indexed")
    new["metadata"]["annotations"] = annotations

    (found,) = {one.unless for one in upgraded(old, new).doubtful}

    assert words in found


def test_ended() -> None:
    """A Job that deletes itself may be gone, but one that is shown is there."""
    old = sample("Job", ttlSecondsAfterFinished=60)
    new = changed(old, "spec", "completionMode", to="Indexed")

    assert "doubtful" == verdict(upgraded(old, new))
    assert "refused" == verdict(upgraded(live(old), new))
