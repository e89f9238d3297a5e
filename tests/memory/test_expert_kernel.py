"""Expert kernel: what a kernel pads, keeps and needs, by GPU and release."""

import pytest

from vllm_constructs import EngineArgs, MemoryPlan, ModelShape, VllmRelease, WholeGpu
from vllm_constructs.memory.activations import GIB
from vllm_constructs.memory.expert_kernel import PLAIN, ExpertKernel, expert_kernel
from vllm_constructs.memory.quantization import METHODS

GPT_OSS = ModelShape.named("openai/gpt-oss-120b")


def weights(gpu: str, tag: str, count: int = 1, **engine: object) -> float:
    """Return the weights of gpt-oss-120b on each GPU, in GiB."""
    plan = MemoryPlan(
        shape=GPT_OSS,
        gpu=WholeGpu(gpu, count=count),
        engine=EngineArgs(max_model_len=4096, **engine),  # type: ignore[arg-type]
        release=VllmRelease(f"vllm/vllm-openai:{tag}"),
    )
    return plan.weights / GIB


def test_published() -> None:
    """The weights that others have seen are predicted within 1 %.

    From ../shared/faults/mxfp4-padding.sh: 64.38 GiB with Triton, 65.97 and 34.38 with Marlin,
    which LoRA leads to on Hopper, and the GPUs before and after it.
    """
    h100, a100 = "NVIDIA-H100-80GB-HBM3", "NVIDIA-A100-SXM4-80GB"
    assert weights(h100, "v0.14.1") == pytest.approx(64.38, rel=0.01)
    assert weights(a100, "v0.33.0") == pytest.approx(65.97, rel=0.01)
    assert weights(a100, "v0.33.0", 2) == pytest.approx(34.38, rel=0.01)
    assert weights("NVIDIA-B200", "v0.22.1") == pytest.approx(68.7, rel=0.01)
    # Scales are no longer kept twice, and the width is padded less.
    assert weights(h100, "v0.33.0") == pytest.approx(61.2, rel=0.01)
    assert weights("NVIDIA-B200", "v0.33.0") == pytest.approx(65.97, rel=0.01)


@pytest.mark.parametrize(
    ("method", "capability", "adapters", "padded"),
    [
        ("mxfp4", (8, 0), False, (3072, 2944)),
        ("mxfp4", (9, 0), False, (2880, 2880)),
        ("mxfp4", (9, 0), True, (3072, 2944)),
        ("mxfp4", (10, 0), False, (3072, 2944)),
        ("mxfp4", (12, 0), False, (3072, 2944)),
        ("mxfp4", None, False, (3072, 2944)),
        ("fp8", (9, 0), False, (2880, 2880)),
    ],
)
def test_padding(
    method: str, capability: tuple[int, int] | None, *, adapters: bool, padded: tuple[int, int]
) -> None:
    """What is padded depends on format, GPU and LoRA."""
    kernel = expert_kernel(METHODS[method], capability, VllmRelease(), has_adapters=adapters)

    assert kernel.padded(2880, 2880) == padded


def test_padding_after_split() -> None:
    """The width is padded on each GPU, after the split."""
    kernel = expert_kernel(METHODS["mxfp4"], (8, 0), VllmRelease())

    assert kernel.padded(2880, 1440) == (3072, 1536)


def test_values() -> None:
    """A workspace holds the results of both matrices, each as wide as the wider of its uses."""
    assert PLAIN.values(2048, 1408, gated=True) == 2048 + 2816
    assert PLAIN.values(2048, 1408, gated=False) == 2048 + 2048
    assert ExpertKernel(has_workspace=False).values(2048, 1408, gated=True) == 2048 + 1408


def test_more_bytes() -> None:
    """Scales in a kernel's layout, scales that are kept, and wide biases count."""
    plain = 5760 * 90 + 2880 * 90
    assert PLAIN.more_bytes(32, 2880, 2880, has_bias=True) == 0
    swizzled = ExpertKernel(swizzles_scales=True)
    assert swizzled.more_bytes(2, 2880, 2880, has_bias=True) == 2 * (5888 * 92 + 3072 * 92 - plain)
    kept = ExpertKernel(keeps_scales=True, wide_biases=True)
    assert kept.more_bytes(1, 2880, 2880, has_bias=True) == plain + 2 * (5760 + 2880)


def test_blackwell() -> None:
    """On data center Blackwell GPUs FlashInfer runs unquantized experts, but not with LoRA."""
    for adapters in (False, True):
        kernel = expert_kernel(None, (10, 0), VllmRelease(), has_adapters=adapters)
        assert kernel.has_workspace is adapters
    assert expert_kernel(None, (9, 0), VllmRelease()).has_workspace
