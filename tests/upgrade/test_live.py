"""Objects of a cluster, beside manifests."""

import json
from copy import deepcopy
from typing import Any

import pytest

from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.upgrade.live import LAST_APPLIED, is_live, without_additions

from .both import changed, compared, live, sample


def fields(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The fields that differ."""
    return [one.field for one in compared(old, new).changes]


def test_is_live() -> None:
    """What a cluster has written tells that it was read there."""
    assert is_live(Manifest(live(sample("Service"))))
    assert not is_live(Manifest(sample("Service")))
    assert not is_live(Manifest({"metadata": {"creationTimestamp": None, "managedFields": []}}))


def test_file() -> None:
    """A manifest is as it was applied."""
    old = sample("Service")

    assert old is without_additions(Manifest(old), Manifest(sample("Service headless")))


class TestBare:
    """Objects that do not tell who has set what, as kubectl shows them by default."""

    @pytest.mark.parametrize(
        ("title", "path", "value"),
        [
            ("Service", ("spec", "clusterIP"), "10.0.0.1"),
            ("Service", ("spec", "clusterIPs"), ["10.0.0.1"]),
            ("Service", ("spec", "ipFamilies"), ["IPv4"]),
            ("Service", ("spec", "ports", 0, "nodePort"), 30001),
            ("Service", ("metadata", "finalizers"), ["a"]),
            ("PersistentVolumeClaim", ("spec", "volumeName"), "pvc-1"),
            ("PersistentVolumeClaim", ("metadata", "annotations", "pv.kubernetes.io/a"), "yes"),
            ("PersistentVolume", ("spec", "claimRef"), {"name": "a"}),
            ("Deployment", ("metadata", "labels", "more"), "1"),
            (
                "Deployment",
                (
                    "spec",
                    "template",
                    "metadata",
                    "annotations",
                    "kubectl.kubernetes.io/restartedAt",
                ),
                "2026",
            ),
            ("Job", ("spec", "selector"), {"matchLabels": {"controller-uid": "1"}}),
            ("Job", ("spec", "template", "metadata", "labels", "job-name"), "x"),
            ("Pod", ("spec", "nodeName"), "node"),
            ("Pod", ("spec", "volumes", 4), {"name": "kube-api-access-1", "projected": {}}),
            ("Pod", ("spec", "tolerations", 1), {"key": "node.kubernetes.io/not-ready"}),
            ("HTTPRoute", ("spec", "parentRefs", 0, "group"), "gateway.networking.k8s.io"),
            ("HTTPRoute", ("spec", "rules", 0, "matches"), [{"path": {"value": "/"}}]),
            ("ScaledObject", ("metadata", "labels", "scaledobject.keda.sh/name"), "x"),
            ("ServiceAccount", ("secrets",), [{"name": "a"}]),
        ],
    )
    def test_added(self, title: str, path: tuple[str | int, ...], value: Any) -> None:
        """What the cluster adds is no change."""
        new = sample(title)

        assert [] == fields(live(changed(new, *path, to=value)), new)

    def test_removed(self) -> None:
        """What the cluster does not add, the manifest leaves out from now on."""
        old = sample("Deployment")
        new = deepcopy(old)
        del new["spec"]["template"]["spec"]["containers"][0]["env"][0]
        del new["spec"]["template"]["spec"]["nodeSelector"]

        assert [
            "spec.template.spec.nodeSelector",
            "spec.template.spec.containers[vllm].env[HF_HOME]",
        ] == fields(live(old), new)

    def test_version(self) -> None:
        """A cluster shows any version of an object."""
        old = {**live(sample("HTTPRoute")), "apiVersion": "gateway.networking.k8s.io/v1beta1"}

        assert [] == fields(old, sample("HTTPRoute"))
        assert ["apiVersion"] == fields(
            {**sample("HTTPRoute"), "apiVersion": "a/v2"}, sample("HTTPRoute")
        )

    def test_items(self) -> None:
        """Items of custom resources are nobody else's."""
        old = sample("HTTPRoute", hostnames=["a", "b"])
        old["spec"]["rules"].append({"name": "b", "backendRefs": [{"name": "c", "port": 1}]})
        new = sample("HTTPRoute", hostnames=["a"])

        assert ["spec.hostnames", "spec.rules[1]"] == fields(live(old), new)


class TestOwned:
    """Objects that tell what was applied."""

    def test_last_applied(self) -> None:
        """The annotation of client-side apply."""
        applied = sample("Service")
        text = json.dumps(applied)
        old = live(applied, annotations={LAST_APPLIED: text})
        old["spec"]["more"] = 1
        new = deepcopy(applied)
        del new["spec"]["sessionAffinity"], new["metadata"]["annotations"]

        found = fields(old, new)

        assert [
            "metadata.annotations",
            "spec.sessionAffinity",
            "spec.sessionAffinityConfig",
        ] == found

    @pytest.mark.parametrize("text", ["", "{", "[]", '"a"', None, 1])
    def test_malformed(self, text: object) -> None:
        """An annotation that cannot be read says nothing."""
        new = sample("Service")

        assert [] == fields(live(new, annotations={LAST_APPLIED: text}), new)

    def test_managed(self) -> None:
        """`managedFields` of server-side apply: maps, named items, and who else owns what."""
        entries = [
            {
                "manager": "kubectl",
                "operation": "Apply",
                "fieldsV1": {
                    "f:spec": {
                        "f:replicas": {},
                        "f:template": {
                            "f:spec": {
                                "f:nodeSelector": {},
                                "f:containers": {
                                    'k:{"name":"vllm"}': {
                                        ".": {},
                                        "f:name": {},
                                        "f:env": {'k:{"name":"HF_HOME"}': {".": {}, "f:value": {}}},
                                    }
                                },
                            }
                        },
                    }
                },
            },
            {
                "manager": "kube-controller-manager",
                "operation": "Update",
                "subresource": "status",
                "fieldsV1": {"f:status": {}},
            },
        ]
        old = live(sample("Deployment"), managedFields=entries)
        old["spec"]["template"]["spec"]["containers"][0]["env"].append(
            {"name": "OTHER", "value": "1"}
        )
        new = sample("Deployment")
        new["spec"]["replicas"] = 0
        pod = new["spec"]["template"]["spec"]
        del pod["nodeSelector"], pod["containers"][0]["env"][0]

        found = fields(old, new)

        assert [
            "spec.template.spec.nodeSelector",
            "spec.template.spec.containers[vllm].env[HF_HOME]",
        ] == found

    def test_helm(self) -> None:
        """What Helm has updated is of its manifests."""
        entry = {
            "manager": "helm",
            "operation": "Update",
            "fieldsV1": {"f:spec": {"f:minReadySeconds": {}, "f:progressDeadlineSeconds": {}}},
        }
        old = live(sample("Deployment", progressDeadlineSeconds=900), managedFields=[entry])

        assert ["spec.progressDeadlineSeconds"] == fields(old, sample("Deployment"))

    def test_strings(self) -> None:
        """Strings of a Secret are in its data."""
        old = sample("Secret")
        new = deepcopy(old)
        new["stringData"]["b"] = "d"
        shown = live(old, annotations={LAST_APPLIED: json.dumps(old)})
        shown["data"] = {"a": "YQ==", "b": "Yw=="}
        del shown["stringData"]

        assert ["data.b"] == fields(shown, new)
        assert [] == fields(shown, old)
