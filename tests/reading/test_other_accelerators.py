"""Accelerators of other vendors, CPUs and device claims, as manifests say them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from cdk8s import App, Chart
from hypothesis import given, reject, settings

from tests import strategies
from vllm_constructs import (
    AmdGpu,
    Cpu,
    DeviceClaim,
    EngineArgs,
    Gaudi,
    GpuPodSpec,
    IntelGpu,
    Kubernetes,
    ModelDeployment,
    Nodes,
    Rollout,
    Tpu,
    VllmConstructsError,
)
from vllm_constructs.cli import plan_table
from vllm_constructs.memory import fit
from vllm_constructs.reading.other_accelerators import of_claims, of_cpus, of_resources
from vllm_constructs.reading.workloads import DeployedModel, deployed_models
from vllm_constructs.workloads import deployment
from vllm_constructs.workloads.plan_annotations import PlanAnnotations, make_plan_annotations
from vllm_constructs.workloads.workload import Workload

QWEN = "Qwen/Qwen2.5-0.5B-Instruct"
TARGET = Kubernetes("1.34")
NONE = PlanAnnotations()
AMD, INTEL = "amd.com/gpu.product-name", "gpu.intel.com/product"
TPU, TOPOLOGY = "cloud.google.com/gke-tpu-accelerator", "cloud.google.com/gke-tpu-topology"
H100, L40S = "NVIDIA-H100-80GB-HBM3", "NVIDIA-L40S"


def objects(pod: GpuPodSpec) -> list[dict[str, Any]]:
    """Return what a chart makes of a pod: its Deployment and its claim."""
    workload = Workload(name="qwen")
    annotations = make_plan_annotations(
        gpu=pod.gpu, nodes=pod.all_node_labels, vllm=pod.vllm, shape=None
    )
    found = deployment.manifest(
        workload=workload,
        pod=pod,
        replicas=1,
        rollout=Rollout(),
        labels={},
        annotations=annotations,
        kubernetes=TARGET,
        config_map_name=None,
        scrape_hints=True,
        root_path=None,
    )
    claim = deployment.claim(workload, pod)
    return [found] if claim is None else [found, claim]


def check_same(pod: GpuPodSpec) -> None:
    """Fail unless the manifests of a pod give its accelerator and its memory plan."""
    made = objects(pod)
    text = yaml.safe_dump_all(made)
    (found,) = deployed_models(list(yaml.safe_load_all(text)))
    ours, theirs = (
        (type(one), one.product, one.devices, one.share) if one else None
        for one in (pod.gpu, found.gpu)
    )
    assert ours == theirs, found.problem
    expected = fit.check_fit("a pod", pod, None)
    assert expected is not None
    row = plan_table.row(found, {})
    assert row.plan is not None, row.reason
    assert expected.as_dict() == row.plan.as_dict()


@pytest.mark.parametrize("nodes", [Nodes("any"), Nodes(labels={"pool": "a"})], ids=str)
@settings(max_examples=25, deadline=None)
@given(gpu=strategies.device_claims() | strategies.other_accelerators())
@pytest.mark.filterwarnings("ignore::vllm_constructs.VllmConstructsWarning")
def test_same_plan(gpu: Any, nodes: Nodes) -> None:
    """The plan of what an app renders is that of the app, wherever its nodes are."""
    engine = EngineArgs(max_model_len=1024)
    try:
        pod = GpuPodSpec(
            model=QWEN, gpu=gpu, nodes=nodes, engine=engine, **strategies.image_for(gpu)
        )
        fit.check_fit("a pod", pod, None)
    except VllmConstructsError:
        # 14 heads cannot be split over all numbers of devices, and small ones are full.
        reject()
    check_same(pod)


@pytest.mark.parametrize(
    "gpu",
    [
        AmdGpu("MI300X", count=2),
        AmdGpu("AMD_Instinct_MI999X", memory_mib=65536),
        IntelGpu("Max_1550", count=2),
        IntelGpu("Arc_Pro_B60", driver="i915"),
        Gaudi("Gaudi3"),
        Gaudi("Gaudi2"),
        Tpu("v6e", topology="1x1"),
        Tpu("tpu7x", topology="1x1x1"),
        Cpu(cores=32, memory_gib=64),
        Cpu(cores=32, memory_gib=96, kv_cache_gib=8, numa_nodes=2, architecture="arm64"),
        DeviceClaim(L40S, count=2),
        DeviceClaim(H100, profile="3g.40gb"),
        DeviceClaim(H100, shared_by=2),
        DeviceClaim(H100, profile="3g.40gb", shared_by=2),
        DeviceClaim(L40S, count=2, resource_claim="there"),
        DeviceClaim(H100, profile="1g.10gb", resource_claim="there"),
    ],
    ids=str,
)
def test_same_plan_by_label(gpu: Any) -> None:
    """The label of the product, the claim or an annotation names it."""
    check_same(GpuPodSpec(model=QWEN, gpu=gpu, **strategies.image_for(gpu)))


@pytest.mark.parametrize(
    "options",
    [
        {"gpu": AmdGpu("MI210"), "nodes": Nodes(labels={AMD: "AMD_Instinct_MI210"})},
        {"gpu": AmdGpu("MI210"), "nodes": Nodes(labels={AMD: "Aldebaran"})},
        {
            "gpu": AmdGpu("MI300X"),
            "nodes": Nodes("aks", instance_types=["Standard_ND96isr_MI300X_v5"]),
        },
        {"gpu": Cpu(cores=8, memory_gib=32), "image": "example.com/llm:7", "vllm": "0.33.0"},
        {"gpu": AmdGpu("MI300X"), "image": "example.com/llm:7", "vllm": "0.33.0"},
    ],
    ids=str,
)
def test_same_plan_of_others(options: dict[str, Any]) -> None:
    """Labels and images of one's own change nothing."""
    check_same(GpuPodSpec(model=QWEN, **options))


