"""Accelerators: what a pod gets to run its engine on.

Each kind knows its resource name, the labels of the nodes that have it and what may not be
combined with it. Products and MIG profiles are those that the NVIDIA driver and GPU feature
discovery report (k8s-device-plugin, `nvidia.com/gpu.product`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, TypedDict, cast

from vllm_constructs import require
from vllm_constructs.errors import refuse

PRODUCT = "nvidia.com/gpu.product"
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


class _Mig(TypedDict):
    resource: str
    config: str
    count: int
    gib: float


class _Product(TypedDict):
    memory_mib: int
    nvlink: bool
    mig: dict[str, _Mig]


@cache
def catalogue() -> dict[str, _Product]:
    """The products that this library knows, by their `nvidia.com/gpu.product` label."""
    path = Path(__file__).parents[1] / "data" / "accelerators.json"
    return cast("dict[str, _Product]", json.loads(path.read_text(encoding="utf-8")))


def _product(where: str, product: object, memory_mib: int | None = None) -> int:
    """The memory of a known product in MiB; an unknown one needs `memory_mib`."""
    if not isinstance(product, str) or not _LABEL.fullmatch(product):
        require.wrong(where, product, "a product as nodes are labelled, such as 'NVIDIA-L40S'")
    if memory_mib is not None:
        return require.integer(
            f"{where.rsplit('.', 1)[0]}.memory_mib", memory_mib, 1024, 2**24, "MiB"
        )
    if product not in catalogue():
        alike = [repr(name) for name in sorted(catalogue()) if product.lower() in name.lower()]
        near = f"did you mean {' or '.join(alike)}?" if len(alike) > 1 else ""
        near = near or require.nearest(product, catalogue())
        refuse(
            f"{where} is {product!r}, a GPU that is not in the catalogue; "
            f"{near + ' Else give' if near else 'give'} its memory_mib= to use it all the same."
        )
    return catalogue()[product]["memory_mib"]


def _check_labels(where: str, labels: dict[str, str]) -> None:
    for key, value in labels.items():
        if len(value) > 63:
            refuse(
                f"{where} needs nodes with {key}={value!r}, {len(value)} characters long, and "
                "Kubernetes takes 63 in a label; let the device plugin name resources instead "
                "(strategy='mixed', or renamed=True)."
            )


def _is_one(count: object) -> bool:
    # Neither True nor 1.0: the number is written into the manifest as it is.
    return isinstance(count, int) and not isinstance(count, bool) and count == 1


@dataclass(frozen=True)
class WholeGpu:
    """One or more whole GPUs of one product.

    Args:
        product: Value of the node label `nvidia.com/gpu.product`.
        count: GPUs per pod, default 1. The engine is split over all of them.
        memory_mib: Memory of one GPU in MiB, only for a product that the catalogue lacks.

    Raises:
        VllmConstructsError: Unknown product (the nearest one is named) or a bad count.
    """

    product: str
    count: int = field(default=1, kw_only=True)
    memory_mib: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _product("WholeGpu.product", self.product, self.memory_mib)
        require.integer("WholeGpu.count", self.count, 1, 16, "GPUs")

    @property
    def resource(self) -> str:
        """`nvidia.com/gpu`."""
        return "nvidia.com/gpu"

    @property
    def node_labels(self) -> dict[str, str]:
        """The product, without the suffixes that shared and MIG nodes have."""
        return {PRODUCT: self.product}

    @property
    def parallel(self) -> bool:
        """Whole GPUs can work on one engine."""
        return True

    @property
    def share(self) -> float:
        """All of the memory."""
        return 1.0


@dataclass(frozen=True)
class MigSlice:
    """One MIG slice of a GPU.

    Slices have no peer-to-peer access and CUDA sees one of them per process, so an engine uses
    exactly one: more throughput is more replicas, a larger model is a larger profile.

    Args:
        profile: MIG profile, such as `1g.10gb`.
        product: GPU that is sliced. Default: any GPU that has the profile (mixed strategy only).
        count: Always 1.
        strategy: `mig.strategy` of the device plugin: `"mixed"` (default) names the profile in
            the resource, `"single"` calls every slice `nvidia.com/gpu`.

    Raises:
        VllmConstructsError: Unknown profile or product (the nearest one is named), or a count
            other than 1.
    """

    profile: str
    product: str | None = field(default=None, kw_only=True)
    count: int = field(default=1, kw_only=True)
    strategy: Literal["mixed", "single"] = field(default="mixed", kw_only=True)

    def __post_init__(self) -> None:
        require.choice("MigSlice.strategy", self.strategy, ("mixed", "single"))
        profiles = {p: gpu for gpu, item in catalogue().items() for p in item["mig"]}
        of = ""
        if self.product is not None:
            _product("MigSlice.product", self.product)
            profiles = dict.fromkeys(catalogue()[self.product]["mig"], self.product)
            of = f" of {self.product}"
            if not profiles:
                refuse(f"MigSlice.product is {self.product!r}, which has no MIG; give WholeGpu.")
        elif self.strategy == "single":
            refuse("MigSlice.product is missing; with strategy='single' only it selects the node.")
        if not isinstance(self.profile, str) or self.profile not in profiles:
            near = require.nearest(self.profile, profiles)
            allowed = f"a MIG profile{of} ({', '.join(sorted(profiles))})"
            if self.product is None:
                allowed = "a MIG profile such as '1g.10gb'"
            require.wrong("MigSlice.profile", self.profile, allowed, near)
        if not _is_one(self.count):
            require.wrong(
                "MigSlice.count",
                self.count,
                "1, since slices have no peer-to-peer access and an engine uses one",
                "use more replicas, or a larger profile",
            )
        _check_labels("MigSlice", self.node_labels)

    @property
    def _data(self) -> _Mig:
        gpus = catalogue().values() if self.product is None else [catalogue()[self.product]]
        return next(gpu["mig"][self.profile] for gpu in gpus if self.profile in gpu["mig"])

    @property
    def resource(self) -> str:
        """`nvidia.com/mig-<profile>`, or `nvidia.com/gpu` with the single strategy."""
        return self._data["resource"] if self.strategy == "mixed" else "nvidia.com/gpu"

    @property
    def node_labels(self) -> dict[str, str]:
        """The product, where one is given; GPU feature discovery marks single-strategy nodes."""
        if self.product is None:
            return {}
        suffix = "" if self.strategy == "mixed" else f"-MIG-{self.profile.replace('+', '.')}"
        return {PRODUCT: self.product + suffix}

    @property
    def mig_config(self) -> dict[str, str]:
        """The label that makes the MIG manager cut a node's GPUs into slices of this profile."""
        return {"nvidia.com/mig.config": self._data["config"]}

    @property
    def parallel(self) -> bool:
        """Slices cannot work on one engine."""
        return False

    @property
    def share(self) -> float:
        """All of the slice's memory."""
        return 1.0


