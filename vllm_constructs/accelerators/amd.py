"""AMD GPUs.

Sources: ROCm's device plugin and node labeller; vLLM 0.33, docker/Dockerfile.rocm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import ClassVar

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.releases.image import Platform

from .accelerator import RENDER_GROUPS, WholeDevices, check_groups, check_product
from .products import AmdProduct

PRODUCT = "amd.com/gpu.product-name"
RESOURCE = "amd.com/gpu"
# Memory of one device in GiB: MI250 and MI250X are two devices each.
MEMORY = {
    "MI210": 64,
    "MI250": 64,
    "MI250X": 64,
    "MI300A": 128,
    "MI300X": 192,
    "MI308X": 192,
    "MI325X": 256,
    "MI350X": 288,
    "MI355X": 288,
}
# Values of the label as the node labeller writes them, where they are documented.
_LABELS = {"MI300X": "AMD_Instinct_MI300X_OAM", "MI325X": "AMD_Instinct_MI325_OAM"}


def product_of(label: str) -> str | None:
    """The product that a value of the node label names; None if it is not known.

    Args:
        label: The value, such as `AMD_Instinct_MI300X_OAM`.
    """
    exact = next((one for one, value in _LABELS.items() if value == label), None)
    words = label.replace("-", "_").replace(" ", "_").upper().split("_")
    return exact or next((one for one in MEMORY if one in words), None)


@dataclass(frozen=True)
class AmdGpu(WholeDevices):
    """One or more AMD GPUs.

    The default image is vLLM's for ROCm. The processes run as user 2000 and have the groups that
    own the device files.

    Args:
        product: The GPU, such as `MI300X`, or the value of its node label
            `amd.com/gpu.product-name`. Default: any AMD GPU, whose memory is not known.
        count: GPUs per pod, from 1 to 16. Default 1.
        memory_mib: Memory of one GPU in MiB. Default: that of the product.
        render_groups: Groups that own the device files on the nodes. Default: the usual ones, 44,
            105, 109 and 110.

    Raises:
        VllmConstructsError: An unknown product without its memory, or an invalid number.
    """

    platform: ClassVar[Platform] = "ROCm"
    limit: ClassVar[int] = 16
    memories: ClassVar[Mapping[str, int]] = MEMORY
    product: AmdProduct | None = None
    # A field here, but a property in the base class.
    count: int = field(default=1, kw_only=True)  # pyright: ignore[reportIncompatibleMethodOverride]
    memory_mib: int | None = field(default=None, kw_only=True)
    render_groups: Sequence[int] = field(default=RENDER_GROUPS, kw_only=True)

    def __post_init__(self) -> None:
        require.integer("AmdGpu.count", self.count, 1, self.limit, "GPUs")
        if self.memory_mib is not None:
            require.integer("AmdGpu.memory_mib", self.memory_mib, 1024, 2**24, "MiB")
        if self.product is not None:
            allowed = "a GPU such as 'MI300X'"
            name = require.text("AmdGpu.product", self.product, allowed)
            known = product_of(name)
            check_product("AmdGpu", known or name, self.memory_mib, MEMORY, PRODUCT)
            object.__setattr__(self, "product", known or name)
        groups = check_groups("AmdGpu.render_groups", self.render_groups)
        object.__setattr__(self, "render_groups", groups)

    @property
    def resource(self) -> str:
        """`amd.com/gpu`."""
        return RESOURCE

    @property
    def node_labels(self) -> dict[str, str]:
        """The product; none for any GPU."""
        if self.product is None:
            return {}
        if self.product in MEMORY and self.product not in _LABELS:
            refuse(
                Problem(
                    where="AmdGpu.product",
                    text=f"is {self.product!r}, and the value of its node label {PRODUCT} is not "
                    "known",
                    value=repr(self.product),
                    advice=f"give nodes=Nodes(labels={{{{{PRODUCT!r}: ...}}}}), or "
                    "nodes=Nodes('any')",
                )
            )
        return {PRODUCT: _LABELS.get(self.product, self.product)}
