"""Tpu: the chips of one host of GKE."""

import math
from typing import Any

import pytest

from tests import strategies
from vllm_constructs import EngineArgs, GpuPodSpec, Nodes, Tpu
from vllm_constructs.accelerators.google import ACCELERATOR, RESOURCE, TOPOLOGY, TPUS

TAINT = {"key": "google.com/tpu", "operator": "Exists", "effect": "NoSchedule"}
# Product and topology of all hosts.
HOSTS = [(product, one) for product, tpu in TPUS.items() for one in tpu["topologies"]]


def spec(gpu: Tpu, **options: Any) -> dict[str, Any]:
    """Return the `spec` of a pod."""
    return GpuPodSpec(model="a/b", gpu=gpu, **options).manifest()


def test_facts() -> None:
    """Resource and labels are those of GKE."""
    others = strategies.facts("accelerators.json")["other_accelerators"]
    known = next(one for one in others if one["vendor"] == "google-tpu")

    assert RESOURCE == known["resource"]
    assert [ACCELERATOR, TOPOLOGY] == known["labels"]
    assert set(known["label_values"]) <= {tpu["label"] for tpu in TPUS.values()}


@pytest.mark.parametrize(
    ("product", "mib"), [("v4", 32), ("v5e", 16), ("v5p", 95), ("v6e", 32), ("tpu7x", 96)]
)
def test_memory(product: str, mib: int) -> None:
    """The memory is that of one device, of which a chip of tpu7x has two."""
    topology = TPUS[product]["topologies"][0]

    assert mib * 1024 == Tpu(product, topology=topology).device_mib


@pytest.mark.parametrize(("product", "topology"), HOSTS)
def test_pod(product: str, topology: str) -> None:
    """A pod requests all chips of its host, and the engine is split over all devices."""
    gpu = Tpu(product, topology=topology)
    found = spec(gpu)
    (container,) = found["containers"]
    chips = math.prod(int(side) for side in topology.split("x"))
    devices = chips * (2 if product == "tpu7x" else 1)

    assert str(chips) == container["resources"]["limits"]["google.com/tpu"]
    assert (chips, devices, chips) == (gpu.count, gpu.devices, gpu.most)
    assert (f"--tensor-parallel-size={devices}" in container["args"]) is (devices > 1)
    assert {ACCELERATOR: TPUS[product]["label"], TOPOLOGY: topology} == found["nodeSelector"]
    assert [TAINT] == found["tolerations"]
    # The entry point of the image runs its arguments.
    assert ["vllm", "serve"] == container["command"]
    assert "vllm/vllm-tpu:v0.32.0" == container["image"]


def test_label() -> None:
    """The value of the node label is another name of the product."""
    assert Tpu("v6e", topology="2x4") == Tpu("tpu-v6e-slice", topology="2x4")


@pytest.mark.parametrize("nodes", [Nodes(), Nodes("any"), Nodes("gke"), Nodes(labels={"a": "b"})])
def test_nodes(nodes: Nodes) -> None:
    """GKE needs both labels, however else the nodes are chosen."""
    found = spec(Tpu("v5e", topology="2x2"), nodes=nodes)["nodeSelector"]

    assert {ACCELERATOR: "tpu-v5-lite-podslice", TOPOLOGY: "2x2"}.items() <= found.items()
    assert set(found) - {ACCELERATOR, TOPOLOGY} == set(nodes.labels or {})


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (
        lambda: Tpu("v7", topology="2x2"),
        ("Tpu.product is 'v7'; expected one of 'v4', 'v5e', 'v5p', 'v6e', 'tpu7x'",),
    ),
    (lambda: Tpu(None, topology="2x2"), ("Tpu.product is None; expected one of",)),  # type: ignore[arg-type]  # the mistake
    (lambda: Tpu("v6e"), ("Tpu.topology is missing; give Tpu(topology=...).",)),  # type: ignore[call-arg]  # the mistake
    (
        lambda: Tpu("v6e", topology="2 x 4"),
        ("Tpu.topology is '2 x 4'; expected a topology such as '2x4'",),
    ),
    (lambda: Tpu("v6e", topology="0x1"), ("Tpu.topology is '0x1'; expected a topology",)),
    (
        lambda: Tpu("v6e", topology="4x4"),
        (
            (
                "Tpu.topology is '4x4', which no single host of v6e has; expected '1x1' or "
                "'2x2' or "
                "'2x4'; an engine over several hosts needs a pod on each."
            ),
        ),
    ),
    (
        lambda: Tpu("v6e", topology="2x2", count=2),  # type: ignore[call-arg]  # the mistake
        ("Tpu has no option 'count'; it has product, topology.",),
    ),
    (
        lambda: spec(Tpu("v6e", topology="2x2"), engine=EngineArgs(tensor_parallel_size=2)),
        (
            (
                "EngineArgs needs 2 devices (tensor 2 x pipeline 1 x data 1), but the pod "
                "has 4; leave "
                "tensor_parallel_size out to use them all; the topology says how many there are."
            ),
        ),
    ),
    (
        lambda: spec(Tpu("tpu7x", topology="2x2x1"), engine=EngineArgs(tensor_parallel_size=4)),
        ("needs 4 devices", "but the pod has 8", "the topology says how many there are"),
    ),
    (
        lambda: spec(Tpu("v6e", topology="2x2"), nodes=Nodes("aks")),
        (
            (
                "Nodes('aks') has no labels of nodes with Tpu that are known; give their labels: "
                "Nodes(labels={...})."
            ),
        ),
    ),
    (
        lambda: spec(Tpu("v6e", topology="2x2"), nodes=Nodes(labels={TOPOLOGY: "2x4"})),
        (f"Nodes.labels['{TOPOLOGY}'] is '2x4', but gpu needs '2x2'; change one of them.",),
    ),
    (
        lambda: spec(Tpu("v6e", topology="2x2"), env={"VLLM_PLUGINS": "lora_hf_hub_resolver"}),
        ("env['VLLM_PLUGINS'] is 'lora_hf_hub_resolver', without the plugin for TPU",),
    ),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is refused with what to do."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
