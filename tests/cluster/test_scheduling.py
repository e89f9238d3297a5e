"""Which nodes pods get, by the real scheduler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from vllm_constructs import (
    Drain,
    EngineArgs,
    ExistingClaim,
    GpuSmokeTest,
    MigSlice,
    ModelDeployment,
    TimeSlicedGpu,
    Toleration,
    WholeGpu,
)
from vllm_constructs import Nodes as GpuNodes

from .conftest import NEWEST, documents, rendered
from .kubectl import Kubectl, make_namespace, wait_for
from .nodes import (
    PLATFORMS,
    Manifest,
    condition,
    cpu_node,
    gpu_node,
    mig_node,
    platform_node,
    shared_node,
    volume,
)

pytestmark = [
    pytest.mark.parametrize("bed", [NEWEST], indirect=True),
    pytest.mark.usefixtures("cluster"),
]

ROOT = Path(__file__).parents[2]
A100 = "NVIDIA-A100-80GB-PCIe"
H100 = "NVIDIA-H100-80GB-HBM3"
L40S = "NVIDIA-L40S"
WEIGHTS = ExistingClaim("weights")

Nodes = Callable[..., None]


def ready(pods: list[Manifest]) -> list[Manifest]:
    """The pods that are ready."""
    return [pod for pod in pods if condition(pod, "Ready").get("status") == "True"]


def provide(kubectl: Kubectl, chart: list[Manifest], namespace: str) -> list[Manifest]:
    """Provide the claims of an app, or one called `weights`, and give what has to go again."""
    metadata = {"name": "weights", "namespace": namespace}
    own = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Ti"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": own}
    claims = [item for item in chart if item["kind"] == claim["kind"]] or [claim]
    volumes = [volume(item) for item in claims]
    kubectl.apply(volumes)
    kubectl.apply([{**item, "spec": {"storageClassName": "", **item["spec"]}} for item in claims])
    return [*claims, *volumes]


def settled(kubectl: Kubectl, namespace: str, pods: int, seconds: float = 60) -> list[Manifest]:
    """Wait until so many pods are ready."""

    def found() -> list[Manifest]:
        those = ready(kubectl.running("pods", namespace))
        return those if len(those) == pods else []

    return wait_for(f"{pods} ready pods", found, seconds)


def pending(kubectl: Kubectl, namespace: str) -> str:
    """Why the one pod that waits does so, in the scheduler's words."""

    def reason() -> str:
        waiting = [
            condition(pod, "PodScheduled")
            for pod in kubectl.running("pods", namespace)
            if "nodeName" not in pod["spec"]
        ]
        return waiting[0].get("message", "") if waiting else ""

    return wait_for("a pod that cannot be scheduled", reason)


def hosts(pods: list[Manifest]) -> Counter[str]:
    """How many pods each node has."""
    return Counter(pod["spec"]["nodeName"] for pod in pods)


@pytest.mark.parametrize(
    ("gpu", "node"),
    [
        (WholeGpu(A100), "a100"),
        (WholeGpu(H100, count=4), "h100"),
        (MigSlice("1g.10gb", product=A100), "mig"),
        (TimeSlicedGpu("NVIDIA-A10", replicas=4), "shared"),
    ],
    ids=["whole", "four", "slice", "shared"],
)
def test_product(
    kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str, gpu: Any, node: str
) -> None:
    """A pod gets a node with its product, slice or share, past the taint, and no other."""
    nodes(
        cpu_node("cpu"),
        gpu_node("l40s", L40S, 8),
        gpu_node("a100", A100, 2),
        gpu_node("h100", H100, 8),
        mig_node("mig", A100, "1g.10gb", 7),
        shared_node("shared", "NVIDIA-A10", 1, 4),
    )
    ModelDeployment(chart, "qwen", model="a/b", gpu=gpu, engine=EngineArgs(max_model_len=4096))
    kubectl.apply(rendered(chart))

    assert {node: 1} == hosts(settled(kubectl, namespace, 1))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_platform(
    kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str, platform: Any
) -> None:
    """Nodes of a cloud are found by its own labels, and no other node is taken."""
    gpu = WholeGpu(PLATFORMS[platform][0], count=2)
    nodes(gpu_node("other", "NVIDIA-H20", 8), platform_node("wanted", platform, spot=False))
    ModelDeployment(chart, "qwen", model="a/b", gpu=gpu, nodes=GpuNodes(platform))
    kubectl.apply(rendered(chart))

    assert {"wanted": 1} == hosts(settled(kubectl, namespace, 1))


@pytest.mark.parametrize("platform", [name for name, found in PLATFORMS.items() if found[3]])
def test_spot(kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str, platform: Any) -> None:
    """Spot nodes are taken where they are asked for, past their taint."""
    gpu = WholeGpu(PLATFORMS[platform][0])
    nodes(
        platform_node("ordinary", platform, spot=False), platform_node("spot", platform, spot=True)
    )
    ModelDeployment(
        chart,
        "qwen",
        model="a/b",
        gpu=gpu,
        nodes=GpuNodes(platform, spot=True),
        drain=Drain(seconds=10, pre_stop=1),
    )
    kubectl.apply(rendered(chart))

    assert {"spot": 1} == hosts(settled(kubectl, namespace, 1))


def test_no_product(kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str) -> None:
    """Where no node has the product, the pod waits, and the reason says so."""
    nodes(cpu_node("cpu"), gpu_node("l40s", L40S, 8))
    ModelDeployment(chart, "qwen", model="a/b", gpu=WholeGpu(A100))
    kubectl.apply(rendered(chart))

    assert "didn't match Pod's node affinity/selector" in pending(kubectl, namespace)


