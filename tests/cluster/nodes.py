"""Nodes as GPU feature discovery, the device plugin and an operator's taint make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def node(name: str, *, labels: Mapping[str, str], gpus: Mapping[str, int]) -> Manifest:
    """A node that is ready; one with GPUs is tainted."""
    size = {"cpu": "128", "memory": "2Ti", "pods": "110", "ephemeral-storage": "4Ti"}
    capacity = size | {resource: str(count) for resource, count in gpus.items()}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "spec": {"taints": [GPU_TAINT] if gpus else []},
        "status": {"capacity": capacity, "allocatable": capacity, "conditions": [ready]},
    }


def gpu_node(name: str, product: str, count: int) -> Manifest:
    """A node with whole GPUs."""
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.count": str(count),
    }
    return node(name, labels=labels, gpus={"nvidia.com/gpu": count})


# A node of each platform as its pools make it, with one product that the platform has: labels,
# taints beside that of the GPU, and the labels of a spot pool. Values: facts of the platforms.
PLATFORMS: dict[str, tuple[str, dict[str, str], list[dict[str, str]], dict[str, str]]] = {
    "gke": (
        "NVIDIA-L4",
        {"cloud.google.com/gke-accelerator": "nvidia-l4"},
        [],
        {"cloud.google.com/gke-spot": "true"},
    ),
    "eks": (
        "NVIDIA-L40S",
        {"node.kubernetes.io/instance-type": "g6e.12xlarge"},
        [],
        {"eks.amazonaws.com/capacityType": "SPOT"},
    ),
    "karpenter": (
        "NVIDIA-A100-SXM4-80GB",
        {
            "karpenter.k8s.aws/instance-gpu-name": "a100",
            "karpenter.k8s.aws/instance-gpu-memory": "81920",
        },
        [],
        {"karpenter.sh/capacity-type": "spot"},
    ),
    "eks-auto-mode": (
        "NVIDIA-L4",
        {"eks.amazonaws.com/instance-gpu-name": "l4"},
        [],
        {"karpenter.sh/capacity-type": "spot"},
    ),
    "aks": (
        "NVIDIA-A100-80GB-PCIe",
        {
            "kubernetes.azure.com/accelerator": "nvidia",
            "node.kubernetes.io/instance-type": "Standard_NC48ads_A100_v4",
        },
        [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
        {"kubernetes.azure.com/scalesetpriority": "spot"},
    ),
    "ack": ("NVIDIA-A10", {"aliyun.accelerator/nvidia_name": "NVIDIA-A10"}, [], {}),
    "vke": ("NVIDIA-L20", {"machine.cluster.vke.volcengine.com/gpu-name": "NVIDIA-L20"}, [], {}),
    "coreweave": ("NVIDIA-H100-80GB-HBM3", {"gpu.nvidia.com/class": "H100_NVLINK_80GB"}, [], {}),
}


def platform_node(name: str, platform: str, *, spot: bool) -> Manifest:
    """A node of a platform, which has no labels of GPU feature discovery."""
    _, labels, taints, of_spot = PLATFORMS[platform]
    made = node(name, labels=labels | (of_spot if spot else {}), gpus={"nvidia.com/gpu": 4})
    made["spec"]["taints"] += taints
    if spot:
        # Pools of spot nodes may have their label as a taint, too.
        made["spec"]["taints"] += [
            {"key": key, "value": value, "effect": "NoSchedule"}
            for key, value in of_spot.items()
            if platform in ("gke", "aks")
        ]
    return made


def shared_node(name: str, product: str, gpus: int, replicas: int) -> Manifest:
    """A node whose GPUs are time-sliced: discovery says so in the product."""
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": f"{product}-SHARED",
        "nvidia.com/gpu.replicas": str(replicas),
        "nvidia.com/gpu.sharing-strategy": "time-slicing",
        "nvidia.com/gpu.count": str(gpus),
    }
    return node(name, labels=labels, gpus={"nvidia.com/gpu": gpus * replicas})


def mig_node(name: str, product: str, profile: str, slices: int) -> Manifest:
    """A node whose GPUs are cut into slices, with the strategy "mixed"."""
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": product,
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "mixed",
        f"nvidia.com/mig-{profile}.count": str(slices),
    }
    return node(
        name, labels=labels, gpus={"nvidia.com/gpu": 0, f"nvidia.com/mig-{profile}": slices}
    )


def cpu_node(name: str) -> Manifest:
    """A node without GPUs, that takes every pod that asks for none."""
    return node(name, labels={"kubernetes.io/arch": "amd64"}, gpus={})


def volume(claim: Mapping[str, Any]) -> Manifest:
    """A volume that some provisioner would make for a claim."""
    where = claim["metadata"]
    spec = claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{where['namespace']}-{where['name']}"},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": spec.get("storageClassName", ""),
            "claimRef": {"namespace": where["namespace"], "name": where["name"]},
            "persistentVolumeReclaimPolicy": "Delete",
            "nfs": {"server": "127.0.0.1", "path": "/weights"},
        },
    }


def condition(item: Manifest, kind: str) -> dict[str, Any]:
    """A condition of an object; empty if it has none of this type."""
    found: list[dict[str, Any]] = item.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == kind), {})
