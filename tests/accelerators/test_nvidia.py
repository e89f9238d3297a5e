"""Accelerators: what a pod asks for, where it runs, and what is rejected."""

import re
from dataclasses import FrozenInstanceError, fields
from typing import Any, get_args

import pytest
from hypothesis import given, settings

from tests import strategies
from vllm_constructs import MigSlice, TimeSlicedGpu, VirtualGpu, VllmConstructsError, WholeGpu
from vllm_constructs.accelerators.accelerator import Accelerator
from vllm_constructs.accelerators.nvidia import EXPECTED, KINDS, Gpu, catalog

PRODUCT = "nvidia.com/gpu.product"
A100 = "NVIDIA-A100-80GB-PCIe"
LONG = "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition"


def test_catalog() -> None:
    """The catalog has the products, sizes and profiles of the facts."""
    known = {one["product_label"]: one for one in strategies.facts("accelerators.json")["nvidia"]}

    assert set(known) == set(catalog())
    for product, ours in catalog().items():
        theirs = known[product]
        assert theirs["memory_mib"] == ours["memory_mib"]
        assert theirs["nvlink"] == ours["nvlink"]
        resources = {one["profile"]: one["resource"] for one in theirs["mig_profiles"]}
        assert resources == {name: one["resource"] for name, one in ours["mig"].items()}


@settings(max_examples=200, deadline=None)
@given(strategies.gpus())
def test_kinds(gpu: Any) -> None:
    """Each kind has a resource, labels that nodes can have, a share and at least one GPU."""
    assert re.fullmatch(r"nvidia\.com/[a-z0-9.-]+", gpu.resource)
    assert 0 < gpu.share <= 1
    assert gpu.count >= 1
    assert gpu.parallel is isinstance(gpu, WholeGpu)
    assert gpu.parallel or gpu.count == 1
    for key, value in gpu.node_labels.items():
        assert key.startswith("nvidia.com/")
        assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value)


def test_whole_gpu() -> None:
    """Whole GPUs are found by their product, which the catalog may lack."""
    gpu = WholeGpu(A100, count=4)

    assert gpu.resource == "nvidia.com/gpu"
    assert gpu.node_labels == {PRODUCT: A100}
    assert WholeGpu("New-GPU", memory_mib=200_000).node_labels == {PRODUCT: "New-GPU"}


def test_most() -> None:
    """A pod has no more GPUs than a node of the product."""
    assert 8 == WholeGpu("NVIDIA-H100-80GB-HBM3").most
    assert (4, 16) == (WholeGpu("NVIDIA-GB200").most, WholeGpu("NVIDIA-L40S", count=10).most)
    assert 16 == WholeGpu("New-GPU", memory_mib=200_000).most
    assert {1} == {MigSlice("1g.10gb").most, TimeSlicedGpu("NVIDIA-L4").most, VirtualGpu().most}


def test_mig_slice() -> None:
    """A slice has a resource of its own, or with the single strategy a product of its own."""
    mixed = MigSlice("1g.10gb+me", product=A100)
    single = MigSlice("1g.10gb+me", product=A100, strategy="single")

    assert mixed.resource == "nvidia.com/mig-1g.10gb.me"
    assert mixed.node_labels == {PRODUCT: A100}
    assert single.resource == "nvidia.com/gpu"
    assert single.node_labels == {PRODUCT: f"{A100}-MIG-1g.10gb.me"}
    assert MigSlice("1g.10gb").node_labels == {}
    assert MigSlice("1g.10gb", product=A100).mig_config == {
        "nvidia.com/mig.config": "all-1g.10gb",
    }


def test_shared_gpu() -> None:
    """A shared GPU is another product or another resource, as the device plugin makes it."""
    shared = TimeSlicedGpu("NVIDIA-L4", replicas=4)
    renamed = TimeSlicedGpu("NVIDIA-L4", renamed=True)

    assert (shared.resource, shared.share) == ("nvidia.com/gpu", 0.25)
    assert shared.node_labels == {PRODUCT: "NVIDIA-L4-SHARED"}
    assert renamed.resource == "nvidia.com/gpu.shared"
    assert renamed.node_labels == {PRODUCT: "NVIDIA-L4"}
    assert TimeSlicedGpu("NVIDIA-L4", sharing="mps").share == 1


@pytest.mark.parametrize(("sharing", "section"), [("time-slicing", "timeSlicing"), ("mps", "mps")])
def test_device_plugin_config(sharing: Any, section: str) -> None:
    """The device plugin divides the GPU as the pods count on, and refuses two shares at once."""
    gpu = TimeSlicedGpu("NVIDIA-L4", replicas=3, sharing=sharing)

    found: Any = gpu.device_plugin_config()
    part = found["sharing"][section]

    assert found["version"] == "v1"
    assert part["resources"] == [{"name": "nvidia.com/gpu", "replicas": 3}]
    assert part.get("failRequestsGreaterThanOne", False) is (sharing == "time-slicing")


