"""DeviceClaim: what is claimed, how pods refer to it, and what is refused."""

import re
from typing import Any

import pytest
from cdk8s import App, Chart
from hypothesis import given, settings

from tests import strategies
from tests.support import assert_valid
from vllm_constructs import (
    DeviceClaim,
    EngineArgs,
    ExistingClaim,
    GpuPodSpec,
    KedaScaler,
    Kubernetes,
    MigSlice,
    ModelDeployment,
    Nodes,
    QueueDepth,
    Rollout,
    WholeGpu,
)
from vllm_constructs.accelerators.device_claim import NAME
from vllm_constructs.accelerators.nvidia import catalog
from vllm_constructs.memory.options import cuda_memory
from vllm_constructs.workloads import deployment
from vllm_constructs.workloads.workload import Workload

H100, L40S = "NVIDIA-H100-80GB-HBM3", "NVIDIA-L40S"
TARGET = Kubernetes("1.34")
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def pod(gpu: DeviceClaim, **options: Any) -> GpuPodSpec:
    """Return a pod."""
    return GpuPodSpec(**{"model": "a/b", "gpu": gpu, **options})


def spec(gpu: DeviceClaim, **options: Any) -> dict[str, Any]:
    """Return the `spec` of a pod on a cluster that has claims."""
    return pod(gpu, **options).manifest(kubernetes=TARGET, workload="qwen")


def expression(gpu: DeviceClaim) -> str:
    """Return what a claim asks of a device; empty if it asks nothing."""
    (request,) = gpu.spec()["devices"]["requests"]
    selectors = request["exactly"].get("selectors", [])
    return " && ".join(one["cel"]["expression"] for one in selectors)


def chart(release: str | None = "1.34") -> Chart:
    """Return a chart for a release of Kubernetes."""
    app = App()
    if release is not None:
        Kubernetes(release).set_on(app)
    return Chart(app, "llm", namespace="llm")


def test_claim() -> None:
    """A claim asks for as many devices of the product, by the name that the driver gives it."""
    gpu = DeviceClaim(H100, count=4)
    (request,) = gpu.spec()["devices"]["requests"]

    assert NAME == request["name"]
    assert ("gpu.nvidia.com", "ExactCount", 4) == (
        request["exactly"]["deviceClassName"],
        request["exactly"]["allocationMode"],
        request["exactly"]["count"],
    )
    name = "device.attributes['gpu.nvidia.com'].productName.replace(' ', '-')"
    assert f"{name} == '{H100}'" == expression(gpu)
    assert "" == expression(DeviceClaim())


def test_slice() -> None:
    """A slice is a device of another class, found by its profile, too."""
    gpu = DeviceClaim(H100, profile="3g.40gb")
    (request,) = gpu.spec()["devices"]["requests"]

    assert "mig.nvidia.com" == request["exactly"]["deviceClassName"]
    assert expression(gpu).endswith(" && device.attributes['gpu.nvidia.com'].profile == '3g.40gb'")
    assert MigSlice("3g.40gb", product=H100) == gpu.mig_slice
    assert DeviceClaim(H100).mig_slice is None


@pytest.mark.parametrize("product", sorted(catalog()))
def test_memory(product: str) -> None:
    """A claimed GPU or slice has the memory of one that the device plugin hands out."""
    assert cuda_memory(WholeGpu(product)) == cuda_memory(DeviceClaim(product))
    for profile in catalog()[product]["mig"]:
        one = MigSlice(profile, product=product)
        assert cuda_memory(one) == cuda_memory(DeviceClaim(product, profile=profile))


def test_pod() -> None:
    """The container refers to the claim, and requests no resource of the device plugin."""
    found = spec(DeviceClaim(L40S, count=2))
    (container,) = found["containers"]

    assert [{"name": "gpu"}] == container["resources"]["claims"]
    assert not any("/" in name for name in container["resources"]["limits"])
    assert "--tensor-parallel-size=2" in container["args"]
    (claim,) = found["resourceClaims"]
    assert {"name", "resourceClaimTemplateName"} == set(claim)
    assert "nodeSelector" not in found
    assert [TAINT] == found["tolerations"]


def test_shared() -> None:
    """Pods that share have one claim, and each engine its part of the memory."""
    gpu = DeviceClaim(L40S, shared_by=3)
    found = spec(gpu)

    assert "resourceClaimName" in found["resourceClaims"][0]
    assert "--gpu-memory-utilization=0.3" in found["containers"][0]["args"]
    made = gpu.manifest("qwen")
    assert made is not None
    assert "ResourceClaim" == made["kind"]
    assert gpu.spec() == made["spec"]


