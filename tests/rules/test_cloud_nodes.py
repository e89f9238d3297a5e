"""Rules of cloud nodes: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .pods import deployment, group, pod_spec

PRODUCT = {"nvidia.com/gpu.product": "NVIDIA-L40S"}
GKE = {"cloud.google.com/gke-accelerator": "nvidia-l4"}
POOL = {"karpenter.sh/nodepool": "gpu"}


def required(*terms: dict[str, list[str]]) -> dict[str, Any]:
    """Required node affinity."""
    expressions = [
        [{"key": key, "operator": "In", "values": values} for key, values in term.items()]
        for term in terms
    ]
    selector = {"nodeSelectorTerms": [{"matchExpressions": one} for one in expressions]}
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": selector}
    return {"affinity": {"nodeAffinity": affinity}}


class TestLabels:
    """W01."""

    @pytest.mark.parametrize(
        ("fields", "word"),
        [
            ({"nodeSelector": POOL | PRODUCT}, "a provisioner makes"),
            ({"nodeSelector": {"karpenter.sh/capacity-type": "spot"} | PRODUCT}, "makes none"),
            (
                {"nodeSelector": {"eks.amazonaws.com/compute-type": "auto"} | PRODUCT},
                "eks.amazonaws.com/instance-gpu-name",
            ),
            ({"nodeSelector": {"karpenter.azure.com/sku-name": "x"} | PRODUCT}, "sku-gpu-name"),
            (
                {"nodeSelector": POOL, **required({"nvidia.com/gpu.memory": ["46068"]})},
                "gpu.memory",
            ),
            ({"nodeSelector": GKE | PRODUCT}, "GKE's nodes do not have"),
            ({"nodeSelector": GKE | {"eks.amazonaws.com/nodegroup": "x"}}, "no node has both"),
            (
                required(
                    {
                        **{key: [one] for key, one in GKE.items()},
                        "karpenter.k8s.aws/instance-family": ["g6"],
                    }
                ),
                "no node has both",
            ),
            ({"nodeSelector": {"cloud.google.com/gke-accelerator": "NVIDIA-L4"}}, "nvidia-l4"),
            ({"nodeSelector": {"cloud.google.com/gke-accelerator": "h100"}}, "begin with nvidia-"),
            ({"nodeSelector": {"cloud.google.com/gke-accelerator": "tesla-t4"}}, "begin with"),
            (
                {"nodeSelector": {"kubernetes.azure.com/accelerator": "nvidia-a100"}},
                "only the vendor",
            ),
            ({"nodeSelector": {"karpenter.k8s.aws/instance-gpu-name": "A100"}}, "lower case"),
            ({"nodeSelector": {"eks.amazonaws.com/instance-gpu-name": "NVIDIA-L4"}}, "lower case"),
        ],
    )
    def test_bad(self, fields: dict[str, Any], word: str) -> None:
        """Labels that no node of the platform has, or that it has too late."""
        for manifest in (deployment(pod_spec(**fields)), group(None, pod_spec(**fields))):
            (one,) = found([manifest], "W01")
            assert "warning" == one.level
            assert word in one.problem.sentence()
            assert {"nodeSelector", "affinity"} & set(one.path)

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"nodeSelector": PRODUCT},
            {"nodeSelector": GKE},
            {"nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-rtx-pro-6000"}},
            {"nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-h100-mega-80gb"}},
            {"nodeSelector": {"cloud.google.com/gke-accelerator": "${ACCELERATOR}"}},
            {"nodeSelector": {"cloud.google.com/compute-class": "gpu"} | GKE},
            {"nodeSelector": POOL},
            {"nodeSelector": POOL | {"karpenter.k8s.aws/instance-gpu-name": "l40s"}},
            {"nodeSelector": POOL | {"eks.amazonaws.com/instance-gpu-name": "l40s"}},
            {"nodeSelector": POOL | {"nvidia.com/gpu": "true"}},
            {"nodeSelector": POOL | {"nvidia.com/gpu.present": "true"}},
            # Managed nodes and AKS usually have feature discovery.
            {"nodeSelector": {"eks.amazonaws.com/nodegroup": "gpu"} | PRODUCT},
            {"nodeSelector": {"kubernetes.azure.com/accelerator": "nvidia"} | PRODUCT},
            {
                "nodeSelector": {
                    "kubernetes.azure.com/agentpool": "gpu",
                    "karpenter.sh/nodepool": "x",
                }
            },
            # One of the terms has nodes.
            required({"cloud.google.com/gke-accelerator": ["h100"]}, {"pool": ["gpu"]}),
            required({"cloud.google.com/gke-accelerator": ["nvidia-l4", "H100"]}),
        ],
    )
    def test_good(self, fields: dict[str, Any]) -> None:
        """Labels of one platform, with values that it may have."""
        assert [] == sentences([deployment(pod_spec(**fields))], "W01")

    def test_pools(self) -> None:
        """A pool in the manifests may set the label."""
        pool = {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": "gpu"},
            "spec": {"template": {"metadata": {"labels": PRODUCT}}},
        }
        workload = deployment(pod_spec(nodeSelector=POOL | PRODUCT))
        assert [] == ids([pool, workload], "W01")
        pool["spec"] = {"template": {"spec": {"requirements": [{"key": "nvidia.com/gpu.product"}]}}}
        assert [] == ids([pool, workload], "W01")
        pool["spec"] = {"template": {"spec": {"requirements": [{"key": "other"}, None]}}}
        assert ["W01"] == ids([pool, workload], "W01")

    def test_daemon_set(self) -> None:
        """Pods of a DaemonSet follow nodes."""
        workload = deployment(pod_spec(nodeSelector=POOL | PRODUCT))
        assert [] == ids([{**workload, "kind": "DaemonSet"}], "W01")


def draining(*args: str, pause: int = 0, **fields: Any) -> dict[str, Any]:
    """A Deployment of an engine that drains."""
    hook = {"lifecycle": {"preStop": {"sleep": {"seconds": pause}}}} if pause else {}
    return deployment(pod_spec("a/b", *args, container=hook, **fields))


GKE_SPOT = {"cloud.google.com/gke-spot": "true"}
KARPENTER_SPOT = {"karpenter.sh/capacity-type": "spot"}
AKS_SPOT = {"key": "kubernetes.azure.com/scalesetpriority", "effect": "NoSchedule"}


class TestNotice:
    """W02."""

    @pytest.mark.parametrize(
        ("manifest", "word"),
        [
            (draining("--shutdown-timeout=60", nodeSelector=GKE_SPOT), "15 seconds"),
            (draining("--shutdown-timeout", "300", nodeSelector=KARPENTER_SPOT), "120 seconds"),
            (draining("--shutdown-timeout=110", pause=15, nodeSelector=KARPENTER_SPOT), "takes 15"),
            (draining(pause=60, nodeSelector=GKE_SPOT), "preStop takes 60"),
            (
                draining(
                    "--shutdown-timeout=300",
                    nodeSelector={"eks.amazonaws.com/capacityType": "SPOT"},
                ),
                "EKS managed nodes",
            ),
            (
                draining(
                    "--shutdown-timeout=300",
                    **required({"karpenter.sh/capacity-type": ["spot", "on-demand"]}),
                ),
                "allows spot nodes",
            ),
            (
                draining("--shutdown-timeout=60", tolerations=[{**AKS_SPOT, "value": "spot"}]),
                "AKS",
            ),
            (
                draining("--shutdown-timeout=60", tolerations=[{**AKS_SPOT, "operator": "Exists"}]),
                "tolerations",
            ),
        ],
    )
    def test_bad(self, manifest: dict[str, Any], word: str) -> None:
        """A drain that is longer than the notice."""
        (one,) = found([manifest], "W02")
        assert "warning" == one.level
        assert word in one.problem.sentence()

    @pytest.mark.parametrize(
        "manifest",
        [
            draining("--shutdown-timeout=300"),
            draining(nodeSelector=GKE_SPOT),
            draining("--shutdown-timeout=10", nodeSelector=GKE_SPOT),
            draining("--shutdown-timeout=90", pause=15, nodeSelector=KARPENTER_SPOT),
            # The pause of load balancers alone.
            draining(pause=15, nodeSelector=GKE_SPOT),
            draining("--shutdown-timeout=$(DRAIN)", nodeSelector=GKE_SPOT),
            draining("--shutdown-timeout=300", nodeSelector={"cloud.google.com/gke-spot": "false"}),
            draining(
                "--shutdown-timeout=300", nodeSelector={"karpenter.sh/capacity-type": "on-demand"}
            ),
            draining("--shutdown-timeout=300", nodeSelector={"spot": "true"}),
            draining("--shutdown-timeout=300", tolerations=[{**AKS_SPOT, "value": "regular"}]),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """Short drains, and nodes that stay."""
        assert [] == sentences([manifest], "W02")
