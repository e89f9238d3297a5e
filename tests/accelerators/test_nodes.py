"""Nodes: which labels and taints the nodes of a GPU have, and what such labels say."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import (
    AmdGpu,
    Cpu,
    DeviceClaim,
    Drain,
    Gaudi,
    GpuPodSpec,
    IntelGpu,
    MigSlice,
    Nodes,
    TimeSlicedGpu,
    Tpu,
    VirtualGpu,
    VllmConstructsError,
    WholeGpu,
)
from vllm_constructs.accelerators.nodes import (
    Platform,
    labels_of_products,
    platforms,
    products_named,
    products_selected,
)
from vllm_constructs.accelerators.nvidia import catalog

PRODUCT = "nvidia.com/gpu.product"
TYPE = "node.kubernetes.io/instance-type"
GKE = "cloud.google.com/gke-accelerator"
PARTITION = "cloud.google.com/gke-gpu-partition-size"
SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
KARPENTER = "karpenter.k8s.aws/instance-gpu-name"
KARPENTER_MEMORY = "karpenter.k8s.aws/instance-gpu-memory"
AUTO = "eks.amazonaws.com/instance-gpu-name"
AUTO_MEMORY = "eks.amazonaws.com/instance-gpu-memory"
ACK = "aliyun.accelerator/nvidia_name"
VKE = "machine.cluster.vke.volcengine.com/gpu-name"
COREWEAVE = "gpu.nvidia.com/class"

ALL: tuple[Any, ...] = get_args(Platform)
OWN = sorted(platforms())
SPOT = ["aks", "eks", "eks-auto-mode", "gke", "karpenter"]

L4, T4, H100, H200 = "NVIDIA-L4", "Tesla-T4", "NVIDIA-H100-80GB-HBM3", "NVIDIA-H200"
A100, A100_40, A100_PCIE = (
    "NVIDIA-A100-SXM4-80GB",
    "NVIDIA-A100-SXM4-40GB",
    "NVIDIA-A100-80GB-PCIe",
)
V100, V100_32 = "Tesla-V100-SXM2-16GB", "Tesla-V100-SXM2-32GB"
SLICE = MigSlice("1g.10gb", product=A100)
SINGLE = MigSlice("1g.10gb", product=A100, strategy="single")
AMD, INTEL = "amd.com/gpu.product-name", "gpu.intel.com/product"
TPU, TOPOLOGY = "cloud.google.com/gke-tpu-accelerator", "cloud.google.com/gke-tpu-topology"
CPU = Cpu(cores=8, memory_gib=64)
MI300X = AmdGpu("MI300X")
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def taint(key: str, value: str) -> dict[str, str]:
    """Return the toleration of a taint with a value."""
    return {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}


def workload(nodes: Nodes, gpu: Any) -> strategies.Manifest:
    """Return a Pod that runs on these nodes."""
    # A drain that ends before a spot node does.
    drain = Drain(seconds=5, pre_stop=5)
    spec = GpuPodSpec(model="gpt2", gpu=gpu, nodes=nodes, drain=drain).manifest()
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": spec,
    }


LABELS: list[tuple[Any, Any, dict[str, tuple[str, ...]]]] = [
    # GPU feature discovery, whose labels the GPU knows itself.
    ("feature-discovery", WholeGpu(), {}),
    ("feature-discovery", WholeGpu(L4, count=2), {PRODUCT: (L4,)}),
    ("feature-discovery", SLICE, {PRODUCT: (A100,)}),
    ("feature-discovery", SINGLE, {PRODUCT: (f"{A100}-MIG-1g.10gb",)}),
    ("feature-discovery", MigSlice("1g.10gb"), {}),
    ("feature-discovery", TimeSlicedGpu(L4), {PRODUCT: (f"{L4}-SHARED",)}),
    ("feature-discovery", TimeSlicedGpu(L4, renamed=True), {PRODUCT: (L4,)}),
    ("feature-discovery", VirtualGpu(), {"nvidia.com/vgpu.present": ("true",)}),
    # GKE names products, and the parts into which its nodes cut and share them.
    ("gke", WholeGpu(), {}),
    ("gke", WholeGpu(L4), {GKE: ("nvidia-l4",)}),
    ("gke", WholeGpu(T4), {GKE: ("nvidia-tesla-t4",)}),
    ("gke", WholeGpu(A100_40), {GKE: ("nvidia-tesla-a100",)}),
    ("gke", WholeGpu(A100), {GKE: ("nvidia-a100-80gb",)}),
    ("gke", WholeGpu(H100, count=8), {GKE: ("nvidia-h100-80gb", "nvidia-h100-mega-80gb")}),
    ("gke", SINGLE, {GKE: ("nvidia-a100-80gb",), PARTITION: ("1g.10gb",)}),
    (
        "gke",
        TimeSlicedGpu(L4),
        {GKE: ("nvidia-l4",), SHARING: ("time-sharing",), CLIENTS: ("4",)},
    ),
    (
        "gke",
        TimeSlicedGpu(L4, replicas=2, sharing="mps"),
        {GKE: ("nvidia-l4",), SHARING: ("mps",), CLIENTS: ("2",)},
    ),
    # Managed nodes of EKS and AKS are found by instance types that have enough GPUs.
    ("eks", WholeGpu(count=8), {}),
    ("eks", WholeGpu(L4, count=2), {TYPE: ("g6.12xlarge", "g6.24xlarge", "g6.48xlarge")}),
    ("eks", WholeGpu(L4, count=8), {TYPE: ("g6.48xlarge",)}),
    ("eks", WholeGpu(A100_40), {TYPE: ("p4d.24xlarge",)}),
    ("eks", WholeGpu(H100), {TYPE: ("p5.48xlarge", "p5.4xlarge")}),
    ("eks", SLICE, {TYPE: ("p4de.24xlarge",)}),
    ("aks", WholeGpu(), {"kubernetes.azure.com/accelerator": ("nvidia",)}),
    ("aks", WholeGpu(A100_PCIE, count=4), {TYPE: ("Standard_NC96ads_A100_v4",)}),
    # Karpenter and EKS Auto Mode say the memory where the name does not.
    ("karpenter", WholeGpu(), {}),
    ("karpenter", WholeGpu(L4), {KARPENTER: ("l4",)}),
    ("karpenter", WholeGpu(A100), {KARPENTER: ("a100",), KARPENTER_MEMORY: ("81920",)}),
    ("karpenter", WholeGpu(V100), {KARPENTER: ("v100",), KARPENTER_MEMORY: ("16384",)}),
    ("karpenter", SINGLE, {KARPENTER: ("a100",), KARPENTER_MEMORY: ("81920",)}),
    ("karpenter", TimeSlicedGpu(T4), {KARPENTER: ("t4",)}),
    ("eks-auto-mode", WholeGpu(H200, count=8), {AUTO: ("h200",)}),
    ("eks-auto-mode", WholeGpu(A100_40), {AUTO: ("a100",), AUTO_MEMORY: ("40960",)}),
    # Labels of drivers, which name any product.
    ("ack", WholeGpu(L4), {ACK: (L4,)}),
    ("ack", WholeGpu("Some-New-GPU", memory_mib=80000), {ACK: ("Some-New-GPU",)}),
    ("vke", WholeGpu("NVIDIA-A10"), {VKE: ("NVIDIA-A10",)}),
    ("vke", WholeGpu(V100_32), {VKE: ("Tesla-V100",)}),
    ("coreweave", WholeGpu(H100), {COREWEAVE: ("H100_NVLINK_80GB",)}),
    ("coreweave", WholeGpu("NVIDIA-RTX-A6000"), {COREWEAVE: ("RTX_A6000",)}),
    ("any", WholeGpu(L4), {}),
    # Other vendors have labels of their own, and claims need none.
    ("feature-discovery", AmdGpu("MI300X"), {AMD: ("AMD_Instinct_MI300X_OAM",)}),
    ("feature-discovery", AmdGpu(), {}),
    ("any", AmdGpu("MI210"), {}),
    ("feature-discovery", IntelGpu("Max_1550"), {INTEL: ("Max_1550",)}),
    ("feature-discovery", Gaudi("Gaudi3"), {}),
    ("feature-discovery", DeviceClaim(H100), {}),
    ("gke", DeviceClaim(H100), {}),
    ("aks", DeviceClaim(H100, profile="1g.10gb"), {}),
    ("gke", Tpu("v6e", topology="2x2"), {TPU: ("tpu-v6e-slice",), TOPOLOGY: ("2x2",)}),
    ("any", Tpu("v6e", topology="2x2"), {TPU: ("tpu-v6e-slice",), TOPOLOGY: ("2x2",)}),
    ("aks", CPU, {"kubernetes.io/arch": ("amd64",)}),
    ("any", CPU, {"kubernetes.io/arch": ("amd64",)}),
    ("any", VirtualGpu("GRID-A100D-40C"), {}),
]


@pytest.mark.parametrize(("platform", "gpu", "expected"), LABELS)
def test_labels(platform: Any, gpu: Any, expected: dict[str, tuple[str, ...]]) -> None:
    """Each platform has labels of its own for a GPU, and their values are those of its nodes."""
    assert expected == Nodes(platform).labels_for(gpu)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ALL), strategies.whole_gpus() | strategies.shared_gpus(), st.booleans())
def test_pod(platform: Any, gpu: Any, spot: object) -> None:
    """A pod for any platform is valid, and tolerates what these nodes repel."""
    nodes = Nodes(platform, spot=spot is True and platform in SPOT)
    try:
        found = workload(nodes, gpu)
    except VllmConstructsError as error:
        where = f"Nodes({platform!r})"
        assert str(error).startswith(where)  # noqa: PT017  # there may be none
        return

    assert [] == validate(found, releases=["1.27", "1.37"])
    assert found["spec"]["tolerations"] == nodes.tolerations(gpu)


@pytest.mark.parametrize("platform", OWN)
def test_round_trip(platform: Any) -> None:
    """The labels of a product select it, and where a platform cannot tell others from it, both."""
    found = {}
    for product in catalog():
        try:
            found[product] = Nodes(platform).labels_for(WholeGpu(product))
        except VllmConstructsError:
            continue

    assert found
    for product, labels in found.items():
        same = sorted(other for other, theirs in found.items() if theirs == labels)
        assert same == products_selected(labels)
        assert product in same
        assert labels_of_products().intersection(labels)


@pytest.mark.parametrize("platform", OWN)
def test_known_products(platform: str) -> None:
    """The data of a platform is about products of the catalog, and no node has too many GPUs."""
    data = platforms()[platform]
    named = {*data.get("values", {}), *data.get("instances", {}), *data.get("memories", {})}

    assert [] == sorted(named - set(catalog()))
    for product, types in data.get("instances", {}).items():
        assert set(types.values()) <= set(range(1, catalog()[product]["per_node"] + 1))


def test_own_labels() -> None:
    """Labels of the user's own stand instead of those of the product, and stay as they are."""
    given_labels = {"pool": "gpu", "zone": "b"}
    nodes = Nodes("gke", labels=given_labels)
    given_labels["pool"] = "cpu"

    for gpu in (WholeGpu(), WholeGpu("NVIDIA-L40S"), SINGLE):
        assert {"pool": ("gpu",), "zone": ("b",)} == nodes.labels_for(gpu)
    spot = Nodes("eks", labels={"pool": "gpu"}, spot=True).labels_for(WholeGpu())
    assert {"pool": ("gpu",), "eks.amazonaws.com/capacityType": ("SPOT",)} == spot


