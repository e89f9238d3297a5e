"""Image families: who runs in vLLM's images."""

import pytest

from vllm_constructs import (
    GpuPodSpec,
    VllmConstructsError,
    VllmConstructsWarning,
    VllmRelease,
    WholeGpu,
)
from vllm_constructs.releases.image import (
    CUDA,
    DEFAULTS,
    FAMILIES,
    ImageFamily,
    family_of,
    named_accelerator,
)
from vllm_constructs.releases.release import default_image


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


@pytest.mark.parametrize(
    ("name", "tag", "expected"),
    [
        ("vllm/vllm-openai", None, "CUDA"),
        ("mirror.example.com:5000/vllm/vllm-openai-rocm", "v0.33.0", "ROCm"),
        ("rocm/vllm", "instinct_main", "ROCm"),
        ("ghcr.io/llm-d/llm-d-rocm", None, "ROCm"),
        ("example.com/vllm-rocm72", None, "ROCm"),
        ("example.com/vllm", "v0.33.0-rocm72", "ROCm"),
        ("intel/vllm", "0.17.0-xpu", "XPU"),
        ("public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo", None, "CPU"),
        ("vault.habana.ai/gaudi-docker/1.24.1/vllm", None, "Gaudi"),
        ("opea/vllm-gaudi", None, "Gaudi"),
        ("ghcr.io/llm-d/llm-d-cuda", None, "CUDA"),
        # The name of a registry, or a word inside of another one, tells nothing.
        ("tpu.example.com/team/vllm", None, None),
        ("cpu:5000/vllm", None, None),
        ("example.com/recpu/vllm", None, None),
        ("example.com/vllm", "v0.33.0-amd64", None),
        ("example.com/vllm", "cpu-fix-7", None),
        ("vllm", None, None),
        ("", None, None),
    ],
)
def test_named_accelerator(name: str, tag: str | None, expected: str | None) -> None:
    """The words of a name, or the end of a tag, tell for what an image is built."""
    assert expected == named_accelerator(name, tag)
    assert (expected or "XPU") == family_of(name, "XPU", tag).accelerator


def test_default_image() -> None:
    """Each platform has the newest image that is known; none is published for Gaudi."""
    assert "vllm/vllm-openai-rocm:v0.33.0" == default_image("ROCm")
    assert "vllm/vllm-tpu:v0.32.0" == default_image("TPU")
    assert default_image("Gaudi") is None
    for platform in DEFAULTS:
        release = VllmRelease(str(default_image(platform)))
        assert (platform, True) == (release.family.accelerator, release.is_official)
        assert release.is_certain


def test_given_accelerator() -> None:
    """What an image is built for may be said where its name does not tell."""
    assert "ROCm" == VllmRelease("example.com/a:7", accelerator="ROCm").family.accelerator
    assert VllmRelease("example.com/a:7", accelerator="ROCm").named_accelerator is None
    assert "XPU" == VllmRelease("vllm/vllm-openai-xpu:v0.33.0").named_accelerator
    with pytest.raises(
        VllmConstructsError, match=r"VllmRelease.accelerator is 'AMD'; expected one"
    ):
        VllmRelease("example.com/a:7", accelerator="AMD")  # type: ignore[arg-type]  # the mistake


def test_moving_tag() -> None:
    """A moving tag is warned about with a release of the same platform."""
    with pytest.warns(VllmConstructsWarning, match="such as 'vllm/vllm-openai-rocm:v0.33.0'"):
        VllmRelease("rocm/vllm:latest")
    with pytest.warns(VllmConstructsWarning, match=r"specify a release\."):
        VllmRelease("opea/vllm-gaudi:latest")


def test_lmcache() -> None:
    """LMCache's image has vLLM in an environment of its own."""
    release = VllmRelease("lmcache/vllm-openai:v0.5.6", vllm="0.33.0")

    assert ("/opt/venv/bin/vllm", "serve") == release.family.command
    assert ("vllm", "serve") == CUDA.command
    spec = GpuPodSpec(
        model="a/b", gpu=WholeGpu("NVIDIA-L40S"), image=release.image, vllm="0.33.0"
    ).manifest()
    assert ["/opt/venv/bin/vllm", "serve"] == spec["containers"][0]["command"]