def test_app() -> None:
    """The plan of a whole app is that of its models."""
    app = App()
    TARGET.set_on(app)
    chart = Chart(app, "llm", namespace="llm")
    model = ModelDeployment(chart, "qwen", model=QWEN, gpu=DeviceClaim(H100, shared_by=2))
    assert model.memory_plan is not None

    (found,) = deployed_models(chart.to_json())

    row = plan_table.row(found, {})
    assert row.plan is not None
    assert model.memory_plan.as_dict() == row.plan.as_dict()


@pytest.mark.parametrize(
    ("counts", "labels", "expected"),
    [
        ({"amd.com/gpu": 8}, {AMD: "AMD_Instinct_MI300X_OAM"}, AmdGpu("MI300X", count=8)),
        ({"amd.com/gpu": 1}, {f"beta.{AMD}": "AMD-Instinct-MI210"}, AmdGpu("MI210")),
        ({"amd.com/gpu": 1}, {}, AmdGpu()),
        ({"gpu.intel.com/xe": 2}, {INTEL: "Max_1550"}, IntelGpu("Max_1550", count=2)),
        ({"gpu.intel.com/i915": 1}, {}, IntelGpu(driver="i915")),
        ({"habana.ai/gaudi": 8}, {"habana.ai/product.name": "Gaudi-3"}, Gaudi("Gaudi3", count=8)),
        ({"habana.ai/gaudi": 1}, {}, Gaudi()),
        (
            {"google.com/tpu": 8},
            {TPU: "tpu-v6e-slice", TOPOLOGY: "2x4"},
            Tpu("v6e", topology="2x4"),
        ),
        ({"google.com/tpu": 8}, {}, None),
        ({"amd.com/gpu": 0, "rdma/ib": 1}, {}, None),
        ({}, {}, None),
    ],
)
def test_resources(counts: dict[str, int], labels: dict[str, str], expected: Any) -> None:
    """Resource and node label of anybody's manifest say which accelerator it is."""
    assert expected == of_resources(counts, labels, NONE)


@pytest.mark.parametrize(
    ("counts", "labels"),
    [
        ({"amd.com/gpu": 1}, {AMD: "AMD_Radeon_Pro_W7900"}),
        ({"gpu.intel.com/xe": 1}, {INTEL: "Flex_170"}),
        ({"google.com/tpu": 4}, {TPU: "tpu-v6e-slice", TOPOLOGY: "4x4"}),
        ({"google.com/tpu": 4}, {TPU: "tpu-v6e-slice"}),
        ({"google.com/tpu": 4}, {TPU: "tpu-v9", TOPOLOGY: "2x2"}),
    ],
)
def test_unknown(counts: dict[str, int], labels: dict[str, str]) -> None:
    """A product that is not known is refused in one sentence."""
    strategies.refusal(lambda: of_resources(counts, labels, NONE))


