"""Accelerator: what a further kind has to say of itself, and what follows from that."""

from dataclasses import dataclass, field
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import EngineArgs, TimeSlicedGpu, WholeGpu
from vllm_constructs.accelerators.accelerator import Accelerator, check_groups, check_product
from vllm_constructs.engine.parallelism import Parallelism
from vllm_constructs.releases.image import Platform


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
    assert (1, 1, 1, None) == (found.count, found.devices, found.most, found.device_mib)
    assert ("CUDA", "GPUs", True) == (found.platform, found.unit, found.has_graphs)
    assert ({}, {}, ()) == (found.fixed_labels, found.variables, found.groups)
    assert 1 == Accelerator().count


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


@pytest.mark.parametrize("platform", get_args(Platform))
def test_graphs(platform: Any) -> None:
    """Only NVIDIA's and AMD's GPUs have graphs, which take memory."""

    class Here(Other):
        pass

    Here.platform = platform
    assert Here().has_graphs is (platform in ("CUDA", "ROCm"))


@pytest.mark.parametrize(
    ("given", "found"), [([], ()), ([44, 0], (44, 0)), ((2**31 - 1,), (2**31 - 1,))]
)
def test_groups(given: Any, found: tuple[int, ...]) -> None:
    """Groups are ids."""
    assert found == check_groups("X.groups", given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("44", "X.groups is '44'; expected a list of group ids."),
        ([-1], "X.groups is -1; expected an integer from 0 to 2147483647."),
        ([2**31], "X.groups is 2147483648; expected an integer from 0 to 2147483647."),
        ([True], "X.groups is True; expected an integer from 0 to 2147483647."),
    ],
)
def test_no_groups(given: Any, sentence: str) -> None:
    """What is no list of ids is refused."""
    assert sentence == strategies.refusal(lambda: check_groups("X.groups", given))


def test_product() -> None:
    """A product is known, or has its memory and a name that a node label can have."""
    known = {"Big100": 64}

    check_product("X", "Big100", None, known, "example.com/product")
    check_product("X", "Other", 4096, known, "example.com/product")
    missing = strategies.refusal(lambda: check_product("X", "Big10", None, known, "a/b"))
    assert missing == (
        "X.product is 'Big10', a GPU whose memory is not known; did you mean 'Big100'? "
        "Otherwise give X.memory_mib too."
    )
    odd = strategies.refusal(lambda: check_product("X", "{a}", 4096, known, "example.com/product"))
    assert odd.startswith("X.product['example.com/product'] is '{a}'; expected at most 63 letters")
