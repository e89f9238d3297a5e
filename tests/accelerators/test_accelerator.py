"""Accelerator: what a further kind has to say of itself, and what follows from that."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import EngineArgs, TimeSlicedGpu, WholeGpu
from vllm_constructs.accelerators.accelerator import Accelerator
from vllm_constructs.engine.parallelism import Parallelism


@dataclass(frozen=True)
class Other(Accelerator):
    """A device of another maker, which two pods may share."""

    count: int = 1
    part: float = field(default=1.0, kw_only=True)

    @property
    def resource(self) -> str:
        """Name of the extended resource."""
        return "example.com/device"

    @property
    def node_labels(self) -> dict[str, str]:
        """Labels of the nodes that have it."""
        return {"example.com/device": "true"}

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """Tolerations of the taints that its nodes usually have."""
        return [{"key": "example.com/device", "operator": "Exists", "effect": "NoSchedule"}]

    @property
    def share(self) -> float:
        """The part of one device's memory that is this pod's."""
        return self.part


@pytest.mark.parametrize("name", ["resource", "node_labels", "tolerations"])
def test_needed(name: str) -> None:
    """What only the kind can know has no default."""
    with pytest.raises(NotImplementedError):
        getattr(Accelerator(), name)


def test_defaults() -> None:
    """Unless a kind says otherwise, a pod has a device alone, and one of them."""
    found = Other()

    assert not found.parallel
    assert (1.0, 1, None) == (found.share, found.sharers, found.gpu_memory_utilization)


@pytest.mark.parametrize(
    ("part", "sharers", "utilization"),
    [(0.5, 2, 0.45), (1 / 3, 3, 0.3), (0.25, 4, 0.22), (1 / 48, 48, 0.01)],
)
def test_share(part: float, sharers: int, utilization: float) -> None:
    """On a shared device an engine takes 0.9 of its share."""
    found = Other(part=part)

    assert (sharers, utilization) == (found.sharers, found.gpu_memory_utilization)


@settings(max_examples=200, deadline=None)
@given(strategies.gpus())
def test_kinds(gpu: Any) -> None:
    """The engines of all pods that share a device stay below its memory."""
    assert isinstance(gpu, Accelerator)
    assert 1 == round(gpu.sharers * gpu.share, 6)
    share = gpu.gpu_memory_utilization
    assert (share is None) is (gpu.share == 1)
    assert share is None or 0 < share < gpu.share


@given(st.integers(2, 48))
def test_shared_gpu(replicas: int) -> None:
    """A shared GPU has as many sharers as replicas; MPS divides the memory by itself."""
    assert replicas == TimeSlicedGpu("NVIDIA-L4", replicas=replicas).sharers
    assert 1 == TimeSlicedGpu("NVIDIA-L4", replicas=replicas, sharing="mps").sharers


def test_parallel() -> None:
    """Only where a kind says so may several devices work on one engine."""
    sizes = Parallelism.of(EngineArgs(tensor_parallel_size=2), 2)
    gpu: Any = Other(count=2)

    assert sizes.problem(WholeGpu("NVIDIA-L4", count=2)) is None
    problem = sizes.problem(gpu)
    assert problem is not None
    assert "but an engine can use only one Other; leave the sizes out" in problem.sentence()
