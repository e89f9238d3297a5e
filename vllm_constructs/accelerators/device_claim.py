"""DeviceClaim: GPUs that Kubernetes allocates by dynamic resource allocation (DRA).

Source: NVIDIA's DRA driver 0.4.1; Kubernetes docs, "Dynamic Resource Allocation".
"""

from __future__ import annotations

import json
from dataclasses import field
from hashlib import sha256
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube import names

from .nvidia import MigSlice, NvidiaGpu, WholeGpu, check_product, check_profile
from .products import NvidiaProduct

NAME = "gpu"
"""Name of the claim in the pod, and of the request in the claim."""
CLASSES = {"gpu": "gpu.nvidia.com", "mig": "mig.nvidia.com"}
_DRIVER = "gpu.nvidia.com"


@dataclass(frozen=True)
class DeviceClaim(NvidiaGpu):
    """NVIDIA GPUs, or a MIG slice, that NVIDIA's DRA driver allocates; since Kubernetes 1.34.

    Nodes with the driver have no device plugin, so pods with `WholeGpu` do not run there.
    Time-slicing, MPS and MIG slices that are created on demand are alpha in the driver. A claim
    that several pods share does not divide the GPU, so `--gpu-memory-utilization` limits each
    engine to its part of the memory.

    Args:
        product: Value of the node label `nvidia.com/gpu.product`, from which the driver's product
            name follows. Default: any GPU, whose memory is not known.
        count: GPUs per pod. Default 1.
        profile: MIG profile of a slice that exists already, such as `1g.10gb`. Default: whole
            GPUs.
        shared_by: Pods that use the GPU at the same time, by one claim. Default 1: each pod has a
            claim of its own.
        resource_claim: Name of a ResourceClaim that exists already, such as one for pods of several
            models. Default: the model makes its own.

    Raises:
        VllmConstructsError: An unknown product or profile, or several parts of one GPU.
    """

    product: NvidiaProduct | None = None
    # A field here, but a property in the base class.
    count: int = field(default=1, kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]
    profile: str | None = field(default=None, kw_only=True)
    shared_by: int = field(default=1, kw_only=True)
    resource_claim: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        require.integer("DeviceClaim.shared_by", self.shared_by, 1, 48, "pods")
        require.integer("DeviceClaim.count", self.count, 1, 16, "GPUs")
        if self.resource_claim is not None:
            names.subdomain("DeviceClaim.resource_claim", self.resource_claim)
        if self.product is not None:
            check_product("DeviceClaim.product", self.product)
        if self.profile is not None:
            self._check_profile()
        elif self.count > self.most:
            refuse(
                Problem(
                    where="DeviceClaim.count",
                    text=f"is {self.count}, but no node has more than {self.most} {self.product}",
                    value=str(self.count),
                    advice=f"give at most {self.most}; an engine over several nodes needs a pod "
                    "on each",
                )
            )
        is_part = self.profile is not None or self.shared_by > 1
        if is_part and self.count > 1:
            what = "slice" if self.profile is not None else "shared GPU"
            text = f"is {self.count}, but an engine can use only one {what}"
            refuse(Problem(where="DeviceClaim.count", text=text, advice="leave it out"))

    def _check_profile(self) -> None:
        if self.product is None:
            text = "is missing, but the memory of the slice follows from it"
            refuse(Problem(where="DeviceClaim.product", text=text, advice="give the product"))
        check_profile("DeviceClaim", self.product, self.profile)

    @property
    def resource(self) -> None:
        """None: the container refers to the claim instead."""
        return

    @property
    def node_labels(self) -> dict[str, str]:
        """None: the claim selects devices, and thereby nodes."""
        return {}

    @property
    def parallel(self) -> bool:
        """True for whole GPUs."""
        return self.profile is None and self.shared_by == 1

    @property
    def most(self) -> int:
        """The GPUs of a node."""
        return WholeGpu(self.product).most if self.profile is None else 1

    @property
    def share(self) -> float:
        """1 / shared_by."""
        return 1 / self.shared_by

    @property
    def mig_slice(self) -> MigSlice | None:
        """The slice; None for whole GPUs."""
        return None if self.profile is None else MigSlice(self.profile, product=self.product)

    @property
    def is_one(self) -> bool:
        """Whether all pods use one claim."""
        return self.shared_by > 1 or self.resource_claim is not None

    def spec(self) -> dict[str, Any]:
        """The `spec` of the ResourceClaim, or of the claims that its template makes."""
        kind = "gpu" if self.profile is None else "mig"
        conditions = []
        if self.product is not None:
            # The driver has the name with spaces, and the label has dashes in their place.
            name = f"device.attributes['{_DRIVER}'].productName"
            conditions.append(f"{name}.replace(' ', '-') == '{self.product}'")
        if self.profile is not None:
            conditions.append(f"device.attributes['{_DRIVER}'].profile == '{self.profile}'")
        exactly: dict[str, Any] = {
            "deviceClassName": CLASSES[kind],
            "allocationMode": "ExactCount",
            "count": self.count,
        }
        if conditions:
            exactly["selectors"] = [{"cel": {"expression": " && ".join(conditions)}}]
        return {"devices": {"requests": [{"name": NAME, "exactly": exactly}]}}

    def object_name(self, workload: str) -> str:
        """Name of the claim or its template, with a checksum of its spec, which cannot be changed.

        Args:
            workload: Name of the workload.
        """
        if self.resource_claim is not None:
            return self.resource_claim
        checksum = sha256(json.dumps(self.spec(), sort_keys=True).encode()).hexdigest()[:8]
        return f"{names.sanitized(workload, 50)}-{checksum}"

    def manifest(self, workload: str) -> dict[str, Any] | None:
        """The ResourceClaimTemplate or, for pods that share, the ResourceClaim; None if it exists.

        Args:
            workload: Name of the workload.
        """
        if self.resource_claim is not None:
            return None
        spec = self.spec()
        return {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaim" if self.is_one else "ResourceClaimTemplate",
            "metadata": {"name": self.object_name(workload)},
            "spec": spec if self.is_one else {"spec": spec},
        }

    def pod_claim(self, workload: str) -> dict[str, str]:
        """The entry of `resourceClaims` of the pod.

        Args:
            workload: Name of the workload.
        """
        key = "resourceClaimName" if self.is_one else "resourceClaimTemplateName"
        return {"name": NAME, key: self.object_name(workload)}
