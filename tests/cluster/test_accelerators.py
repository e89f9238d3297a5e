"""Which nodes pods of other accelerators get, and which devices are claimed, by the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdk8s import App, Chart

from vllm_constructs import (
    AmdGpu,
    Cpu,
    DeviceClaim,
    Gaudi,
    IntelGpu,
    Kubernetes,
    ModelDeployment,
    Tpu,
    WholeGpu,
)
from vllm_constructs import Nodes as GpuNodes
from vllm_constructs.kube.names import sanitized

from .conftest import NEWEST, rendered
from .kubectl import Kubectl
from .nodes import Manifest, gpu_node, node
from .test_scheduling import WEIGHTS, Nodes, hosts, pending, provide, settled

pytestmark = pytest.mark.usefixtures("cluster")
newest = pytest.mark.parametrize("bed", [NEWEST], indirect=True)
# The oldest release at hand that has resource.k8s.io/v1, and the newest one.
dra = pytest.mark.parametrize("bed", ["1.34", NEWEST], indirect=True)

L40S, H100 = "NVIDIA-L40S", "NVIDIA-H100-80GB-HBM3"
GAUDI: dict[str, Any] = {"image": "registry.example.com/vllm-gaudi:0.26.0", "vllm": "0.26.0"}
ARM, X86 = {"kubernetes.io/arch": "arm64"}, {"kubernetes.io/arch": "amd64"}
TPU = "cloud.google.com/gke-tpu-accelerator"
TOPOLOGY = "cloud.google.com/gke-tpu-topology"


def device_node(name: str, resource: str, count: int, labels: dict[str, str]) -> Manifest:
    """A node of another vendor, tainted with the name of its resource."""
    made = node(name, labels=X86 | labels, gpus={resource: count})
    made["spec"]["taints"] = [{"key": resource, "value": "present", "effect": "NoSchedule"}]
    return made


NODES = (
    node("arm", labels=ARM, gpus={}),
    node("x86", labels=X86, gpus={}),
    gpu_node("nvidia", H100, 8),
    device_node(
        "mi300x", "amd.com/gpu", 8, {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}
    ),
    device_node("mi325x", "amd.com/gpu", 8, {"amd.com/gpu.product-name": "AMD_Instinct_MI325_OAM"}),
    device_node("max", "gpu.intel.com/xe", 4, {"gpu.intel.com/product": "Max_1550"}),
    device_node("arc", "gpu.intel.com/i915", 4, {"gpu.intel.com/product": "Arc_Pro_B60"}),
    device_node("gaudi", "habana.ai/gaudi", 8, {}),
    device_node("v6e-4", "google.com/tpu", 4, {TPU: "tpu-v6e-slice", TOPOLOGY: "2x2"}),
    device_node("v6e-8", "google.com/tpu", 8, {TPU: "tpu-v6e-slice", TOPOLOGY: "2x4"}),
    device_node("v5e", "google.com/tpu", 4, {TPU: "tpu-v5-lite-podslice", TOPOLOGY: "2x2"}),
)
PLACED: dict[str, tuple[Any, str]] = {
    "amd": (AmdGpu("MI325X", count=8), "mi325x"),
    "intel": (IntelGpu("Max_1550", count=2), "max"),
    "older driver": (IntelGpu("Arc_Pro_B60", driver="i915"), "arc"),
    "gaudi": (Gaudi("Gaudi3", count=8), "gaudi"),
    "tpu": (Tpu("v6e", topology="2x4"), "v6e-8"),
    "tpu of another kind": (Tpu("v5e", topology="2x2"), "v5e"),
    "cpu": (Cpu(cores=32, memory_gib=128), "x86"),
    "arm": (Cpu(cores=32, memory_gib=128, architecture="arm64"), "arm"),
}


@newest
def test_product(kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str) -> None:
    """Pods of each accelerator are admitted and get its node, past its taint, and no other."""
    nodes(*NODES)
    for name, (gpu, _) in PLACED.items():
        own: dict[str, Any] = GAUDI if isinstance(gpu, Gaudi) else {}
        ModelDeployment(chart, sanitized(name), model="a/b", gpu=gpu, cache=WEIGHTS, **own)
    provide(kubectl, [], namespace)

    assert [] == kubectl.apply(rendered(chart))
    found = settled(kubectl, namespace, len(PLACED))

    got = {pod["metadata"]["labels"]["app.kubernetes.io/instance"]: pod for pod in found}
    assert {sanitized(name): where for name, (_, where) in PLACED.items()} == {
        name: pod["spec"]["nodeName"] for name, pod in got.items()
    }
    assert "Guaranteed" == got["cpu"]["status"].get("qosClass")


@newest
@pytest.mark.parametrize(
    ("gpu", "options", "reason"),
    [
        (AmdGpu("MI300X"), {}, "didn't match Pod's node affinity/selector"),
        (AmdGpu(), {}, "Insufficient amd.com/gpu"),
        (Tpu("v6e", topology="2x2"), {}, "didn't match Pod's node affinity/selector"),
        (Gaudi(), GAUDI, "Insufficient habana.ai/gaudi"),
    ],
    ids=["product", "vendor", "topology", "gaudi"],
)
def test_other_nodes(
    kubectl: Kubectl,
    chart: Chart,
    nodes: Nodes,
    namespace: str,
    gpu: Any,
    options: dict[str, Any],
    reason: str,
) -> None:
    """A pod gets no node of another vendor, product or topology."""
    others = ("x86", "nvidia", "max", "v6e-8")
    nodes(*(one for one in NODES if one["metadata"]["name"] in others))
    ModelDeployment(chart, "qwen", model="a/b", gpu=gpu, **options)
    kubectl.apply(rendered(chart))

    assert reason in pending(kubectl, namespace)


def device_class(name: str, kind: str) -> Manifest:
    """A class as NVIDIA's driver makes it."""
    expression = (
        f"device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].type == '{kind}'"
    )
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": {"selectors": [{"cel": {"expression": expression}}]},
    }