@pytest.mark.parametrize("platform", ["eks", "karpenter", "eks-auto-mode", "aks"])
def test_instance_types(platform: Any) -> None:
    """Instance types stand instead of those that are known, each once and in their order."""
    nodes = Nodes(platform, instance_types=["g7.xlarge", "g6.xlarge", "g7.xlarge"])

    for gpu in (WholeGpu(), WholeGpu(L4), WholeGpu("Some-New-GPU", memory_mib=80000)):
        assert {TYPE: ("g7.xlarge", "g6.xlarge")} == nodes.labels_for(gpu)


@pytest.mark.parametrize(
    ("platform", "label", "notice", "has_taint"),
    [
        ("aks", ("kubernetes.azure.com/scalesetpriority", "spot"), 30, True),
        ("eks", ("eks.amazonaws.com/capacityType", "SPOT"), 120, False),
        ("eks-auto-mode", ("karpenter.sh/capacity-type", "spot"), 120, False),
        ("gke", ("cloud.google.com/gke-spot", "true"), 15, True),
        ("karpenter", ("karpenter.sh/capacity-type", "spot"), 120, False),
    ],
)
def test_spot(platform: Any, label: tuple[str, str], notice: int, has_taint: object) -> None:
    """Spot nodes have a label more, some a taint, and all end soon after a notice."""
    key, value = label
    plain, spot = Nodes(platform), Nodes(platform, spot=True)
    gpu = WholeGpu(H100)

    assert plain.labels_for(gpu) | {key: (value,)} == spot.labels_for(gpu)
    more = [taint(key, value)] if has_taint else []
    assert plain.tolerations(gpu) + more == spot.tolerations(gpu)
    assert (None, notice) == (plain.notice, spot.notice)