def test_existing() -> None:
    """A claim that exists is referred to by its name, which needs no workload, and is not made."""
    gpu = DeviceClaim(L40S, resource_claim="team-gpu")
    expected = [{"name": "gpu", "resourceClaimName": "team-gpu"}]

    assert expected == pod(gpu).manifest(kubernetes=TARGET)["resourceClaims"]
    assert gpu.manifest("qwen") is None


def test_names() -> None:
    """A template cannot be changed, so that another one has another name."""
    gpus = [DeviceClaim(), DeviceClaim(L40S), DeviceClaim(L40S, count=2), DeviceClaim(H100)]
    names = {gpu.object_name("qwen") for gpu in gpus}

    assert len(gpus) == len(names)
    assert all(re.fullmatch(r"qwen-[0-9a-f]{8}", name) for name in names)
    assert len(DeviceClaim(L40S).object_name("x" * 63)) <= 63


@settings(max_examples=50, deadline=None)
@given(strategies.device_claims(), strategies.names())
def test_validity(gpu: DeviceClaim, name: str) -> None:
    """Claim and pod are valid on each release that has them, and refer to each other."""
    releases = strategies.covered(TARGET)
    made = gpu.manifest(name)
    inside = pod(gpu).manifest(kubernetes=TARGET, workload=name)
    (claim,) = inside["resourceClaims"]
    metadata = {"name": "qwen", "namespace": "llm"}
    found = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": inside}

    assert_valid(found, releases=releases)
    if made is not None:
        assert_valid(strategies.in_namespace(made), releases=releases)
        key = "resourceClaimName" if gpu.is_one else "resourceClaimTemplateName"
        assert {"name": "gpu", key: made["metadata"]["name"]} == claim
        assert made == deployment.claim(Workload(name=name), pod(gpu))


def test_deployment() -> None:
    """A model makes its template, and one that shares its claim, in its own namespace."""
    here = chart()
    ModelDeployment(here, "one", model="a/b", gpu=DeviceClaim(L40S))
    ModelDeployment(here, "two", model="a/b", gpu=DeviceClaim(L40S, shared_by=2))
    ModelDeployment(here, "old", model="a/b", gpu=DeviceClaim(resource_claim="there"))
    objects: list[dict[str, Any]] = here.to_json()

    assert_valid(*objects, releases=strategies.covered(TARGET))
    kinds = [one["kind"] for one in objects if "Claim" in one["kind"]]
    assert ["ResourceClaimTemplate", "ResourceClaim"] == kinds
    assert {"llm"} == {one["metadata"]["namespace"] for one in objects}


def scaled(gpu: DeviceClaim, most: int) -> object:
    """Scale a model that one claim has to be enough for."""
    here = chart()
    model = ModelDeployment(here, "qwen", model="a/b", gpu=gpu)
    address = "http://prometheus.monitoring:9090"
    triggers = [QueueDepth(5)]
    return KedaScaler(
        here, "s", target=model, max_replicas=most, prometheus=address, triggers=triggers
    )


