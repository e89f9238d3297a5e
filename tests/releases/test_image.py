"""Image families: who runs in vLLM's images."""

import pytest

from vllm_constructs import GpuPodSpec, VllmConstructsError, VllmRelease, WholeGpu
from vllm_constructs.releases.image import CUDA, FAMILIES, ImageFamily, family_of


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.repository)
def test_family(family: ImageFamily) -> None:
    """A family is found by the last part of the image's name, whatever the registry."""
    assert family == family_of(f"vllm/{family.repository}")
    assert family == VllmRelease(f"mirror.example.com:5000/x/{family.repository}:v0.33.0").family
    assert family.cache == f"{family.home}/.cache/huggingface"


def test_own() -> None:
    """An image of your own is taken for one that is built like vLLM's for CUDA."""
    assert CUDA == VllmRelease("registry.example.com/ml/llm:7").family
    assert (2000, 0, "/home/vllm") == (CUDA.user, CUDA.group, CUDA.home)


def test_pod() -> None:
    """The pod runs as the family's user, in its home."""
    spec = GpuPodSpec(model="a/b", gpu=WholeGpu("NVIDIA-L40S")).manifest()
    variables = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}

    assert CUDA.user == spec["securityContext"]["runAsUser"]
    assert CUDA.home == variables["HOME"]


@pytest.mark.parametrize("family", FAMILIES[1:], ids=lambda one: one.repository)
def test_other_accelerator(family: ImageFamily) -> None:
    """An image for another accelerator cannot run on an NVIDIA GPU."""
    image = f"vllm/{family.repository}:v0.33.0"
    with pytest.raises(VllmConstructsError, match=f"built for {family.accelerator}"):
        GpuPodSpec(model="a/b", gpu=WholeGpu("NVIDIA-L40S"), image=image)