def test_annotations() -> None:
    """Annotations name what no label does, and the memory of a product of one's own."""
    named = PlanAnnotations(gpu_product="MI210", gpu_memory_mib=None)
    assert AmdGpu("MI210") == of_resources({"amd.com/gpu": 1}, {}, named)
    own = PlanAnnotations(gpu_product="W7900", gpu_memory_mib=49152)
    assert AmdGpu("W7900", memory_mib=49152) == of_resources({"amd.com/gpu": 1}, {}, own)
    gaudi = PlanAnnotations(gpu_product="Gaudi2")
    assert Gaudi("Gaudi2") == of_resources({"habana.ai/gaudi": 1}, {}, gaudi)


@pytest.mark.parametrize(
    ("counts", "assumed", "expected"),
    [
        ({"amd.com/gpu": 1}, "MI300X", AmdGpu("MI300X")),
        ({"amd.com/gpu": 1}, "Max_1550", AmdGpu()),
        ({"amd.com/gpu": 1}, L40S, AmdGpu()),
        ({"gpu.intel.com/xe": 1}, "Max_1550", IntelGpu("Max_1550")),
        ({"gpu.intel.com/xe": 1}, "MI300X", IntelGpu()),
        ({"habana.ai/gaudi": 1}, "Gaudi2", Gaudi("Gaudi2")),
        ({"habana.ai/gaudi": 1}, L40S, Gaudi()),
    ],
)
def test_assumed_product(counts: dict[str, int], assumed: str, expected: Any) -> None:
    """A product that the user names stands for pods of its vendor that name none."""
    assert expected == of_resources(counts, {}, NONE, assumed)


@pytest.mark.parametrize(
    ("limits", "env", "ranks", "expected"),
    [
        ({"cpu": "32", "memory": "64Gi"}, {}, 1, Cpu(cores=32, memory_gib=64)),
        (
            {"cpu": "32", "memory": "64Gi"},
            {"VLLM_CPU_KVCACHE_SPACE": "8"},
            2,
            Cpu(cores=32, memory_gib=64, kv_cache_gib=8, numa_nodes=2),
        ),
        (
            {"cpu": 3.5, "memory": "64Gi"},
            {"VLLM_CPU_KVCACHE_SPACE": "x"},
            1,
            Cpu(cores=3, memory_gib=64),
        ),
        ({"memory": "64Gi"}, {}, 1, Cpu(cores=1, memory_gib=64)),
        ({"cpu": "500m", "memory": "64Gi"}, {}, 1, Cpu(cores=1, memory_gib=64)),
        ({"cpu": "32"}, {}, 1, None),
        ({}, {}, 1, None),
    ],
)
def test_cpus(limits: dict[str, Any], env: dict[str, str], ranks: int, expected: Any) -> None:
    """CPUs are what the limits and the variable say; without a memory limit nothing is known."""
    assert expected == of_cpus(limits, env, ranks, {})


def test_architecture() -> None:
    """The label of the node names the architecture."""
    limits = {"cpu": "8", "memory": "32Gi"}
    found = of_cpus(limits, {}, 1, {"kubernetes.io/arch": "arm64"})

    assert Cpu(cores=8, memory_gib=32, architecture="arm64") == found
    strategies.refusal(lambda: of_cpus({"memory": "4Gi"}, {}, 1, {}))


def claimed(exactly: dict[str, Any], **entry: str) -> DeviceClaim | None:
    """Return what a container claims with a request in a claim called `x`."""
    names = entry or {"resourceClaimTemplateName": "x"}
    pod = {"resourceClaims": [{"name": "gpu", **names}]}
    container = {"resources": {"claims": [{"name": "gpu"}]}}
    request = {"deviceClassName": "gpu.nvidia.com"} | exactly
    spec = {"devices": {"requests": [{"name": "a", "exactly": request}]}}
    specs = {("ResourceClaimTemplate", "x"): spec, ("ResourceClaim", "x"): spec}
    return of_claims(pod, container, specs, NONE, assumed=None, ranks=1)


def cel(expression: str) -> dict[str, Any]:
    """Return a request with an expression."""
    return {"selectors": [{"cel": {"expression": expression}}]}


NAME = "device.attributes['gpu.nvidia.com'].productName"
PROFILE = "device.attributes['gpu.nvidia.com'].profile"