@pytest.mark.parametrize("platform", ALL)
@pytest.mark.parametrize("gpu", [WholeGpu(L4), SINGLE, VirtualGpu()])
def test_tolerations(platform: Any, gpu: Any) -> None:
    """Nodes have the usual taint of GPUs, and those of AKS one more."""
    more = [taint("sku", "gpu")] if platform == "aks" else []

    assert [TAINT, *more] == Nodes(platform).tolerations(gpu)


REFUSED_GPUS: list[tuple[Any, Any, tuple[str, ...]]] = [
    (
        "gke",
        WholeGpu("NVIDIA-L40S"),
        ("no node with NVIDIA-L40S is known, only with", f"{{'{GKE}': ...}}"),
    ),
    (
        "coreweave",
        WholeGpu(L4),
        ("no node with NVIDIA-L4 is known", f"labels={{'{COREWEAVE}': ...}}"),
    ),
    ("karpenter", WholeGpu(A100_PCIE), ("no node with NVIDIA-A100-80GB-PCIe is known",)),
    ("aks", WholeGpu(L4), ("no instance type with NVIDIA-L4 is", "instance_types=[...]")),
    ("aks", WholeGpu("NVIDIA-A10", count=4), ("no instance type with 4 NVIDIA-A10 is known",)),
    ("eks", WholeGpu("Some-New-GPU", memory_mib=80000), ("with Some-New-GPU",)),
    ("gke", SLICE, ("makes no node for 'nvidia.com/mig-1g.10gb'", "MigSlice(strategy='single')")),
    ("karpenter", MigSlice("1g.10gb"), ("'nvidia.com/mig-1g.10gb'", "strategy='single'")),
    ("gke", TimeSlicedGpu(L4, renamed=True), ("'nvidia.com/gpu.shared'", "renamed=False")),
    ("eks-auto-mode", SINGLE, ("has no MigSlice", "use WholeGpu")),
    ("eks-auto-mode", TimeSlicedGpu(L4), ("has no TimeSlicedGpu", "cannot be configured")),
    ("eks-auto-mode", VirtualGpu(), ("has no VirtualGpu",)),
    ("gke", VirtualGpu(), ("has no VirtualGpu", "Nodes(labels={...})")),
    ("ack", VirtualGpu("GRID-A100D-40C"), ("has no VirtualGpu",)),
]


