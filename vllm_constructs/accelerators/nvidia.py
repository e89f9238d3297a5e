"""NVIDIA GPUs: whole ones, MIG slices, shared ones and virtual ones.

Products and MIG profiles are those that the NVIDIA driver and GPU feature discovery report
(k8s-device-plugin, `nvidia.com/gpu.product`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypedDict, cast

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse

from .accelerator import Accelerator
from .products import NvidiaProduct

PRODUCT = "nvidia.com/gpu.product"
MOST_GPUS = 16
"""GPUs per pod at most."""

_PROFILE = re.compile(r"([1-9]g)\.([1-9][0-9]{0,2})gb", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


class _Mig(TypedDict):
    resource: str
    config: str
    count: int
    gib: float


class _Product(TypedDict):
    compute_capability: str
    memory_mib: int
    memory_gb_per_second: int
    nvlink: bool
    per_node: int
    mig: dict[str, _Mig]


Capability: TypeAlias = tuple[int, int]


@cache
def catalog() -> dict[str, _Product]:
    """The known products, by the value of their `nvidia.com/gpu.product` label."""
    path = Path(__file__).parents[1] / "data" / "accelerators.json"
    return cast("dict[str, _Product]", json.loads(path.read_text(encoding="utf-8")))


def _nearest_profile(profile: object, profiles: Iterable[str]) -> str:
    """The profile of as many slices that has the closest memory, as advice."""
    match = _PROFILE.fullmatch(profile.lower()) if isinstance(profile, str) else None
    if match is None:
        return ""
    same = [
        (abs(int(found[2]) - int(match[2])), one)
        for one in profiles
        if (found := _PROFILE.fullmatch(one)) and found[1] == match[1]
    ]
    return f"did you mean {min(same)[1]!r}?" if same else ""


def check_product(where: str, product: object, memory_mib: int | None = None) -> int:
    """The memory of a product in MiB; one that the catalog lacks needs `memory_mib`.

    Args:
        where: Name of the option.
        product: Its value.
        memory_mib: The memory that is given beside it. Default: none.

    Raises:
        VllmConstructsError: No product, or one that the catalog lacks.
    """
    if not isinstance(product, str) or not _LABEL.fullmatch(product):
        require.wrong(where, product, f"a value of the node label {PRODUCT}, such as 'NVIDIA-L40S'")
    if memory_mib is not None:
        return require.integer(
            f"{where.rsplit('.', 1)[0]}.memory_mib", memory_mib, 1024, 2**24, "MiB"
        )
    if product not in catalog():
        # Few names are wrong, so what they mean is not loaded with all that are right.
        from .product_names import either, products_of

        memories = {name: one["memory_mib"] for name, one in catalog().items()}
        near = either(products_of(product, memories))
        owner = where.rsplit(".", 1)[0]
        own = f"if nodes have that label, give {{{owner}.memory_mib}} too"
        # The memory of a slice follows from its profile, and a driver's name from the product.
        if owner in ("MigSlice", "DeviceClaim"):
            advice = near or "give a product that has MIG"
            if owner == "DeviceClaim":
                advice = near or f"known are {', '.join(catalog())}"
        else:
            advice = f"{near} {own[0].upper()}{own[1:]}" if near else own
        refuse(
            Problem(
                where=where,
                text=f"is {product!r}, a GPU that is not in the catalog",
                value=repr(product),
                advice=advice,
            )
        )
    return catalog()[product]["memory_mib"]


def check_profile(owner: str, product: str | None, profile: object) -> None:
    """Reject what is no MIG profile of a product, or of any.

    Args:
        owner: The class that has both.
        product: The product, if it is given.
        profile: The profile.

    Raises:
        VllmConstructsError: The product has no MIG, or not this profile.
    """
    profiles = {p: gpu for gpu, item in catalog().items() for p in item["mig"]}
    allowed = "a MIG profile such as '1g.10gb'"
    if product is not None:
        profiles = dict.fromkeys(catalog()[product]["mig"], product)
        if not profiles:
            refuse(
                Problem(
                    where=f"{owner}.product",
                    text=f"is {product!r}, which has no MIG",
                    value=repr(product),
                    advice="use {WholeGpu}",
                )
            )
        allowed = f"a MIG profile of {product} ({', '.join(sorted(profiles))})"
    if not isinstance(profile, str) or profile not in profiles:
        near = _nearest_profile(profile, profiles)
        require.wrong(f"{owner}.profile", profile, allowed, near)


def _check_labels(where: str, product: str | None, labels: dict[str, str], other: str) -> None:
    """Reject a product whose nodes would have a label that is too long.

    Args:
        where: Name of the product's option.
        product: The product.
        labels: Labels of the nodes.
        other: The option, in a template, with which the resource has a name of its own.
    """
    for key, value in labels.items():
        if len(value) > 63:
            refuse(
                Problem(
                    where=where,
                    text=(
                        f"is {product!r}, and the node label {key} would be {value!r}, "
                        f"{len(value)} characters long, but Kubernetes allows 63"
                    ),
                    value=repr(product),
                    advice=f"let the device plugin name the resource instead, with {other}",
                )
            )


class NvidiaGpu(Accelerator):
    """The base class of NVIDIA's kinds."""

    product: str | None
    memory_mib: int | None = None

    @property
    def device_mib(self) -> int | None:
        """Memory of one GPU in MiB, before it is divided; None if it is not known."""
        known = catalog().get(self.product or "")
        return known["memory_mib"] if self.memory_mib is None and known else self.memory_mib

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """The toleration of `nvidia.com/gpu`, the usual taint of GPU nodes."""
        return [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


@dataclass(frozen=True)
class WholeGpu(NvidiaGpu):
    """One or more whole GPUs of one product.

    Args:
        product: Value of the node label `nvidia.com/gpu.product`. Default: any GPU of the cluster,
            whose memory is not known, so that no memory plan can be made.
        count: GPUs per pod, from 1 to those that a node of the product has (8 for most). Default
            1. The engine is split over all of them.
        memory_mib: Memory of one GPU in MiB, needed for a product that the catalog lacks.
            Default: as in the catalog.

    Raises:
        VllmConstructsError: An unknown product (the error names the nearest one), or an invalid
            `count` or `memory_mib`.
    """

    product: NvidiaProduct | None = None
    # A field may be what is a property by default.
    count: int = field(default=1, kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]
    memory_mib: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.product is not None:
            check_product("WholeGpu.product", self.product, self.memory_mib)
        elif self.memory_mib is not None:
            require.integer("WholeGpu.memory_mib", self.memory_mib, 1024, 2**24, "MiB")
        require.integer("WholeGpu.count", self.count, 1, MOST_GPUS, "GPUs")
        if self.count > self.most:
            refuse(
                Problem(
                    where="WholeGpu.count",
                    text=f"is {self.count}, but no node has more than {self.most} {self.product}",
                    value=str(self.count),
                    advice=f"give at most {self.most}; an engine over several nodes needs a pod "
                    "on each",
                )
            )

    @property
    def most(self) -> int:
        """The GPUs of a node; for a product that the catalog lacks, 16."""
        known = catalog().get(self.product or "")
        return MOST_GPUS if known is None else known["per_node"]

    @property
    def resource(self) -> str:
        """`nvidia.com/gpu`."""
        return "nvidia.com/gpu"

    @property
    def node_labels(self) -> dict[str, str]:
        """The product, without the suffixes that shared and MIG nodes have; none for any GPU."""
        return {} if self.product is None else {PRODUCT: self.product}

    @property
    def parallel(self) -> bool:
        """True: one engine can use several whole GPUs."""
        return True


@dataclass(frozen=True)
class MigSlice(NvidiaGpu):
    """One MIG slice of a GPU.

    Slices have no peer-to-peer access and CUDA sees one of them per process, so an engine uses
    exactly one. More throughput needs more replicas; a larger model needs a larger profile.

    Args:
        profile: MIG profile, such as `1g.10gb`.
        product: GPU that is sliced. Default: any GPU that has the profile (mixed strategy only).
        strategy: `mig.strategy` of the device plugin: `"mixed"` (default) names the profile in
            the resource, `"single"` names every slice `nvidia.com/gpu`.

    Raises:
        VllmConstructsError: An unknown profile or product (the error names the nearest one).
    """

    profile: str
    product: NvidiaProduct | None = field(default=None, kw_only=True)
    strategy: Literal["mixed", "single"] = field(default="mixed", kw_only=True)

    def __post_init__(self) -> None:
        require.choice("MigSlice.strategy", self.strategy, ("mixed", "single"))
        if self.product is not None:
            check_product("MigSlice.product", self.product)
        elif self.strategy == "single":
            refuse(
                Problem(
                    where="MigSlice.product",
                    text="is missing, but only it selects the nodes with {strategy='single'}",
                    advice="specify it",
                )
            )
        check_profile("MigSlice", self.product, self.profile)
        other = "{MigSlice.strategy='mixed'}"
        _check_labels("MigSlice.product", self.product, self.node_labels, other)

    @property
    def _data(self) -> _Mig:
        gpus = catalog().values() if self.product is None else [catalog()[self.product]]
        return next(gpu["mig"][self.profile] for gpu in gpus if self.profile in gpu["mig"])

    @property
    def resource(self) -> str:
        """`nvidia.com/mig-<profile>`, or `nvidia.com/gpu` with the single strategy."""
        return self._data["resource"] if self.strategy == "mixed" else "nvidia.com/gpu"

    @property
    def node_labels(self) -> dict[str, str]:
        """The product, if given; GPU feature discovery adds a suffix with the single strategy."""
        if self.product is None:
            return {}
        suffix = "" if self.strategy == "mixed" else f"-MIG-{self.profile.replace('+', '.')}"
        return {PRODUCT: self.product + suffix}

    @property
    def mig_config(self) -> dict[str, str]:
        """The label that makes the MIG manager cut a node's GPUs into slices of this profile."""
        return {"nvidia.com/mig.config": self._data["config"]}


@dataclass(frozen=True)
class TimeSlicedGpu(NvidiaGpu):
    """A GPU that several pods share, by time-slicing or MPS; for development and tests.

    Time-slicing does not divide the memory, so each engine may use only its share:
    `gpu_memory_utilization` is derived, and rejected above 1 / replicas.

    Args:
        product: Value of `nvidia.com/gpu.product` without a suffix.
        replicas: Pods that share one GPU, from 2 to 48, as in the device plugin's configuration.
            Default 4.
        sharing: `"time-slicing"` (default) or `"mps"`.
        renamed: Whether the device plugin runs with `renameByDefault`, so that the resource is
            `nvidia.com/gpu.shared`. Default False.
        memory_mib: Memory of the GPU in MiB, needed for a product that the catalog lacks.
            Default: as in the catalog.

    Raises:
        VllmConstructsError: An unknown product (the error names the nearest one), or an invalid
            `replicas`, `sharing`, `renamed` or `memory_mib`.
    """

    # Frozen, so that it may be narrower.
    product: NvidiaProduct  # pyright: ignore[reportIncompatibleVariableOverride]
    replicas: int = field(default=4, kw_only=True)
    sharing: Literal["time-slicing", "mps"] = field(default="time-slicing", kw_only=True)
    renamed: bool = field(default=False, kw_only=True)
    memory_mib: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_product("TimeSlicedGpu.product", self.product, self.memory_mib)
        require.integer("TimeSlicedGpu.replicas", self.replicas, 2, 48)
        require.choice("TimeSlicedGpu.sharing", self.sharing, ("time-slicing", "mps"))
        require.boolean("TimeSlicedGpu.renamed", self.renamed)
        other = "{TimeSlicedGpu.renamed=True}"
        _check_labels("TimeSlicedGpu.product", self.product, self.node_labels, other)

    @property
    def resource(self) -> str:
        """`nvidia.com/gpu`, or `nvidia.com/gpu.shared` if the device plugin renames it."""
        return "nvidia.com/gpu.shared" if self.renamed else "nvidia.com/gpu"

    @property
    def node_labels(self) -> dict[str, str]:
        """The product, with the suffix `-SHARED` if the device plugin renames no resource."""
        return {PRODUCT: self.product if self.renamed else f"{self.product}-SHARED"}

    @property
    def share(self) -> float:
        """1 / replicas with time-slicing; 1.0 with MPS, which limits each client itself."""
        return 1 / self.replicas if self.sharing == "time-slicing" else 1.0

    def device_plugin_config(self) -> dict[str, object]:
        """The device plugin's configuration for these shares.

        With time-slicing the plugin rejects requests for more than one share
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
class VirtualGpu(NvidiaGpu):
    """A virtual GPU of NVIDIA vGPU software, in a virtual machine that is a node.

    Args:
        product: Value of `nvidia.com/gpu.product` on such a node, for example
            `GRID-A100D-40C`. Default: any node with a vGPU.
        memory_mib: Memory of the profile in MiB. Default: not known, so that no memory plan can
            be made.

    Raises:
        VllmConstructsError: A malformed product or memory size.
    """

    product: NvidiaProduct | None = None
    memory_mib: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.product is not None:
            check_product("VirtualGpu.product", self.product, 1024)
        if self.memory_mib is not None:
            require.integer("VirtualGpu.memory_mib", self.memory_mib, 1024, 2**24, "MiB")

    @property
    def resource(self) -> str:
        """`nvidia.com/gpu`."""
        return "nvidia.com/gpu"

    @property
    def node_labels(self) -> dict[str, str]:
        """`nvidia.com/vgpu.present`, and the product, if given."""
        product = {} if self.product is None else {PRODUCT: self.product}
        return product | {"nvidia.com/vgpu.present": "true"}


class HasProduct(Protocol):
    """Any accelerator."""

    @property
    def product(self) -> str | None:
        """What it is."""
        ...


Gpu: TypeAlias = WholeGpu | MigSlice | TimeSlicedGpu | VirtualGpu
KINDS = (WholeGpu, MigSlice, TimeSlicedGpu, VirtualGpu)
EXPECTED = "a WholeGpu, MigSlice, TimeSlicedGpu or VirtualGpu"


def capability(gpu: HasProduct) -> Capability | None:
    """The compute capability of a GPU, such as (9, 0); None if it is not known.

    A slice of any GPU has the lowest capability of those that have its profile.

    Args:
        gpu: The GPU.
    """
    known = catalog()
    if isinstance(gpu, MigSlice) and gpu.product is None:
        products = [name for name, one in known.items() if gpu.profile in one["mig"]]
    else:
        products = [gpu.product] if gpu.product in known else []
    return min((_numbers(known[one]["compute_capability"]) for one in products), default=None)


def _numbers(text: str) -> Capability:
    major, minor = text.split(".")
    return int(major), int(minor)