def test_no_gpus(kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str) -> None:
    """Where the GPUs are in use, the last pod waits, and the reason names the resource."""
    nodes(cpu_node("cpu"), gpu_node("l40s", L40S, 3))
    ModelDeployment(
        chart, "qwen", model="a/b", gpu=WholeGpu(L40S, count=2), replicas=2, cache=WEIGHTS
    )
    provide(kubectl, [], namespace)
    kubectl.apply(rendered(chart))

    assert "Insufficient nvidia.com/gpu" in pending(kubectl, namespace)
    assert {"l40s": 1} == hosts(settled(kubectl, namespace, 1))


def test_no_toleration(kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str) -> None:
    """Another taint keeps pods away until it is tolerated."""
    tainted = gpu_node("l40s", L40S, 1)
    pool = {"key": "example.com/pool", "value": "batch", "effect": "NoSchedule"}
    tainted["spec"]["taints"].append(pool)
    nodes(cpu_node("cpu"), tainted)
    ModelDeployment(chart, "qwen", model="a/b", gpu=WholeGpu(L40S))
    kubectl.apply(rendered(chart))
    assert "untolerated taint" in pending(kubectl, namespace)

    other = Chart(App(), "other", namespace=namespace)
    accepted = [Toleration(key="example.com/pool", value="batch")]
    ModelDeployment(other, "coder", model="a/b", gpu=WholeGpu(L40S), tolerations=accepted)
    kubectl.apply(rendered(other))
    assert {"l40s": 1} == hosts(settled(kubectl, namespace, 1))


def test_spread(kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str) -> None:
    """Replicas spread over hosts, and still fill them where there are fewer hosts."""
    nodes(cpu_node("cpu"), *(gpu_node(f"l40s-{number}", L40S, 8) for number in range(3)))
    model = ModelDeployment(
        chart, "qwen", model="a/b", gpu=WholeGpu(L40S), replicas=6, cache=WEIGHTS
    )
    provide(kubectl, [], namespace)
    kubectl.apply(rendered(chart))
    assert [2, 2, 2] == sorted(hosts(settled(kubectl, namespace, 6)).values())

    kubectl.run("scale", f"deployment/{model.name}", "--replicas=24", "-n", namespace)
    assert [8, 8, 8] == sorted(hosts(settled(kubectl, namespace, 24)).values())


def test_smoke(kubectl: Kubectl, chart: Chart, nodes: Nodes, namespace: str) -> None:
    """The GPU smoke test runs on a GPU node, and ends."""
    nodes(cpu_node("cpu"), gpu_node("a100", A100, 1))
    GpuSmokeTest(chart, "gpu-test", gpu=WholeGpu(A100))
    kubectl.apply(rendered(chart))

    def ended() -> list[Manifest]:
        found = kubectl.items("pods", namespace)
        return [pod for pod in found if pod["status"].get("phase") == "Succeeded"]

    assert {"a100": 1} == hosts(wait_for("the end", ended))
    kubectl.delete(rendered(chart))


EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/dist"))


@pytest.mark.parametrize("folder", [ROOT, *EXAMPLES], ids=lambda path: path.name)
def test_apps(kubectl: Kubectl, nodes: Nodes, folder: Path) -> None:
    """All pods of dist/ and of each example are made, scheduled where they belong, and ready."""
    found = [
        item
        for item in documents(*sorted((folder / "dist").glob("*.yaml")))
        if item["kind"] in ("Deployment", "PersistentVolumeClaim", "ConfigMap", "Pod", "Job")
    ]
    present = {item["metadata"]["name"] for item in kubectl.items("namespaces")}
    for where in sorted({item["metadata"]["namespace"] for item in found} - present):
        make_namespace(kubectl, where)
    nodes(
        cpu_node("cpu"),
        gpu_node("l4", "NVIDIA-L4", 2),
        gpu_node("l40s", L40S, 8),
        gpu_node("a100", A100, 8),
        gpu_node("h100", H100, 8),
        gpu_node("h100-2", H100, 8),
        mig_node("mig", A100, "1g.10gb", 7),
        shared_node("shared", "NVIDIA-A10", 1, 4),
    )
    models = [item for item in found if item["kind"] == "Deployment"]
    (where,) = {item["metadata"]["namespace"] for item in models}
    storage = provide(kubectl, found, where)
    kubectl.apply([item for item in found if item["kind"] != "PersistentVolumeClaim"])
    try:
        wanted = sum(item["spec"].get("replicas", 1) for item in models)
        selectors = [item["spec"]["selector"]["matchLabels"] for item in models]

        def engines() -> list[Manifest]:
            pods = [
                pod
                for pod in ready(kubectl.running("pods", where))
                if any(one.items() <= pod["metadata"]["labels"].items() for one in selectors)
            ]
            return pods if len(pods) == wanted else []

        for pod in wait_for(f"{wanted} engines", engines):
            limits = pod["spec"]["containers"][0]["resources"]["limits"]
            host = kubectl.get("node", pod["spec"]["nodeName"])
            devices = [name for name in limits if name.startswith("nvidia.com/")]
            # A model on CPUs has none.
            assert len(devices) == (0 if "kubernetes.io/arch" in pod["spec"]["nodeSelector"] else 1)
            for name in devices:
                assert int(host["status"]["allocatable"][name]) >= int(limits[name])
            assert pod["spec"]["nodeSelector"].items() <= host["metadata"]["labels"].items()
    finally:
        kubectl.delete(item for item in found if item["kind"] != "PersistentVolumeClaim")
        wait_for("pods to go", lambda: not kubectl.items("pods", where))
        kubectl.delete(storage)