@pytest.mark.parametrize(("platform", "gpu", "words"), REFUSED_GPUS)
def test_refused_gpus(platform: Any, gpu: Any, words: tuple[str, ...]) -> None:
    """A GPU that a platform does not have, or whose label is not known, is rejected with advice."""
    sentence = strategies.refusal(lambda: Nodes(platform).labels_for(gpu))

    assert sentence.startswith(f"Nodes({platform!r})")
    assert [word for word in words if word not in sentence] == [], sentence


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: Nodes("gk"), ("Nodes.platform is 'gk'", "did you mean 'gke'?")),  # type: ignore[arg-type]  # the mistake
    (lambda: Nodes(None), ("Nodes.platform is None", "'feature-discovery'")),  # type: ignore[arg-type]  # the mistake
    (lambda: Nodes(labels={}), ("Nodes.labels is {}", "give Nodes('any')")),
    (lambda: Nodes(labels=["a"]), ("Nodes.labels is ['a']", "a dict of strings")),  # type: ignore[arg-type]  # the mistake
    (lambda: Nodes(labels={"a": 7}), ("Nodes.labels['a'] is 7",)),  # type: ignore[dict-item]  # the mistake
    (lambda: Nodes("eks", instance_types="g6.xlarge"), ("is 'g6.xlarge'", "a list of strings")),
    (lambda: Nodes("eks", instance_types=[""]), ("Nodes.instance_types is ''",)),
    (lambda: Nodes("gke", instance_types=["g2"]), ("Nodes('gke') does not select by it",)),
    (lambda: Nodes(instance_types=["g2"]), ("Nodes('feature-discovery') does not select",)),
    (lambda: Nodes("any", instance_types=["g2"]), ("Nodes('any') does not select by it",)),
    (
        lambda: Nodes("eks", labels={"a": "b"}, instance_types=["g6.xlarge"]),
        ("instance_types is given beside labels", "leave it out"),
    ),
    (lambda: Nodes("eks", spot=1), ("Nodes.spot is 1", "True or False")),  # type: ignore[arg-type]  # the mistake
    (lambda: Nodes(spot=True), ("Nodes.spot is True", "GPU feature discovery", "node_selector")),
    (
        lambda: Nodes("aks").labels_for(MI300X),
        (
            (
                "Nodes('aks') has no labels of nodes with AmdGpu that are known; give their "
                "labels: Nodes(labels={...})."
            ),
        ),
    ),
    (
        lambda: Nodes("karpenter").labels_for(DeviceClaim(H100)),
        ("Nodes('karpenter') has no nodes for pods with device claims", "use WholeGpu"),
    ),
    (
        lambda: Nodes(labels={AMD: "AMD_Instinct_MI325_OAM"}).labels_for(MI300X),
        ("is 'AMD_Instinct_MI325_OAM', a node with MI325X, but gpu is MI300X; change one",),
    ),
    (
        lambda: Nodes(labels={PRODUCT: L4}).labels_for(MI300X),
        (f"is '{L4}', a node with {L4}, but gpu is MI300X; change one of them",),
    ),
    (
        lambda: Nodes(labels={PRODUCT: L4}).labels_for(AmdGpu()),
        (f"is '{L4}', a node with {L4}, but gpu is AmdGpu; change one of them",),
    ),
    (
        lambda: Nodes(labels={AMD: "AMD_Instinct_MI300X_OAM"}).labels_for(WholeGpu(L4)),
        ("a node of another vendor, but gpu is WholeGpu; change one of them",),
    ),
    (
        lambda: Nodes(labels={INTEL: "Max_1100"}).labels_for(IntelGpu("Max_1550")),
        ("is 'Max_1100', a node with Max_1100, but gpu is Max_1550; change one of them",),
    ),
    (
        lambda: Nodes(labels={TPU: "tpu-v5p-slice"}).labels_for(MI300X),
        ("is 'tpu-v5p-slice', a node with v5p, but gpu is MI300X",),
    ),
    (
        lambda: Nodes(labels={TPU: "tpu-v5p-slice"}).labels_for(Tpu("v6e", topology="2x2")),
        ("is 'tpu-v5p-slice', but gpu needs 'tpu-v6e-slice'; change one of them",),
    ),
    (
        lambda: Nodes("eks", instance_types=["p5.48xlarge"]).labels_for(MI300X),
        (f"Nodes.instance_types is 'p5.48xlarge', a node with {H100}, but gpu is MI300X",),
    ),
    (lambda: Nodes("any", spot=True), ("any node has no label of spot nodes",)),
    (lambda: Nodes("coreweave", spot=True), ("CoreWeave has no label of spot nodes",)),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What a platform does not have is rejected with what to give instead."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (PRODUCT, L4, [L4]),
        (PRODUCT, "Some-New-GPU", ["Some-New-GPU"]),
        (TYPE, "g6.xlarge", [L4]),
        (TYPE, "Standard_NC4as_T4_v3", [T4]),
        (TYPE, "m5.large", []),
        (GKE, "nvidia-tesla-a100", [A100_40]),
        (GKE, "nvidia-h100-mega-80gb", [H100]),
        (GKE, "nvidia-tesla-p100", []),
        (KARPENTER, "a100", [A100_40, A100]),
        (KARPENTER, "l40s", ["NVIDIA-L40S"]),
        (AUTO, "v100", [V100, V100_32]),
        (ACK, "NVIDIA-A10", ["NVIDIA-A10"]),
        (ACK, V100, [V100]),
        (VKE, "Tesla-V100", [V100, V100_32]),
        (COREWEAVE, "A100_NVLINK", [A100_40]),
        (COREWEAVE, "L40S", ["NVIDIA-L40S"]),
        ("gpu.nvidia.com/model", "RTX_A6000", ["NVIDIA-RTX-A6000"]),
        ("karpenter.azure.com/sku-gpu-name", "T4", [T4]),
        # A label that names no product, whatever its value.
        ("topology.kubernetes.io/zone", "l4", []),
        ("kubernetes.azure.com/accelerator", "nvidia", []),
        (KARPENTER_MEMORY, "81920", []),
    ],
)
def test_products_named(key: str, value: str, expected: list[str]) -> None:
    """A label names the products that it can mean, and other labels none."""
    assert expected == products_named(key, value)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(labels_of_products() - {PRODUCT})), strategies.label_values())
