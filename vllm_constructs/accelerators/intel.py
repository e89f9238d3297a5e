"""Intel GPUs and Gaudi accelerators.

Sources: Intel's device plugins; vLLM 0.33, docker/Dockerfile.xpu; vllm-gaudi 0.26.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import ClassVar, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.releases.image import Platform

from .accelerator import RENDER_GROUPS, WholeDevices, check_groups, check_product
from .products import IntelProduct

PRODUCT = "gpu.intel.com/product"
RESOURCES = ("gpu.intel.com/xe", "gpu.intel.com/i915")
GAUDI_RESOURCE = "habana.ai/gaudi"
# Memory of one GPU in GiB, by the value of its node label.
MEMORY = {"Arc_B580": 12, "Arc_Pro_B60": 24, "Max_1100": 48, "Max_1550": 128}
GAUDI_MEMORY = {"Gaudi2": 96, "Gaudi3": 128}


@dataclass(frozen=True)
class IntelGpu(WholeDevices):
    """One or more Intel GPUs, which vLLM calls XPUs.

    The default image is vLLM's for XPU, which is published for x86_64 only.

    Args:
        product: The value of the node label `gpu.intel.com/product`, such as `Max_1550` or
            `Arc_Pro_B60`. Default: any Intel GPU, whose memory is not known.
        count: GPUs per pod, from 1 to 8. Default 1.
        driver: The kernel driver of the nodes, after which the resource is named: `"xe"`
            (default) or `"i915"`.
        memory_mib: Memory of one GPU in MiB. Default: that of the product.
        render_groups: Groups that own the device files on the nodes. Default: the usual ones, 44,
            105, 109 and 110.

    Raises:
        VllmConstructsError: An unknown product without its memory, or an invalid number.
    """

    platform: ClassVar[Platform] = "XPU"
    memories: ClassVar[Mapping[str, int]] = MEMORY
    product: IntelProduct | None = None
    # A field here, but a property in the base class.
    count: int = field(default=1, kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]
    driver: Literal["xe", "i915"] = field(default="xe", kw_only=True)
    memory_mib: int | None = field(default=None, kw_only=True)
    render_groups: Sequence[int] = field(default=RENDER_GROUPS, kw_only=True)

    def __post_init__(self) -> None:
        require.integer("IntelGpu.count", self.count, 1, self.limit, "GPUs")
        require.choice("IntelGpu.driver", self.driver, ("xe", "i915"))
        if self.memory_mib is not None:
            require.integer("IntelGpu.memory_mib", self.memory_mib, 1024, 2**24, "MiB")
        if self.product is not None:
            name = require.text("IntelGpu.product", self.product, "a GPU such as 'Max_1550'")
            known = name.replace(" ", "_").replace("-", "_")
            if known in MEMORY:
                object.__setattr__(self, "product", known)
            else:
                check_product("IntelGpu", name, self.memory_mib, MEMORY, PRODUCT)
        groups = check_groups("IntelGpu.render_groups", self.render_groups)
        object.__setattr__(self, "render_groups", groups)

    @property
    def resource(self) -> str:
        """`gpu.intel.com/xe`, or `gpu.intel.com/i915` with the older driver."""
        return f"gpu.intel.com/{self.driver}"

    @property
    def node_labels(self) -> dict[str, str]:
        """The product; none for any GPU."""
        return {} if self.product is None else {PRODUCT: self.product}


@dataclass(frozen=True)
class Gaudi(WholeDevices):
    """One or more of Intel's Gaudi accelerators.

    No image is published: build one from vllm-gaudi, and give it as `image`. Only the resource
    selects nodes, since no label of Gaudi nodes is documented; give `nodes=Nodes(labels=...)` where
    a cluster has both generations. The engine compiles for a long time when it starts: give a long
    `startup`.

    Args:
        product: `"Gaudi2"` or `"Gaudi3"`. Default: any, whose memory is not known.
        count: Accelerators per pod, from 1 to 8. Default 1.
        lazy_mode: Whether PyTorch runs in lazy mode (`PT_HPU_LAZY_MODE`). Default: True.

    Raises:
        VllmConstructsError: Another product, or an invalid number.
    """

    platform: ClassVar[Platform] = "Gaudi"
    unit: ClassVar[str] = "accelerators"
    memories: ClassVar[Mapping[str, int]] = GAUDI_MEMORY
    product: Literal["Gaudi2", "Gaudi3"] | None = None
    # A field here, but a property in the base class.
    count: int = field(default=1, kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]
    lazy_mode: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if self.product is not None:
            require.choice("Gaudi.product", self.product, tuple(GAUDI_MEMORY))
        require.integer("Gaudi.count", self.count, 1, self.limit, "accelerators")
        require.boolean("Gaudi.lazy_mode", self.lazy_mode)

    @property
    def resource(self) -> str:
        """`habana.ai/gaudi`."""
        return GAUDI_RESOURCE

    @property
    def node_labels(self) -> dict[str, str]:
        """None: no label of their nodes is documented."""
        return {}

    @property
    def variables(self) -> dict[str, str]:
        """The mode of PyTorch."""
        return {"PT_HPU_LAZY_MODE": "1" if self.lazy_mode else "0"}