def device(name: str, product: str, memory: str, profile: str | None = None) -> Manifest:
    """A device as NVIDIA's driver publishes it: the name of its product has spaces."""
    attributes = {
        "type": {"string": "gpu" if profile is None else "mig"},
        "productName": {"string": product},
        "uuid": {"string": f"GPU-{name}"},
        "brand": {"string": "Nvidia"},
        "architecture": {"string": "Hopper"},
        "cudaComputeCapability": {"version": "9.0.0"},
        "driverVersion": {"version": "580.105.8"},
    }
    if profile is not None:
        attributes["profile"] = {"string": profile}
        attributes["parentUUID"] = {"string": "GPU-parent"}
    return {"name": name, "attributes": attributes, "capacity": {"memory": {"value": memory}}}


def resource_slice(where: str, *devices: Manifest) -> Manifest:
    """What the driver on a node has."""
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{where}-gpu"},
        "spec": {
            "driver": "gpu.nvidia.com",
            "nodeName": where,
            "pool": {"name": where, "generation": 1, "resourceSliceCount": 1},
            "devices": list(devices),
        },
    }


Claims = Callable[..., Chart]


@pytest.fixture
def claims(kubectl: Kubectl, nodes: Nodes, namespace: str) -> Iterator[Claims]:
    """Nodes without a device plugin and with the DRA driver, and a chart for such a cluster."""
    h100, l40s = "NVIDIA H100 80GB HBM3", "NVIDIA L40S"
    made = [
        device_class("gpu.nvidia.com", "gpu"),
        device_class("mig.nvidia.com", "mig"),
        resource_slice("l40s", *(device(f"gpu-{n}", l40s, "46068Mi") for n in range(4))),
        resource_slice("h100", *(device(f"gpu-{n}", h100, "81559Mi") for n in range(2))),
        resource_slice(
            "mig",
            device("gpu-0-mig-1", h100, "10Gi", "1g.10gb"),
            device("gpu-0-mig-3", h100, "40Gi", "3g.40gb"),
        ),
    ]
    machines = [node(name, labels={}, gpus={}) for name in ("cpu", "l40s", "h100", "mig")]
    for one in machines[1:]:
        one["spec"]["taints"] = [
            {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
        ]
    nodes(*machines)
    kubectl.apply(made)

    def chart() -> Chart:
        app = App()
        Kubernetes("1.34").set_on(app)
        return Chart(app, "test", namespace=namespace)

    yield chart
    kubectl.delete_all("deployments", namespace)
    kubectl.delete(made)


def allocated(kubectl: Kubectl, namespace: str) -> dict[tuple[str, str], int]:
    """The devices of all claims, each with the pods for which it is reserved."""
    found = {}
    for claim in kubectl.items("resourceclaims", namespace):
        for one in claim["status"]["allocation"]["devices"]["results"]:
            found[one["pool"], one["device"]] = len(claim["status"]["reservedFor"])
    return found


@dra
def test_claims(kubectl: Kubectl, claims: Claims, namespace: str) -> None:
    """A claim finds its product by the name that the driver gives it, and its MIG profile."""
    chart = claims()
    options: dict[str, Any] = {"model": "a/b", "cache": WEIGHTS}
    ModelDeployment(chart, "one", gpu=DeviceClaim(L40S), **options)
    ModelDeployment(chart, "two", gpu=DeviceClaim(H100, count=2), **options)
    ModelDeployment(chart, "slice", gpu=DeviceClaim(H100, profile="3g.40gb"), **options)
    shared = DeviceClaim(L40S, shared_by=2)
    ModelDeployment(chart, "shared", gpu=shared, replicas=2, **options)
    provide(kubectl, [], namespace)

    assert [] == kubectl.apply(rendered(chart))
    found = settled(kubectl, namespace, 5)

    assert {"l40s": 3, "h100": 1, "mig": 1} == hosts(found)
    devices = allocated(kubectl, namespace)
    own = {("h100", "gpu-0"): 1, ("h100", "gpu-1"): 1, ("mig", "gpu-0-mig-3"): 1}
    assert own.items() <= devices.items()
    # One GPU of its own, and one that both replicas of the other model have.
    assert [1, 2] == sorted(pods for (pool, _), pods in devices.items() if pool == "l40s")


@dra
@pytest.mark.parametrize(
    "gpu",
    [DeviceClaim("NVIDIA-H200"), DeviceClaim(H100, profile="7g.80gb"), DeviceClaim(H100, count=4)],
    ids=["product", "profile", "count"],
)
def test_no_device(kubectl: Kubectl, claims: Claims, namespace: str, gpu: DeviceClaim) -> None:
    """A claim for what no node has is not given anything else."""
    chart = claims()
    ModelDeployment(chart, "qwen", model="a/b", gpu=gpu)
    kubectl.apply(rendered(chart))

    assert "cannot allocate all claims" in pending(kubectl, namespace)


@newest
def test_plugin_beside_driver(
    kubectl: Kubectl, claims: Claims, namespace: str, nodes: Nodes
) -> None:
    """Pods of the device plugin and pods with claims each get the nodes of their own."""
    nodes(gpu_node("plugin", L40S, 2))
    chart = claims()
    options: dict[str, Any] = {"model": "a/b", "cache": WEIGHTS}
    ModelDeployment(chart, "plugin", gpu=WholeGpu(L40S), **options)
    ModelDeployment(chart, "claim", gpu=DeviceClaim(L40S), nodes=GpuNodes("any"), **options)
    provide(kubectl, [], namespace)
    kubectl.apply(rendered(chart))

    assert {"plugin": 1, "l40s": 1} == hosts(settled(kubectl, namespace, 2))
