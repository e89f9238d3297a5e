"""What a GPU can compute: data types and quantization that vLLM rejects at start."""

import warnings
from typing import Any

import pytest

from tests import strategies
from vllm_constructs import (
    AmdGpu,
    EngineArgs,
    IntelGpu,
    MemoryPlan,
    MigSlice,
    ModelShape,
    VirtualGpu,
    VllmRelease,
    WholeGpu,
)
from vllm_constructs.accelerators.nvidia import Gpu, capability, catalog
from vllm_constructs.memory import compute, fit
from vllm_constructs.memory.activations import GIB

QWEN = ModelShape.named("Qwen/Qwen2.5-0.5B-Instruct")
AWQ = ModelShape.named("Qwen/Qwen2.5-7B-Instruct-AWQ")
GPT_OSS = ModelShape.named("openai/gpt-oss-20b")
GEMMA = ModelShape.named("google/gemma-2-2b-it")
T4, V100 = WholeGpu("Tesla-T4"), WholeGpu("Tesla-V100-SXM2-32GB")
A100, H100 = WholeGpu("NVIDIA-A100-SXM4-80GB"), WholeGpu("NVIDIA-H100-80GB-HBM3")


def problem(gpu: Gpu, shape: ModelShape | None = QWEN, tag: str = "v0.33.0", **engine: Any) -> str:
    """Return what is wrong, or an empty text."""
    release = VllmRelease(f"vllm/vllm-openai:{tag}")
    found = compute.problem(gpu, EngineArgs(**engine), release, shape)
    return "" if found is None else found.sentence()


def test_data() -> None:
    """Every product has its compute capability and its bandwidth."""
    for product, known in catalog().items():
        found = capability(WholeGpu(product))
        assert found is not None
        assert (7, 0) <= found <= (12, 0)
        assert 300 <= known["memory_gb_per_second"] <= 8000
    assert capability(MigSlice("1g.10gb", product="NVIDIA-H100-80GB-HBM3")) == (9, 0)
    # The lowest of all that have the profile.
    assert capability(MigSlice("1g.10gb")) == (8, 0)
    assert capability(VirtualGpu("GRID-A100D-40C", memory_mib=40960)) is None


