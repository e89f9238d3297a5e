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
    return node(name, labels={}, gpus={})


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
