"""The base class of all accelerators, of any vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube import names
from vllm_constructs.releases.image import Platform

RENDER_GROUPS = (44, 105, 109, 110)
"""The groups `video` and `render` of Debian, Ubuntu and Red Hat, which own device files."""


def check_groups(where: str, value: object) -> tuple[int, ...]:
    """The group ids that an option has.

    Args:
        where: Name of the option.
        value: Its value.

    Raises:
        VllmConstructsError: Anything but a list of group ids.
    """
    given = require.items(where, value, "a list of group ids")
    return tuple(require.integer(where, group, 0, 2**31 - 1) for group in given)


def check_product(
    owner: str, name: str, memory_mib: int | None, known: Mapping[str, int], label: str
) -> None:
    """Reject a product whose memory is not known, or which no node can have as its label.

    Args:
        owner: The class.
        name: The product.
        memory_mib: Its memory, if it is given.
        known: The products whose memory is known.
        label: Key of the node label.

    Raises:
        VllmConstructsError: Such a product.
    """
    if name in known:
        return
    names.label_map(f"{owner}.product", {label: name})
    if memory_mib is None:
        several = [repr(one) for one in known if one.startswith(name)]
        near = f"did you mean {' or '.join(several)}?" if several else require.nearest(name, known)
        own = f"therwise give {{{owner}.memory_mib}} too"
        refuse(
            Problem(
                where=f"{owner}.product",
                text=f"is {name!r}, a GPU whose memory is not known",
                value=repr(name),
                advice=f"{near} O{own}" if near else f"known are {', '.join(known)}; o{own}",
            )
        )


class Accelerator:
    """The devices that a pod requests for its engine.

    Each kind knows its resource name, the labels and taints of its nodes, and what it must not be
    combined with.
    """

    platform: ClassVar[Platform] = "CUDA"
    """What the image must be built for."""
    unit: ClassVar[str] = "GPUs"
    """What several of its devices are called."""

    @property
    def count(self) -> int:
        """How many the pod requests. Default 1."""
        return 1

    @property
    def resource(self) -> str | None:
        """Name of the extended resource; None if the pod requests none."""
        raise NotImplementedError

    @property
    def node_labels(self) -> dict[str, str]:
        """Labels of its nodes."""
        raise NotImplementedError

    @property
    def fixed_labels(self) -> dict[str, str]:
        """Labels that the pod selects with any `Nodes`. Default: none."""
        return {}

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """Tolerations of the usual taints of its nodes."""
        raise NotImplementedError

    @property
    def parallel(self) -> bool:
        """Whether one engine can use several. Default False."""
        return False

    @property
    def devices(self) -> int:
        """Devices over which an engine is split. Default: as many as are requested."""
        return self.count

    @property
    def most(self) -> int:
        """How many of them a pod can request. Default 1."""
        return 1

    @property
    def device_mib(self) -> int | None:
        """Memory of one device in MiB; None if it is not known."""
        return None

    @property
    def has_graphs(self) -> bool:
        """Whether vLLM captures CUDA graphs, or ROCm's."""
        return self.platform in ("CUDA", "ROCm")

    @property
    def groups(self) -> tuple[int, ...]:
        """Groups that may use the device files. Default: none."""
        return ()

    @property
    def variables(self) -> dict[str, str]:
        """Variables that the engine needs on it. Default: none."""
        return {}

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


class WholeDevices(Accelerator):
    """Devices that a vendor's device plugin allocates whole, and over which an engine is split."""

    limit: ClassVar[int] = 8
    """How many a pod can request."""
    memories: ClassVar[Mapping[str, int]] = {}
    """Memory of one device in GiB, by product."""
    memory_mib: int | None = None
    render_groups: Sequence[int] = ()

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """The toleration of a taint with the resource's name, which their nodes usually have."""
        return [{"key": str(self.resource), "operator": "Exists", "effect": "NoSchedule"}]

    @property
    def parallel(self) -> bool:
        """True: one engine can use several of them."""
        return True

    @property
    def most(self) -> int:
        """The limit."""
        return self.limit

    @property
    def device_mib(self) -> int | None:
        """Memory of one device in MiB, as given or that of the product; None for any device."""
        if self.memory_mib is not None:
            return self.memory_mib
        # Each kind has a field of its own type for it.
        product: str | None = getattr(self, "product", None)
        known = self.memories.get(product or "")
        return None if known is None else known * 1024

    @property
    def groups(self) -> tuple[int, ...]:
        """The groups that own the device files."""
        return tuple(self.render_groups)