def test_virtual_gpu() -> None:
    """A virtual GPU is found by the label that vGPU nodes have."""
    label = {"nvidia.com/vgpu.present": "true"}

    assert VirtualGpu().node_labels == label
    assert VirtualGpu("GRID-A100D-40C", memory_mib=40_960).node_labels == {
        PRODUCT: "GRID-A100D-40C",
        **label,
    }
    assert VirtualGpu().share == 1
    assert VirtualGpu().resource == "nvidia.com/gpu"


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: WholeGpu("NVIDIA-A100-80GB"), ("'NVIDIA-A100-80GB'", A100, "memory_mib")),
    (lambda: WholeGpu("NVIDIA-A100-80GB-PCI"), ("did you mean", A100)),
    (lambda: WholeGpu("q~"), ("'q~'", "NVIDIA-L40S")),
    (lambda: WholeGpu("zzz"), ("'zzz'", "if nodes have that label, give WholeGpu.memory_mib too")),
    (lambda: TimeSlicedGpu("zzz"), ("'zzz'", "give TimeSlicedGpu.memory_mib too")),
    (lambda: MigSlice("1g.10gb", product="zzz"), ("'zzz'", "give a product that has MIG")),
    (lambda: WholeGpu("NVIDIA-L4", count=0), ("WholeGpu.count is 0", "from 1 to 16")),
    (lambda: WholeGpu("NVIDIA-L4", count=17), ("17", "from 1 to 16")),
    (lambda: WholeGpu("X", memory_mib=24), ("WholeGpu.memory_mib is 24", "of MiB from 1024")),
    (lambda: MigSlice("1g.11gb"), ("'1g.11gb'", "did you mean '1g.")),
    (lambda: MigSlice("1g.5gb", product=A100), ("'1g.5gb'", A100, "7g.80gb")),
    (lambda: MigSlice("1g.10gb", product="NVIDIA-L4"), ("'NVIDIA-L4'", "no MIG", "WholeGpu")),
    (lambda: MigSlice("1g.10gb", strategy="single"), ("MigSlice.product is missing", "single")),
    (
        lambda: MigSlice("1g.10gb", product=A100, strategy="both"),  # type: ignore[arg-type]  # the mistake
        ("'both'", "'mixed', 'single'"),
    ),
    (
        lambda: WholeGpu("NVIDIA-H100-80GB-HBM3", count=16),
        ("is 16", "no node has more than 8 NVIDIA-H100-80GB-HBM3", "give at most 8"),
    ),
    (lambda: TimeSlicedGpu("l4"), ("is 'l4'", "did you mean 'NVIDIA-L4'?")),
    (
        lambda: TimeSlicedGpu("NVIDIA-L5"),
        ("'NVIDIA-L5'", "in the catalog; if nodes have that label"),
    ),
    (lambda: TimeSlicedGpu("NVIDIA-L4", replicas=1), ("replicas is 1", "from 2 to 48")),
    (
        lambda: TimeSlicedGpu("NVIDIA-L4", sharing="mig"),  # type: ignore[arg-type]  # the mistake
        ("'mig'", "'time-slicing', 'mps'"),
    ),
    (lambda: MigSlice("1g.24gb", product=LONG, strategy="single"), (LONG, "67", "63", "mixed")),
    (lambda: TimeSlicedGpu("G" * 60, memory_mib=9999), ("67 characters", "63", "renamed=True")),
    (lambda: VirtualGpu("a b"), ("'a b'", "NVIDIA-L40S")),
    (lambda: VirtualGpu(memory_mib=0), ("VirtualGpu.memory_mib is 0", "from 1024")),
    (lambda: VirtualGpu("GRID-A100D-40C", memory_mib=0), ("memory_mib is 0", "from 1024")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the nearest thing."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize("kind", [MigSlice, TimeSlicedGpu, VirtualGpu])
def test_count_of_parts(kind: Any) -> None:
    """A pod gets one part of a GPU: there is no keyword for another count, nor a field."""
    name = "1g.10gb" if kind is MigSlice else "NVIDIA-L4"

    for count in (1, 2):
        with pytest.raises(VllmConstructsError):
            kind(name, count=count)
    one = kind(name)
    assert 1 == one.count
    with pytest.raises(AttributeError):
        one.count = 2
    assert "count" not in {item.name for item in fields(kind)}


@pytest.mark.parametrize("count", [1.0, True, "1", None])
def test_count_as_written(count: Any) -> None:
    """A count that merely equals 1 is rejected, since it would be written as it is."""
    assert f"WholeGpu.count is {count!r}" in strategies.refusal(
        lambda: WholeGpu("NVIDIA-L4", count=count)
    )


def test_tolerations() -> None:
    """All kinds tolerate the taint that NVIDIA's nodes usually have."""
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}

    for gpu in (WholeGpu("NVIDIA-L4"), MigSlice("1g.10gb"), TimeSlicedGpu("NVIDIA-L4")):
        assert [taint] == gpu.tolerations
    assert [taint] == VirtualGpu().tolerations


def test_all_kinds() -> None:
    """The kinds that are checked for are those of the type, and all are named."""
    assert set(KINDS) == set(get_args(Gpu))
    assert all(kind.__name__ in EXPECTED for kind in KINDS)
    assert all(issubclass(kind, Accelerator) for kind in KINDS)


def test_frozen() -> None:
    """An accelerator cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        WholeGpu("NVIDIA-L4").count = 2  # type: ignore[misc]  # the point