REFUSED: list[tuple[strategies.Call, str]] = [
    (
        lambda: DeviceClaim("L40S"),
        (
            "DeviceClaim.product is 'L40S', a GPU that is not in the catalog; did you mean "
            "'NVIDIA-L40S'?"
        ),
    ),
    (
        lambda: DeviceClaim(""),
        (
            "DeviceClaim.product is ''; expected a value of the node label nvidia.com/gpu.product, "
            "such as 'NVIDIA-L40S'."
        ),
    ),
    (
        lambda: DeviceClaim(profile="3g.40gb"),
        (
            "DeviceClaim.product is missing, but the memory of the slice follows from it; give the "
            "product."
        ),
    ),
    (
        lambda: DeviceClaim(L40S, profile="1g.10gb"),
        "DeviceClaim.product is 'NVIDIA-L40S', which has no MIG; use WholeGpu.",
    ),
    (
        lambda: DeviceClaim(H100, profile="3g.48gb"),
        (
            "DeviceClaim.profile is '3g.48gb'; expected a MIG profile of NVIDIA-H100-80GB-HBM3 "
            "(1g.10gb, 1g.10gb+me, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb); did you mean "
            "'3g.40gb'?"
        ),
    ),
    (
        lambda: DeviceClaim(count=0),
        "DeviceClaim.count is 0; expected an integer of GPUs from 1 to 16.",
    ),
    (
        lambda: DeviceClaim(count=17),
        "DeviceClaim.count is 17; expected an integer of GPUs from 1 to 16.",
    ),
    (
        lambda: DeviceClaim(H100, count=16),
        (
            "DeviceClaim.count is 16, but no node has more than 8 NVIDIA-H100-80GB-HBM3; give at "
            "most 8; an engine over several nodes needs a pod on each."
        ),
    ),
    (
        lambda: DeviceClaim(H100, profile="1g.10gb", count=2),
        "DeviceClaim.count is 2, but an engine can use only one slice; leave it out.",
    ),
    (
        lambda: DeviceClaim(H100, shared_by=2, count=2),
        "DeviceClaim.count is 2, but an engine can use only one shared GPU; leave it out.",
    ),
    (
        lambda: DeviceClaim(shared_by=49),
        "DeviceClaim.shared_by is 49; expected an integer of pods from 1 to 48.",
    ),
    (
        lambda: DeviceClaim(resource_claim="Team GPU"),
        (
            "DeviceClaim.resource_claim is 'Team GPU'; expected at most 253 lower-case letters, "
            "digits, '-' and '.'; for example 'team-gpu'."
        ),
    ),
    (
        lambda: pod(DeviceClaim(L40S)).manifest(kubernetes=TARGET),
        (
            "GpuPodSpec.manifest workload is missing, but the name of the claim follows from it; "
            "give it."
        ),
    ),
    (
        lambda: pod(DeviceClaim(L40S)).manifest(kubernetes=Kubernetes("1.33"), workload="a"),
        (
            "gpu is a DeviceClaim, which Kubernetes has since 1.34, and the target is 1.33; call "
            "Kubernetes('1.34').set_on(app) directly after App(), if the cluster is that new."
        ),
    ),
    (
        lambda: spec(DeviceClaim(L40S), resources={"nvidia.com/gpu": 1}),
        ("resources['nvidia.com/gpu'] is a device beside gpu, which is DeviceClaim; leave it out."),
    ),
    (
        lambda: spec(
            DeviceClaim(H100, profile="3g.40gb"), engine=EngineArgs(tensor_parallel_size=2)
        ),
        (
            "EngineArgs needs 2 GPUs (tensor 2 x pipeline 1 x data 1), but an engine can use only "
            "one DeviceClaim; leave the sizes out, or use WholeGpu."
        ),
    ),
    (
        lambda: spec(DeviceClaim(L40S), engine=EngineArgs(tensor_parallel_size=2)),
        (
            "EngineArgs needs 2 GPUs (tensor 2 x pipeline 1 x data 1), but the pod has 1; give "
            "DeviceClaim(count=2), or leave tensor_parallel_size out to use them all."
        ),
    ),
    (
        lambda: spec(DeviceClaim(L40S, shared_by=2), engine=EngineArgs(gpu_memory_utilization=0.9)),
        (
            "EngineArgs.gpu_memory_utilization is 0.9, but 2 pods share the memory of the GPU; "
            "give a value below 0.50, or leave it out."
        ),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_refusals(call: strategies.Call, sentence: str) -> None:
    """What no driver can hand out is refused in one sentence."""
    assert sentence == strategies.refusal(call)


@pytest.mark.parametrize("platform", ["karpenter", "eks-auto-mode"])
def test_provisioners(platform: Any) -> None:
    """A provisioner that ignores claims never makes a node for the pod (C02)."""
    expected = (
        f"Nodes('{platform}') has no nodes for pods with device claims, which its provisioner "
        "ignores; use WholeGpu, or nodes that are always there."
    )

    assert expected == strategies.refusal(lambda: spec(DeviceClaim(L40S), nodes=Nodes(platform)))


def test_nodes() -> None:
    """The claim selects nodes by itself; an instance type may be asked for, too."""
    assert "nodeSelector" not in spec(DeviceClaim(L40S), nodes=Nodes("gke"))
    types = {"node.kubernetes.io/instance-type": "g6e.xlarge"}
    nodes = Nodes("eks", instance_types=["g6e.xlarge"])
    assert types == spec(DeviceClaim(L40S), nodes=nodes)["nodeSelector"]
    wrong = Nodes("eks", instance_types=["p5.48xlarge"])
    sentence = strategies.refusal(lambda: spec(DeviceClaim(L40S), nodes=wrong))
    assert "a node with NVIDIA-H100-80GB-HBM3, but gpu is NVIDIA-L40S" in sentence


@pytest.mark.parametrize(
    ("gpu", "replicas", "words"),
    [
        (DeviceClaim(L40S, shared_by=2), 3, ("3 replicas", "one claim for 2 pods", "shared_by=3")),
        (DeviceClaim(L40S, resource_claim="a"), 2, ("one claim for 1 pod;", "shared_by=2")),
    ],
)
def test_replicas(gpu: DeviceClaim, replicas: int, words: tuple[str, ...]) -> None:
    """No more pods use a claim than it is divided for, whoever sets their number."""
    deployed = strategies.refusal(
        lambda: ModelDeployment(chart(), "qwen", model="a/b", gpu=gpu, replicas=replicas)
    )
    for sentence in (deployed, strategies.refusal(lambda: scaled(gpu, replicas))):
        assert [word for word in words if word not in sentence] == [], sentence


def test_rollout() -> None:
    """A rollout adds no pod to those that share a claim; pods with claims of their own may."""
    sentence = strategies.refusal(
        lambda: ModelDeployment(
            chart(),
            "qwen",
            model="a/b",
            gpu=DeviceClaim(L40S, shared_by=2),
            rollout=Rollout(spare_gpus=1),
        )
    )

    assert sentence == (
        "Rollout.spare_gpus adds a pod in rollouts, and all pods share the GPU of one claim; leave "
        "it out."
    )
    here = chart()
    one = DeviceClaim(L40S)
    ModelDeployment(here, "qwen", model="a/b", gpu=one, rollout=Rollout(spare_gpus=1))
    (made,) = [item for item in here.to_json() if item["kind"] == "Deployment"]
    assert 1 == made["spec"]["strategy"]["rollingUpdate"]["maxSurge"]


def test_overlay() -> None:
    """An overlay does not refer to another claim."""
    claims = [{"name": "gpu", "resourceClaimName": "x"}]
    overlay = {"spec": {"template": {"spec": {"resourceClaims": claims}}}}
    sentence = strategies.refusal(
        lambda: ModelDeployment(chart(), "q", model="a/b", gpu=DeviceClaim(L40S), overlay=overlay)
    )
    assert sentence.startswith("overlay spec.template.spec.resourceClaims[name='gpu'] is ")


@pytest.mark.parametrize("release", [None, "1.27", "1.33"])
def test_old_cluster(release: str | None) -> None:
    """A cluster that lacks resource.k8s.io/v1 gets no claim (C01)."""
    here = chart(release)
    sentence = strategies.refusal(
        lambda: ModelDeployment(here, "qwen", model="a/b", gpu=DeviceClaim(L40S))
    )

    assert "which Kubernetes has since 1.34" in sentence
    assert f"the target is {release or '1.27'}" in sentence


def test_claim_of_several_models() -> None:
    """Models of one claim have no more pods together than it is for."""
    app = App()
    Kubernetes("1.34").set_on(app)
    here = Chart(app, "here", namespace="llm")
    gpu = DeviceClaim(L40S, shared_by=3, resource_claim="gpu")
    weights = ExistingClaim("weights")
    ModelDeployment(here, "one", model="a/one", gpu=gpu, cache=weights, replicas=2)
    ModelDeployment(here, "two", model="a/two", gpu=gpu)

    sentence = strategies.refusal(lambda: ModelDeployment(here, "three", model="a/three", gpu=gpu))

    assert sentence == (
        "ModelDeployment 'three' has up to 1 pod, and other models of the ResourceClaim 'gpu' up "
        "to 3, but it is for 3; raise DeviceClaim(shared_by=) of all of them, so that each takes a "
        "smaller part of the memory."
    )
    elsewhere = Chart(app, "elsewhere", namespace="other")
    ModelDeployment(elsewhere, "three", model="a/three", gpu=gpu)


def test_claim_of_scaled_models() -> None:
    """The most pods of scalers count, too."""
    app = App()
    Kubernetes("1.34").set_on(app)
    here = Chart(app, "here", namespace="llm")
    gpu = DeviceClaim(L40S, shared_by=3, resource_claim="gpu")
    models = [
        ModelDeployment(here, name, model=f"a/{name}", gpu=gpu, cache=ExistingClaim("weights"))
        for name in ("one", "two")
    ]

    def scale(model: ModelDeployment) -> KedaScaler:
        return KedaScaler(
            here,
            f"{model.name}-scaler",
            target=model,
            max_replicas=2,
            prometheus="http://prometheus.monitoring.svc:9090",
            triggers=[QueueDepth(5)],
        )

    scale(models[0])
    assert (
        "'two' has up to 2 pods, and other models of the ResourceClaim 'gpu' up to 2, but it"
        in (strategies.refusal(lambda: scale(models[1])))
    )
