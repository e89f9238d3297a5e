"""Cpu: CPU cores and memory on which a model runs.

Source: vLLM 0.33, docs/getting_started/installation/cpu.md and vllm/platforms/cpu.py.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.releases.image import Platform

from .accelerator import Accelerator

ARCHITECTURE = "kubernetes.io/arch"
SPACE = "VLLM_CPU_KVCACHE_SPACE"
_GIB = 1024
_MOST = 16
# What the processes take beside weights and KV cache.
_PROCESSES_GIB = 4


@dataclass(frozen=True, kw_only=True)
class Cpu(Accelerator):
    """CPU cores and memory, without any accelerator.

    The pod gets whole cores of its own: requests and limits are equal, so the kubelet's static
    CPU manager can pin them. The default image is vLLM's for CPUs.

    Args:
        cores: CPU cores.
        memory_gib: Memory in GiB, for weights, KV cache and processes.
        kv_cache_gib: GiB of the memory for the KV cache of each NUMA node
            (`VLLM_CPU_KVCACHE_SPACE`).
            Default: a quarter of the memory, divided by the NUMA nodes.
        numa_nodes: NUMA nodes over which the engine is split. Default 1.
        architecture: `"amd64"` (default) or `"arm64"`.

    Raises:
        VllmConstructsError: An invalid number, or no memory beside the KV cache.
    """

    platform: ClassVar[Platform] = "CPU"
    unit: ClassVar[str] = "NUMA nodes"
    cores: int
    memory_gib: int
    kv_cache_gib: int | None = None
    numa_nodes: int = 1
    architecture: Literal["amd64", "arm64"] = "amd64"

    def __post_init__(self) -> None:
        require.integer("Cpu.cores", self.cores, 1, 1024, "cores")
        require.integer("Cpu.memory_gib", self.memory_gib, 2, 2**16, "GiB")
        require.integer("Cpu.numa_nodes", self.numa_nodes, 1, _MOST)
        require.choice("Cpu.architecture", self.architecture, ("amd64", "arm64"))
        if self.kv_cache_gib is not None:
            require.integer("Cpu.kv_cache_gib", self.kv_cache_gib, 1, 2**16, "GiB")
        if self.cache_gib * self.numa_nodes + _PROCESSES_GIB >= self.memory_gib:
            refuse(
                Problem(
                    where="Cpu.kv_cache_gib",
                    text=f"is {self.cache_gib} on {self.numa_nodes} NUMA nodes, which leaves no "
                    f"memory for weights: the processes take {_PROCESSES_GIB} of the "
                    f"{self.memory_gib} GiB",
                    value=str(self.cache_gib),
                    advice="lower it, or raise {Cpu.memory_gib}",
                )
            )

    @property
    def cache_gib(self) -> int:
        """GiB of KV cache of each NUMA node."""
        own = self.kv_cache_gib
        return max(1, self.memory_gib // 4 // self.numa_nodes) if own is None else own

    @property
    def product(self) -> None:
        """None: CPUs have no product."""
        return

    @property
    def count(self) -> int:
        """0: the pod requests no devices."""
        return 0

    @property
    def resource(self) -> None:
        """None: cores and memory are not extended resources."""
        return

    @property
    def devices(self) -> int:
        """The NUMA nodes."""
        return self.numa_nodes

    @property
    def node_labels(self) -> dict[str, str]:
        """The architecture, since images are built for one."""
        return {ARCHITECTURE: self.architecture}

    @property
    def fixed_labels(self) -> dict[str, str]:
        """The architecture: an image cannot start on another one."""
        return self.node_labels

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """None: nodes without accelerators have no usual taint."""
        return []

    @property
    def parallel(self) -> bool:
        """True: an engine can be split over NUMA nodes."""
        return True

    @property
    def most(self) -> int:
        """16 NUMA nodes."""
        return _MOST

    @property
    def device_mib(self) -> int | None:
        """Memory of a NUMA node for weights and KV cache, in MiB."""
        return (self.memory_gib - _PROCESSES_GIB) * _GIB // self.numa_nodes

    @property
    def variables(self) -> dict[str, str]:
        """The size of the KV cache."""
        return {SPACE: str(self.cache_gib)}
