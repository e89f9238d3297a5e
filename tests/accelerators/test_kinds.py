"""Kinds: what all accelerators have in common, whoever makes them."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    AmdGpu,
    Cpu,
    DeviceClaim,
    Gaudi,
    GpuPodSpec,
    IntelGpu,
    Kubernetes,
    Nodes,
    Tpu,
    VllmConstructsError,
    WholeGpu,
)
from vllm_constructs.accelerators.accelerator import Accelerator
from vllm_constructs.accelerators.kinds import EXPECTED, KINDS, Gpu

# One of each, with its platform and the name of its resource.
EACH: dict[str, tuple[Any, str, str | None]] = {
    "nvidia": (WholeGpu("NVIDIA-L40S"), "CUDA", "nvidia.com/gpu"),
    "claim": (DeviceClaim("NVIDIA-L40S"), "CUDA", None),
    "amd": (AmdGpu("MI300X"), "ROCm", "amd.com/gpu"),
    "intel": (IntelGpu("Max_1550"), "XPU", "gpu.intel.com/xe"),
    "gaudi": (Gaudi("Gaudi3"), "Gaudi", "habana.ai/gaudi"),
    "tpu": (Tpu("v6e", topology="2x2"), "TPU", "google.com/tpu"),
    "cpu": (Cpu(cores=8, memory_gib=64), "CPU", None),
}
IMAGES = {
    "CUDA": "vllm/vllm-openai:v0.33.0",
    "ROCm": "vllm/vllm-openai-rocm:v0.33.0",
    "XPU": "vllm/vllm-openai-xpu:v0.33.0",
    "Gaudi": "example.com/vllm-gaudi:7",
    "TPU": "vllm/vllm-tpu:v0.32.0",
    "CPU": "vllm/vllm-openai-cpu:v0.33.0",
}


def pod(gpu: Any, **options: Any) -> GpuPodSpec:
    """Return a pod of a small model."""
    return GpuPodSpec(**{"model": "a/b", "gpu": gpu, **strategies.image_for(gpu), **options})


def test_all_kinds() -> None:
    """The kinds that are checked for are those of the type, and all are named."""
    assert set(KINDS) == set(get_args(Gpu))
    assert all(kind.__name__ in EXPECTED for kind in KINDS)
    assert all(issubclass(kind, Accelerator) for kind in KINDS)


@pytest.mark.parametrize("name", EACH)
def test_pod(name: str) -> None:
    """Each has its image and its resource, or none, and tolerates what keeps others away."""
    gpu, platform, resource = EACH[name]
    made = pod(gpu)
    spec = made.manifest(kubernetes=Kubernetes("1.34"), workload="qwen")
    (container,) = spec["containers"]

    assert (platform, IMAGES[platform]) == (gpu.platform, made.image)
    assert platform == made.release.family.accelerator
    assert ["vllm", "serve"] == container["command"]
    limits = container["resources"]["limits"]
    assert ([] if resource is None else [resource]) == [one for one in limits if "/" in one]
    keys = [one["key"] for one in spec.get("tolerations", [])]
    assert keys == ([] if name == "cpu" else [resource or "nvidia.com/gpu"])


@settings(max_examples=150, deadline=None)
@given(strategies.gpus() | strategies.device_claims() | strategies.other_accelerators())
def test_validity(gpu: Any) -> None:
    """A pod of any accelerator is valid, restricted, and has labels that nodes can have."""
    nodes = Nodes(labels={"pool": "a"})
    target = Kubernetes("1.34")
    own = {"model": "a/b", "nodes": nodes}
    spec = pod(gpu, **own).manifest(kubernetes=target, workload="qwen")

    metadata = {"name": "qwen", "namespace": "llm"}
    found = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    assert_valid(found, releases=strategies.covered(target))
    assert [] == pod_security_problems(spec)
    assert gpu.fixed_labels.items() <= spec["nodeSelector"].items()
    assert gpu.devices >= 1
    assert gpu.unit.endswith("s")
    assert gpu.parallel or gpu.devices == 1


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("platform", IMAGES)
def test_images(name: str, platform: Any) -> None:
    """An image that is built for another platform is refused, whichever of the two is wrong."""
    gpu, needed, _ = EACH[name]
    if needed == platform:
        pod(gpu, image=IMAGES[platform])
        return
    sentence = strategies.refusal(lambda: pod(gpu, image=IMAGES[platform], vllm=None))

    expected = (
        f"image is '{IMAGES[platform]}', which is built for {platform}, but gpu is "
        f"{type(gpu).__name__}, for which it must be built for {needed}; "
    )
    assert sentence.startswith(expected), sentence
    advice = f"use '{IMAGES[needed]}', or leave it out."
    assert sentence.endswith("use one that is." if needed == "Gaudi" else advice), sentence


FOREIGN = {
    "ghcr.io/llm-d/llm-d-rocm:v0.9.0": "ROCm",
    "rocm/vllm:instinct_main": "ROCm",
    "vllm/vllm-tpu:v0.23.0": "TPU",
    "public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo:v0.19.0": "CPU",
    "opea/vllm-gaudi:1.21": "Gaudi",
    "intel/vllm:0.17.0-xpu": "XPU",
    "vault.habana.ai/gaudi-docker/1.24.1/vllm:latest-7": "Gaudi",
}


@pytest.mark.parametrize("image", FOREIGN)
@pytest.mark.parametrize("name", EACH)
def test_foreign_images(name: str, image: str) -> None:
    """Images of others are for what their name tells, and for nothing else."""
    gpu, needed, _ = EACH[name]

    def call() -> GpuPodSpec:
        return pod(gpu, image=image, vllm=None if "vllm-tpu" in image else "0.26.0")

    if FOREIGN[image] == needed:
        assert needed == call().release.family.accelerator
    else:
        assert f"is built for {FOREIGN[image]}, but" in strategies.refusal(call)


@pytest.mark.parametrize("name", EACH)
def test_own_image(name: str) -> None:
    """An image whose name does not tell is taken for one that is built for the accelerator."""
    gpu, platform, _ = EACH[name]
    for image in ("example.com/ml/llm:7", f"example.com/ml/llm@sha256:{'a' * 64}"):
        release = pod(gpu, image=image, vllm="0.26.0").release
        assert platform == release.family.accelerator
        assert not release.is_official


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize(
    "resource",
    [
        "nvidia.com/gpu",
        "nvidia.com/mig-1g.10gb",
        "amd.com/gpu",
        "amd.com/cpx_nps4",
        "gpu.intel.com/xe",
        "gpu.intel.com/i915",
        "habana.ai/gaudi",
        "google.com/tpu",
    ],
)
def test_resources(name: str, resource: str) -> None:
    """A pod gets no devices beside those of its accelerator (C01)."""
    gpu, _, own = EACH[name]
    sentence = strategies.refusal(lambda: pod(gpu, resources={resource: 1}))

    kind = type(gpu).__name__
    text = "is set by gpu" if resource == own else f"is a device beside gpu, which is {kind}"
    assert f"resources['{resource}'] {text}; leave it out." == sentence


@pytest.mark.parametrize("resource", ["nvidia.com/hostdev", "rdma/ib", "amd.com/nic"])
def test_other_resources(resource: str) -> None:
    """Network devices are no accelerators, whoever makes them."""
    for gpu in (WholeGpu("NVIDIA-L40S"), AmdGpu("MI300X")):
        spec = pod(gpu, resources={resource: 1}).manifest()
        assert "1" == spec["containers"][0]["resources"]["limits"][resource]


@pytest.mark.parametrize("name", ["amd", "intel", "gaudi", "tpu", "cpu"])
@pytest.mark.parametrize(
    "variable",
    [
        "CUDA_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "ROCR_VISIBLE_DEVICES",
        "ZE_AFFINITY_MASK",
        "HABANA_VISIBLE_DEVICES",
        "TPU_VISIBLE_CHIPS",
        "VLLM_CPU_KVCACHE_SPACE",
    ],
)
def test_variables(name: str, variable: str) -> None:
    """The devices of a pod are those that it requests, and no variable chooses others."""
    with pytest.raises(VllmConstructsError, match=f"env\\['{variable}'\\]"):
        pod(EACH[name][0], env={variable: "1"})


@pytest.mark.parametrize("name", ["amd", "intel", "tpu", "cpu"])
def test_modelscope(name: str) -> None:
    """Only the image for CUDA has modelscope; one's own may have it."""
    gpu, platform, _ = EACH[name]
    on = {"VLLM_USE_MODELSCOPE": "1"}
    expected = (
        f"env['VLLM_USE_MODELSCOPE'] is on, but the image for {platform} has no modelscope; leave "
        "it out, or use an image of your own that has it."
    )

    assert expected == strategies.refusal(lambda: pod(gpu, env=on))
    pod(gpu, env={"VLLM_USE_MODELSCOPE": "0"})
    pod(gpu, env=on, image="example.com/llm:7", vllm="0.33.0")
    pod(WholeGpu("NVIDIA-L40S"), env=on)


@pytest.mark.parametrize("value", ["AmdGpu", AmdGpu, 8, {}])
def test_no_kind(value: Any) -> None:
    """What is no accelerator is refused with the names of all."""
    sentence = strategies.refusal(lambda: GpuPodSpec(model="a/b", gpu=value))

    assert "gpu is" in sentence
    assert all(kind.__name__ in sentence for kind in KINDS), sentence


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("NVIDIA-L40S", "write WholeGpu('NVIDIA-L40S')."),
        ("MI300X", "write AmdGpu('MI300X')."),
        ("Gaudi3", "write Gaudi('Gaudi3')."),
        ("a100", "write WholeGpu(...) with the label nvidia.com/gpu.product of its nodes."),
        (1, "TimeSlicedGpu, VirtualGpu, DeviceClaim, AmdGpu, IntelGpu, Gaudi, Tpu or Cpu."),
    ],
)
def test_other_types(given: Any, advice: str) -> None:
    """What is no accelerator is rejected with what to write, if it names one."""
    with pytest.raises(VllmConstructsError) as caught:
        GpuPodSpec(model="a/b", gpu=given)
    assert str(caught.value).endswith(advice)