@dataclass(frozen=True)
class TimeSlicedGpu:
    """A GPU that several pods share, by time-slicing or MPS; for development and tests.

    Time-slicing does not divide the memory, so each engine may use its share only:
    `gpu_memory_utilization` is derived, and refused above 1 / replicas.

    Args:
        product: Value of `nvidia.com/gpu.product` without a suffix.
        replicas: Pods that share one GPU, as in the device plugin's configuration; default 4.
        sharing: `"time-slicing"` (default) or `"mps"`.
        renamed: The device plugin runs with `renameByDefault`: the resource is
            `nvidia.com/gpu.shared`. Default False.
        count: Always 1.
        memory_mib: Memory of the GPU in MiB, only for a product that the catalogue lacks.

    Raises:
        VllmConstructsError: Unknown product, or a count other than 1.
    """

    product: str
    replicas: int = field(default=4, kw_only=True)
    sharing: Literal["time-slicing", "mps"] = field(default="time-slicing", kw_only=True)
    renamed: bool = field(default=False, kw_only=True)
    count: int = field(default=1, kw_only=True)
    memory_mib: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _product("TimeSlicedGpu.product", self.product, self.memory_mib)
        require.integer("TimeSlicedGpu.replicas", self.replicas, 2, 48)
        require.choice("TimeSlicedGpu.sharing", self.sharing, ("time-slicing", "mps"))
        require.boolean("TimeSlicedGpu.renamed", self.renamed)
        if not _is_one(self.count):
            allowed = "1, since two shares may be of the same GPU"
            require.wrong("TimeSlicedGpu.count", self.count, allowed, "use WholeGpu for more")
        _check_labels("TimeSlicedGpu", self.node_labels)

    @property
    def resource(self) -> str:
        """`nvidia.com/gpu`, or `nvidia.com/gpu.shared` where the plugin renames it."""
        return "nvidia.com/gpu.shared" if self.renamed else "nvidia.com/gpu"

    @property
    def node_labels(self) -> dict[str, str]:
        """The product; `-SHARED` is its suffix on nodes whose plugin does not rename."""
        return {PRODUCT: self.product if self.renamed else f"{self.product}-SHARED"}

    @property
    def parallel(self) -> bool:
        """Shares of one GPU cannot work on one engine."""
        return False

    @property
    def share(self) -> float:
        """The part of the memory that is this pod's; MPS limits each client by itself."""
        return 1 / self.replicas if self.sharing == "time-slicing" else 1.0

    def device_plugin_config(self) -> dict[str, object]:
        """The device plugin's configuration that makes such shares.

        With time-slicing the plugin refuses requests for more than one share
        (`failRequestsGreaterThanOne`), since two may be of the same GPU.
        """
        sharing: dict[str, object] = {
            "renameByDefault": self.renamed,
            "resources": [{"name": "nvidia.com/gpu", "replicas": self.replicas}],
        }
        if self.sharing == "mps":
            return {"version": "v1", "sharing": {"mps": sharing}}
        sharing["failRequestsGreaterThanOne"] = True
        return {"version": "v1", "sharing": {"timeSlicing": sharing}}