@pytest.mark.parametrize(
    ("exactly", "expected"),
    [
        (cel(f"{NAME}.replace(' ', '-') == '{L40S}'"), DeviceClaim(L40S)),
        # As others write it.
        (cel(f"{NAME} == 'NVIDIA L40S'"), DeviceClaim(L40S)),
        (cel(f'{NAME} == "NVIDIA H100 80GB HBM3"') | {"count": 4}, DeviceClaim(H100, count=4)),
        (
            cel(f"{NAME} == 'NVIDIA H100 80GB HBM3' && {PROFILE} == '1g.10gb'")
            | {"deviceClassName": "mig.nvidia.com"},
            DeviceClaim(H100, profile="1g.10gb"),
        ),
        (cel(f"{NAME}.lowerAscii().matches('^.*h100.*$')"), DeviceClaim()),
        (cel(f"{NAME} == 'NVIDIA Unheard Of'"), DeviceClaim()),
        ({}, DeviceClaim()),
        ({"deviceClassName": "gpu.amd.com"}, None),
    ],
)
def test_claims(exactly: dict[str, Any], expected: Any) -> None:
    """A claim names its product and its profile, whoever wrote it."""
    assert expected == claimed(exactly)


def test_kinds_of_claims() -> None:
    """A claim that is there already is another object than a template."""
    assert DeviceClaim(resource_claim="x") == claimed({}, resourceClaimName="x")
    assert claimed({}, resourceClaimTemplateName="y") is None
    assert claimed({}, resourceClaimName="y") is None
    assert of_claims({}, {}, {}, NONE, assumed=None, ranks=1) is None
    pod = {"resourceClaims": [{"name": "other", "resourceClaimName": "x"}]}
    container = {"resources": {"claims": [{"name": "gpu"}]}}
    assert of_claims(pod, container, {}, NONE, assumed=None, ranks=1) is None


def test_assumed() -> None:
    """A product that the user names is taken where the claim names none."""
    pod = {"resourceClaims": [{"name": "gpu", "resourceClaimName": "x"}]}
    container = {"resources": {"claims": [{"name": "gpu"}]}}
    request = {"exactly": {"deviceClassName": "gpu.nvidia.com"}}
    specs = {("ResourceClaim", "x"): {"devices": {"requests": [request]}}}
    found = of_claims(pod, container, specs, NONE, assumed=L40S, ranks=1)

    assert DeviceClaim(L40S, resource_claim="x") == found


def foreign(limits: dict[str, Any], image: str, **pod: Any) -> DeployedModel:
    """Return the model of a Deployment that somebody else wrote."""
    container = {
        "name": "engine",
        "image": image,
        "command": ["vllm", "serve"],
        "args": [QWEN],
        "resources": {"limits": limits},
    }
    made = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"template": {"spec": {**pod, "containers": [container]}}},
    }
    (found,) = deployed_models([made])
    return found


def test_foreign() -> None:
    """Manifests of others are planned for the accelerator that they request."""
    amd = foreign(
        {"amd.com/gpu": "1"},
        "rocm/vllm:v0.33.0",
        nodeSelector={AMD: "AMD_Instinct_MI300X_OAM"},
    )
    assert (AmdGpu("MI300X"), "1 x MI300X") == (amd.gpu, amd.gpu_text)
    cpu = foreign({"cpu": "16", "memory": "64Gi"}, "vllm/vllm-openai-cpu:v0.33.0")
    assert (Cpu(cores=16, memory_gib=64), "16 CPU cores") == (cpu.gpu, cpu.gpu_text)
    assert "fits" == plan_table.row(cpu, {}).verdict
    unknown = foreign({"amd.com/gpu": "1"}, "rocm/vllm:v0.33.0")
    assert unknown.gpu is None
    assert unknown.problem is not None
    assert "the pod requests amd.com/gpu, whose memory is not known." == unknown.problem.sentence()


def test_fewer() -> None:
    """Without a size vLLM uses one of several accelerators."""
    found = foreign(
        {"habana.ai/gaudi": "8"},
        "example.com/vllm-gaudi:v1",
        nodeSelector={"habana.ai/product.name": "gaudi3"},
    )

    assert Gaudi("Gaudi3") == found.gpu
    assert any("uses 1 of the pod's 8 accelerators" in one.sentence() for one in found.notes)
