"""The base class of all accelerators, of any vendor."""

from __future__ import annotations


class Accelerator:
    """The devices that a pod requests for its engine.

    Each kind knows its resource name, the labels and taints of its nodes, and what it must not be
    combined with.
    """

    @property
    def resource(self) -> str:
        """Name of the extended resource."""
        raise NotImplementedError

    @property
    def node_labels(self) -> dict[str, str]:
        """Labels of its nodes."""
        raise NotImplementedError

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """Tolerations of the usual taints of its nodes."""
        raise NotImplementedError

    @property
    def parallel(self) -> bool:
        """Whether one engine can use several. Default False."""
        return False

    @property
    def most(self) -> int:
        """How many of them a pod can request. Default 1."""
        return 1

    @property
    def share(self) -> float:
        """The fraction of one device's memory for this pod, from 0 to 1. Default 1.0."""
        return 1.0

    @property
    def sharers(self) -> int:
        """Pods that share the memory of one device."""
        return round(1 / self.share)

    @property
    def gpu_memory_utilization(self) -> float | None:
        """The value of `--gpu-memory-utilization`; None if vLLM's default is right.

        On a shared device it is 0.9 of the share: each pod needs some memory besides what vLLM
        allocates for itself.
        """
        return int(self.share * 90) / 100 if self.share < 1 else None