@pytest.mark.parametrize(
    ("gpu", "shape", "engine", "words"),
    [
        (T4, QWEN, {"dtype": "bfloat16"}, ("bfloat16 needs 8.0", "has compute capability 7.5")),
        (T4, None, {"dtype": "bfloat16"}, ("give 'half'",)),
        (T4, GPT_OSS, {}, ("gpt-oss-20b is quantized with mxfp4", "needs compute capability 8.0")),
        (T4, QWEN, {"quantization": "experts_int8"}, ("is 'experts_int8'", "8.0")),
        (H100, QWEN, {"quantization": "fp_quant"}, ("10.0", "9.0")),
        (H100, AWQ, {"quantization": "gptq"}, ("is quantized with awq", "leave it out")),
        (H100, AWQ, {"quantization": "fp8"}, ("so vLLM would not start",)),
        (H100, AWQ, {"dtype": "float32"}, ("quantization awq does not support",)),
        (H100, GPT_OSS, {"dtype": "half"}, ("quantization mxfp4 does not support",)),
        (A100, GEMMA, {"dtype": "float16"}, ("not stable", "leave it out")),
        (V100, QWEN, {}, ("compute capability 7.0", "built for 7.5 and newer", "0.19 or older")),
    ],
)
def test_refused(
    gpu: Gpu, shape: ModelShape | None, engine: dict[str, Any], words: tuple[str, ...]
) -> None:
    """What vLLM rejects when it starts is rejected, with the way out."""
    sentence = problem(gpu, shape, **engine)

    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize(
    ("gpu", "shape", "engine"),
    [
        (T4, QWEN, {}),
        (T4, QWEN, {"dtype": "half"}),
        (T4, QWEN, {"quantization": "fp8"}),
        (T4, AWQ, {}),
        (A100, QWEN, {"dtype": "bfloat16"}),
        (A100, GPT_OSS, {}),
        (H100, AWQ, {"quantization": "awq_marlin"}),
        (H100, AWQ, {"quantization": "humming"}),
        (H100, AWQ, {"quantization": "my_own"}),
        (H100, GPT_OSS, {"quantization": "mxfp4"}),
        (WholeGpu("Own-GPU", memory_mib=99999), QWEN, {"dtype": "bfloat16"}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*not built into:vllm_constructs.VllmConstructsWarning")
def test_accepted(gpu: Gpu, shape: ModelShape | None, engine: dict[str, Any]) -> None:
    """What runs, and what is not known, passes."""
    assert problem(gpu, shape, **engine) == ""


def test_older_images() -> None:
    """Images before 0.20 have kernels for Volta, and an own image may have some."""
    assert problem(V100, tag="v0.19.1") == ""
    assert compute.problem(V100, EngineArgs(), VllmRelease("my/own:1", vllm="0.33.0"), QWEN) is None


def test_wide() -> None:
    """A model that is not stable with float16 runs in 32 bits where there is no bfloat16."""
    old, new = (
        MemoryPlan(shape=GEMMA, gpu=gpu, engine=EngineArgs(max_model_len=4096))
        for gpu in (T4, A100)
    )
    assert old.weights / new.weights == pytest.approx(2, rel=0.02)
    assert old.kv_bytes_per_token == 2 * new.kv_bytes_per_token
    llama = MemoryPlan(shape=QWEN, gpu=T4)
    assert llama.weights < GIB


def test_plan() -> None:
    """No plan is made of what cannot run, and no other such GPU is advised."""
    sentence = strategies.refusal(
        lambda: fit.plan_of(QWEN, T4, EngineArgs(dtype="bfloat16"), VllmRelease())
    )
    assert "bfloat16 needs 8.0" in sentence
    large = MemoryPlan(
        shape=ModelShape.named("Qwen/Qwen2.5-14B-Instruct"), gpu=WholeGpu("NVIDIA-A10")
    )
    for one in large.suggestions:
        assert "Tesla-V100" not in one.change


@pytest.mark.parametrize(
    ("gpu", "image", "method"),
    [
        (AmdGpu("MI300X"), "vllm/vllm-openai-rocm:v0.33.0", "experts_int8"),
        (AmdGpu("MI300X"), "vllm/vllm-openai-rocm:v0.33.0", "moe_wna16"),
        (IntelGpu("Max_1550"), "vllm/vllm-openai-xpu:v0.33.0", "torchao"),
    ],
)
def test_platform(gpu: AmdGpu | IntelGpu, image: str, method: str) -> None:
    """A method that vLLM lacks on another vendor's platform is found; on NVIDIA's it is there."""
    engine = EngineArgs(quantization=method)
    found = compute.problem(gpu, engine, VllmRelease(image), None)

    assert found is not None
    assert found.sentence() == (
        f"EngineArgs.quantization is {method!r}, which vLLM 0.33.0 does not have on "
        f"{gpu.platform}, so that it would not start; use weights of another format."
    )
    assert compute.problem(WholeGpu("NVIDIA-H200"), engine, VllmRelease(), None) is None
    # Other releases have other lists.
    older = VllmRelease(image.replace("0.33", "0.30"))
    assert compute.problem(gpu, engine, older, None) is None


@pytest.mark.parametrize("method", ["awq_marlin", "fp8", "fp8_per_tensor", "quark", "own-plugin"])
def test_platform_has(method: str) -> None:
    """What vLLM has on ROCm under any of its names, or a plugin may have, passes."""
    release = VllmRelease("vllm/vllm-openai-rocm:v0.33.0")
    with warnings.catch_warnings(action="ignore"):
        engine = EngineArgs(quantization=method)
    assert compute.problem(AmdGpu("MI300X"), engine, release, None) is None