@dataclass(frozen=True)
class VirtualGpu:
    """A virtual GPU of NVIDIA vGPU software, in a virtual machine that is a node.

    Args:
        product: Value of `nvidia.com/gpu.product` on such a node, for example
            `GRID-A100D-40C`. Default: any node with a vGPU.
        count: Always 1: virtual GPUs have no peer-to-peer access in general.
        memory_mib: Memory of the profile in MiB, where known.

    Raises:
        VllmConstructsError: A malformed product, or a count other than 1.
    """

    product: str | None = None
    count: int = field(default=1, kw_only=True)
    memory_mib: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.product is not None:
            _product("VirtualGpu.product", self.product, 1024)
        if self.memory_mib is not None:
            require.integer("VirtualGpu.memory_mib", self.memory_mib, 1024, 2**24, "MiB")
        if not _is_one(self.count):
            require.wrong("VirtualGpu.count", self.count, "1", "use more replicas, or WholeGpu")

    @property
    def resource(self) -> str:
        """`nvidia.com/gpu`."""
        return "nvidia.com/gpu"

    @property
    def node_labels(self) -> dict[str, str]:
        """`nvidia.com/vgpu.present`, and the product where one is given."""
        product = {} if self.product is None else {PRODUCT: self.product}
        return product | {"nvidia.com/vgpu.present": "true"}

    @property
    def parallel(self) -> bool:
        """Virtual GPUs are not taken to work on one engine."""
        return False

    @property
    def share(self) -> float:
        """All of the profile's memory."""
        return 1.0


KINDS = (WholeGpu, MigSlice, TimeSlicedGpu, VirtualGpu)
