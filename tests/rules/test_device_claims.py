"""Rules of device claims: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.reading.settings import Settings

from .findings import found, ids, sentences
from .pods import deployment, group, pod_spec

GPU = "nvidia.com/gpu"


def template(
    device_class: str = "gpu.nvidia.com",
    *,
    version: str = "v1",
    kind: str = "ResourceClaimTemplate",
    **request: Any,
) -> dict[str, Any]:
    """A template of claims, or a claim; with other fields of its request."""
    own = request or {"exactly": {"deviceClassName": device_class, "count": 1}}
    spec = {"devices": {"requests": [{"name": "gpu", **own}]}}
    return {
        "apiVersion": f"resource.k8s.io/{version}",
        "kind": kind,
        "metadata": {"name": "gpu", "namespace": "llm"},
        "spec": spec if kind == "ResourceClaim" else {"spec": spec},
    }


def engine(
    limits: dict[str, Any] | None = None, requests: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """The spec of a pod with an engine that has a claim."""
    resources: dict[str, Any] = {"claims": [{"name": "gpu"}]}
    resources |= {} if limits is None else {"limits": limits}
    resources |= {} if requests is None else {"requests": requests}
    claims = [{"name": "gpu", "resourceClaimTemplateName": "gpu"}]
    return pod_spec(container={"resources": resources}, **{"resourceClaims": claims, **fields})


class TestClaims:
    """C01."""

    @pytest.mark.parametrize(
        ("limits", "device_class"),
        [
            ({GPU: 1}, "gpu.nvidia.com"),
            ({GPU: 1, "memory": "64Gi"}, "mig.nvidia.com"),
            ({"nvidia.com/mig-1g.10gb": 1}, "mig.nvidia.com"),
            ({"amd.com/gpu": 1}, "gpu.amd.com"),
            ({"google.com/tpu": 4}, "tpu.google.com"),
        ],
    )
    def test_beside(self, limits: dict[str, Any], device_class: str) -> None:
        """The resource of a device plugin beside a claim of the same devices."""
        for spec in (deployment(engine(limits)), group(None, engine(limits))):
            (one,) = found([spec, template(device_class)], "C01")
            assert "limits" in one.path
            assert device_class in one.problem.sentence()
            assert one.fix is not None

    def test_forms(self) -> None:
        """Requests of every form, and a claim instead of a template."""
        flat = template(version="v1beta1", deviceClassName="gpu.nvidia.com")
        first = template(firstAvailable=[{"name": "a", "deviceClassName": "gpu.nvidia.com"}])
        claim = template(kind="ResourceClaim")
        named = [{"name": "gpu", "resourceClaimName": "gpu"}]
        both = {"limits": {GPU: 1}, "requests": {GPU: 1}}
        for manifests in (
            [deployment(engine({GPU: 1})), flat],
            [deployment(engine({GPU: 1})), first],
            [deployment(engine({GPU: 1}, resourceClaims=named)), claim],
        ):
            assert ["C01"] == ids(manifests, "C01")
        (one,) = found([deployment(engine(**both)), template()], "C01")
        assert one.fix is not None
        assert ["limits", "requests"] == [edit.path[-2] for edit in one.fix.edits]

    @pytest.mark.parametrize(
        "manifests",
        [
            [deployment(engine()), template()],
            [deployment(engine({"memory": "64Gi"})), template()],
            # The claim is of something else, or not in the manifests.
            [deployment(engine({GPU: 8})), template("compute-domain-daemon.nvidia.com")],
            [deployment(engine({GPU: 8})), template("dranet.net")],
            [deployment(engine({GPU: 8})), template("rdma-devices")],
            [deployment(engine({GPU: 8, "rdma/ib": 1}))],
            [deployment(engine({"rdma/ib": 1})), template()],
            [deployment(engine({GPU: 1})), {**template(), "metadata": {"name": "other"}}],
            [template(), template(kind="ResourceClaim")],
            [template(firstAvailable=[{"name": "a", "deviceClassName": "gpu.nvidia.com"}])],
            [template(version="v1beta1", deviceClassName="gpu.nvidia.com", count=2)],
            [{**template(deviceClassName="x"), "apiVersion": "example.com/v1"}],
        ],
    )
    def test_good(self, manifests: list[dict[str, Any]]) -> None:
        """Claims alone, and claims of networks beside GPUs."""
        assert [] == sentences(manifests, "C01")

    def test_one_request(self) -> None:
        """A container may use one request of a claim."""
        several = template()
        requests = several["spec"]["spec"]["devices"]["requests"]
        requests.append({"name": "nic", "exactly": {"deviceClassName": "rdma-devices"}})
        spec = engine({GPU: 1})
        spec["containers"][0]["resources"]["claims"] = [{"name": "gpu", "request": "nic"}]
        assert [] == ids([deployment(spec), several], "C01")
        spec["containers"][0]["resources"]["claims"] = [{"name": "gpu", "request": "gpu"}]
        assert ["C01"] == ids([deployment(spec), several], "C01")

    @pytest.mark.parametrize("claims", [None, [], [{"name": "other"}]])
    def test_unlisted(self, claims: list[dict[str, Any]] | None) -> None:
        """A claim of a container that the pod does not list."""
        spec = engine(resourceClaims=claims)
        (one,) = found([deployment(spec)], "C01")
        assert ("claims", 0, "name") == one.path[-3:]
        patch = deployment(spec)
        del patch["spec"]["selector"]
        assert [] == ids([patch], "C01")

    @pytest.mark.parametrize(
        ("version", "release", "count"),
        [
            ("v1", "1.33", 1),
            ("v1", "1.34", 0),
            ("v1", None, 0),
            ("v1beta2", "1.32", 1),
            ("v1beta2", "1.33", 0),
            ("v1beta1", "1.31", 1),
            ("v1beta1", "1.36", 0),
            ("v1alpha2", "1.30", 0),
            ("v1alpha2", "1.31", 1),
            ("v2", "1.31", 0),
        ],
    )
    def test_versions(self, version: str, release: str | None, count: int) -> None:
        """Versions of the API that a cluster does not have yet, or any more."""
        settings = Settings(kubernetes=None if release is None else Kubernetes(release))
        one = template(version=version, firstAvailable=[])
        assert count == len(found([one], "C01", settings=settings))

    def test_gate(self) -> None:
        """Claims of pods need a feature gate before 1.34."""
        old, new = (Settings(kubernetes=Kubernetes(one)) for one in ("1.33", "1.34"))
        (one,) = found([deployment(engine())], "C01", settings=old)
        assert ("warning", "resourceClaims") == (one.level, one.path[-1])
        assert [] == found([deployment(engine())], "C01", settings=new)

    def test_shape(self) -> None:
        """Fields that a version has elsewhere."""
        (one,) = found([template(deviceClassName="gpu.nvidia.com", count=2)], "C01")
        assert "deviceClassName" == one.path[-1]
        assert one.fix is not None
        value = one.fix.edits[0].value
        assert {
            "name": "gpu",
            "exactly": {"deviceClassName": "gpu.nvidia.com", "count": 2},
        } == value
        (one,) = found([template(version="v1beta1")], "C01")
        assert "exactly" == one.path[-1]
        mixed = template(exactly={"deviceClassName": "gpu.nvidia.com"}, count=2)
        assert [None] == [one.fix for one in found([mixed], "C01")]


class TestProvisioner:
    """C02."""

    @pytest.mark.parametrize(
        "labels",
        [
            {"karpenter.sh/nodepool": "gpu"},
            {"karpenter.sh/capacity-type": "on-demand"},
            {"karpenter.k8s.aws/instance-gpu-name": "h100"},
            {"karpenter.azure.com/sku-gpu-name": "A100"},
            {"eks.amazonaws.com/compute-type": "auto"},
            {"eks.amazonaws.com/instance-gpu-name": "h100"},
        ],
    )
    def test_bad(self, labels: dict[str, str]) -> None:
        """Nodes that Karpenter makes."""
        for manifest in (
            deployment(engine(nodeSelector=labels)),
            group(None, engine(nodeSelector=labels)),
        ):
            (one,) = found([manifest, template()], "C02")
            assert ("warning", "resourceClaims") == (one.level, one.path[-1])

    @pytest.mark.parametrize(
        "spec",
        [
            engine(),
            engine(nodeSelector={"cloud.google.com/gke-accelerator": "nvidia-l4"}),
            engine(nodeSelector={"eks.amazonaws.com/nodegroup": "gpu"}),
            engine(nodeSelector={"eks.amazonaws.com/compute-type": "ec2"}),
            pod_spec(nodeSelector={"karpenter.sh/nodepool": "gpu"}),
            # Another term allows nodes that are always there.
            engine(
                affinity={
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {
                                    "matchExpressions": [
                                        {"key": "karpenter.sh/nodepool", "operator": "Exists"}
                                    ]
                                },
                                {"matchExpressions": [{"key": "own", "operator": "Exists"}]},
                            ]
                        }
                    }
                }
            ),
            engine(
                affinity={
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {
                                    "matchExpressions": [
                                        {"key": "karpenter.sh/nodepool", "operator": "DoesNotExist"}
                                    ]
                                }
                            ]
                        }
                    }
                }
            ),
        ],
    )
    def test_good(self, spec: dict[str, Any]) -> None:
        """Other nodes, and pods without claims."""
        assert [] == sentences([deployment(spec)], "C02")
