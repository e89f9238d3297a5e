"""Google's TPUs on GKE.

Sources: GKE's documentation of TPU node pools; tpu-inference 0.27, tpu_inference/utils.py.
"""

from __future__ import annotations

import math
import re
from dataclasses import field
from typing import ClassVar, TypedDict

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.releases.image import Platform

from .accelerator import Accelerator
from .products import TpuProduct

RESOURCE = "google.com/tpu"
ACCELERATOR = "cloud.google.com/gke-tpu-accelerator"
TOPOLOGY = "cloud.google.com/gke-tpu-topology"
_TOPOLOGY = re.compile(r"[1-9]\d?x[1-9]\d?(x[1-9]\d?)?", re.ASCII)
_GIB = 1024


class _Tpu(TypedDict):
    label: str
    topologies: tuple[str, ...]
    gib: int
    devices: int


# The topologies of one host, the memory of a chip, and the devices per chip that JAX sees.
TPUS: dict[str, _Tpu] = {
    "v4": {"label": "tpu-v4-podslice", "topologies": ("2x2x1",), "gib": 32, "devices": 1},
    "v5e": {
        "label": "tpu-v5-lite-podslice",
        "topologies": ("1x1", "2x2", "2x4"),
        "gib": 16,
        "devices": 1,
    },
    "v5p": {"label": "tpu-v5p-slice", "topologies": ("2x2x1",), "gib": 95, "devices": 1},
    "v6e": {
        "label": "tpu-v6e-slice",
        "topologies": ("1x1", "2x2", "2x4"),
        "gib": 32,
        "devices": 1,
    },
    "tpu7x": {"label": "tpu7x", "topologies": ("1x1x1", "2x2x1"), "gib": 192, "devices": 2},
}


@dataclass(frozen=True)
class Tpu(Accelerator):
    """All TPU chips of one GKE host.

    The number of chips follows from the topology. The default image is `vllm/vllm-tpu`, whose
    newest release is older than vLLM's.

    Args:
        product: `"v4"`, `"v5e"`, `"v5p"`, `"v6e"` or `"tpu7x"`, or the value of the node label
            `cloud.google.com/gke-tpu-accelerator`.
        topology: Topology of the node pool, such as `2x4`: the node label
            `cloud.google.com/gke-tpu-topology`.

    Raises:
        VllmConstructsError: Another product, or a topology that no single host has.
    """

    platform: ClassVar[Platform] = "TPU"
    unit: ClassVar[str] = "devices"
    product: TpuProduct
    topology: str = field(kw_only=True)

    def __post_init__(self) -> None:
        name = next((one for one, tpu in TPUS.items() if tpu["label"] == self.product), None)
        object.__setattr__(self, "product", name or self.product)
        require.choice("Tpu.product", self.product, tuple(TPUS))
        allowed = "a topology such as '2x4'"
        require.matching("Tpu.topology", self.topology, _TOPOLOGY, allowed)
        known = TPUS[self.product]["topologies"]
        if self.topology not in known:
            refuse(
                Problem(
                    where="Tpu.topology",
                    text=f"is {self.topology!r}, which no single host of {self.product} has",
                    value=repr(self.topology),
                    allowed=" or ".join(map(repr, known)),
                    advice="an engine over several hosts needs a pod on each",
                )
            )

    @property
    def count(self) -> int:
        """The chips of the host."""
        return math.prod(map(int, self.topology.split("x")))

    @property
    def devices(self) -> int:
        """The devices that JAX sees: two for each chip of tpu7x."""
        return self.count * TPUS[self.product]["devices"]

    @property
    def resource(self) -> str:
        """`google.com/tpu`."""
        return RESOURCE

    @property
    def node_labels(self) -> dict[str, str]:
        """The product and the topology, which GKE requires."""
        return {ACCELERATOR: TPUS[self.product]["label"], TOPOLOGY: self.topology}

    @property
    def fixed_labels(self) -> dict[str, str]:
        """The product and the topology: GKE makes no pod without them."""
        return self.node_labels

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """The toleration of `google.com/tpu`, which GKE's nodes have as a taint."""
        return [{"key": RESOURCE, "operator": "Exists", "effect": "NoSchedule"}]

    @property
    def parallel(self) -> bool:
        """True: one engine uses all chips of the host."""
        return True

    @property
    def most(self) -> int:
        """The chips of the host: a pod can request no other number."""
        return self.count

    @property
    def device_mib(self) -> int | None:
        """Memory of one device in MiB."""
        tpu = TPUS[self.product]
        return tpu["gib"] * _GIB // tpu["devices"]