def test_any_value(key: str, value: str) -> None:
    """Any value of a label means products of the catalog, or none."""
    found = products_named(key, value)

    assert sorted(set(found)) == found
    assert set(found) <= set(catalog())


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, []),
        ({"topology.kubernetes.io/zone": ["a"]}, []),
        ({PRODUCT: [L4, T4]}, [L4, T4]),
        ({PRODUCT: []}, []),
        ({TYPE: ["g6.xlarge", "g6e.xlarge"]}, [L4, "NVIDIA-L40S"]),
        # Several labels together allow what each of them allows.
        ({PRODUCT: [L4], GKE: ["nvidia-l4"]}, [L4]),
        ({PRODUCT: [L4, T4], TYPE: ["g6.xlarge"], "zone": ["a"]}, [L4]),
        ({PRODUCT: [L4], GKE: ["nvidia-tesla-t4"]}, []),
        # The memory tells products of one name apart, and says nothing alone.
        ({KARPENTER: ["a100"]}, [A100_40, A100]),
        ({KARPENTER: ["a100"], KARPENTER_MEMORY: ["81920"]}, [A100]),
        ({KARPENTER_MEMORY: ["40960"], KARPENTER: ["a100"]}, [A100_40]),
        ({KARPENTER: ["a100"], KARPENTER_MEMORY: ["40960", "81920"]}, [A100_40, A100]),
        ({AUTO: ["v100"], AUTO_MEMORY: ["32768"]}, [V100_32]),
        ({KARPENTER: ["a100", "l4"], KARPENTER_MEMORY: ["81920"]}, [A100, L4]),
        ({KARPENTER_MEMORY: ["81920"]}, []),
    ],
)
def test_products_selected(labels: dict[str, list[str]], expected: list[str]) -> None:
    """All labels of a pod together select the products that it may get."""
    assert expected == products_selected(labels)


def test_labels_of_products() -> None:
    """The label of each platform names products, and labels beside it do not."""
    found = labels_of_products()

    assert {PRODUCT, TYPE, GKE, KARPENTER, AUTO, ACK, VKE, COREWEAVE} <= found
    assert not found & {PARTITION, SHARING, KARPENTER_MEMORY, "kubernetes.azure.com/accelerator"}


@pytest.mark.parametrize(
    ("gpu", "labels"),
    [
        (AmdGpu("MI210"), {AMD: "AMD_Instinct_MI210"}),
        # The node labeller spells a product in a way that is not documented.
        (AmdGpu("MI210"), {AMD: "Aldebaran"}),
        (AmdGpu(), {AMD: "AMD_Instinct_MI300X_OAM"}),
        (IntelGpu("Arc_B580"), {INTEL: "Battlemage"}),
        (CPU, {PRODUCT: L4}),
        (Gaudi("Gaudi3"), {"habana.ai/product.name": "HL-325L"}),
    ],
)
def test_labels_of_others(gpu: Any, labels: dict[str, str]) -> None:
    """Labels of one's own are taken where they contradict nothing that is known."""
    found = Nodes(labels=labels).labels_for(gpu)

    assert {key: (value,) for key, value in labels.items()}.items() <= found.items()


def test_instance_types_of_others() -> None:
    """Instance types find nodes of other vendors, whose labels a cloud does not have."""
    nodes = Nodes("aks", instance_types=["Standard_ND96isr_MI300X_v5"])

    assert {TYPE: ("Standard_ND96isr_MI300X_v5",)} == nodes.labels_for(MI300X)
    assert ["amd.com/gpu", "sku"] == [one["key"] for one in nodes.tolerations(MI300X)]
