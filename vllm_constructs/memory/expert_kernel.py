"""Expert kernel: the kernel that runs the experts of a model, and the memory that it needs.

vLLM picks it by quantization, GPU and release (vllm/model_executor/layers/fused_moe/oracle/). A
kernel pads the matrices of experts, after they have been split over GPUs, and keeps a workspace
(`workspace_shapes` of the classes in vllm/model_executor/layers/fused_moe/experts/).
"""

from __future__ import annotations

from math import ceil

from vllm_constructs.accelerators.nvidia import Capability
from vllm_constructs.dataclass import dataclass
from vllm_constructs.releases.release import VllmRelease

from .quantization import Quantization

# Values that share a scale in MXFP4.
_BLOCK = 32
# What the layout of scales on Hopper is a multiple of (HopperMXScaleLayout in triton_kernels).
_SCALE_ROWS = 256
_SCALE_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class ExpertKernel:
    """One kernel, as far as its memory goes.

    Args:
        hidden_step: What the hidden size is padded to a multiple of. Default: 1, no padding.
        width_step: The same for the width of an expert on one GPU. Default: 1.
        has_workspace: Whether the results of both matrices are in a workspace that all layers
            share, so that it is there while other layers run. Default: True.
        swizzles_scales: Whether the scales are in the layout of Hopper GPUs. Default: False.
        keeps_scales: Whether the scales as they were loaded stay, too. Default: False.
        wide_biases: Whether biases of experts have 32 bits. Default: False.
    """

    hidden_step: int = 1
    width_step: int = 1
    has_workspace: bool = True
    swizzles_scales: bool = False
    keeps_scales: bool = False
    wide_biases: bool = False

    def padded(self, hidden: int, width: int) -> tuple[int, int]:
        """The hidden size and the width of an expert on one GPU, as the kernel has them."""
        return _up(hidden, self.hidden_step), _up(width, self.width_step)

    def values(self, hidden: int, width: int, *, gated: bool) -> int:
        """Values of one token in one expert: the results of its two matrices.

        Args:
            hidden: The hidden size.
            width: Width of the expert on one GPU.
            gated: Whether there is a gate beside the up projection.
        """
        hidden, width = self.padded(hidden, width)
        if not self.has_workspace:
            return hidden + width
        first = width * (2 if gated else 1)
        return max(width, hidden) + max(first, hidden)

    def more_bytes(self, count: int, hidden: int, width: int, *, has_bias: bool) -> int:
        """Bytes of a layer of experts beyond its padded matrices: scales and biases.

        Args:
            count: Experts on one GPU.
            hidden: The hidden size.
            width: Width of an expert on one GPU.
            has_bias: Whether experts have biases.
        """
        hidden, width = self.padded(hidden, width)
        sides = ((2 * width, hidden // _BLOCK), (hidden, width // _BLOCK))
        size = 0
        for rows, columns in sides:
            plain = rows * columns
            if self.swizzles_scales:
                size += _up(rows, _SCALE_ROWS) * _up(columns, _SCALE_COLUMNS) - plain
            if self.keeps_scales:
                size += plain
        if has_bias and self.wide_biases:
            size += 2 * (2 * width + hidden)
        return count * size


def _up(size: int, step: int) -> int:
    return ceil(size / step) * step


PLAIN = ExpertKernel()
"""Triton, CUTLASS and Marlin for all formats that they need not pad."""
_FUSED = ExpertKernel(has_workspace=False)
_MARLIN = ExpertKernel(hidden_step=256, width_step=128)


def expert_kernel(
    quantization: Quantization | None,
    capability: Capability | None,
    release: VllmRelease,
    *,
    has_adapters: bool = False,
) -> ExpertKernel:
    """The kernel that an official image picks.

    Args:
        quantization: Quantization of the experts; None for none.
        capability: Compute capability of the GPU; None if it is not known.
        release: The vLLM release.
        has_adapters: Whether LoRA is on, which fewer kernels support. Default: False.
    """
    major = 0 if capability is None else capability[0]
    if quantization is None or quantization.method != "mxfp4":
        # On Hopper FlashInfer's kernels come last, since they are slower there.
        return _FUSED if quantization is None and major == 10 and not has_adapters else PLAIN
    if has_adapters or major not in (9, 10):
        return _MARLIN
    if major == 10:
        step = 128 if release.behaves("mxfp4-width-of-128") else 256
        return ExpertKernel(hidden_step=256, width_step=step, has_workspace=False)
    return ExpertKernel(
        width_step=64,
        has_workspace=False,
        swizzles_scales=True,
        keeps_scales=release.behaves("mxfp4-scales-twice"),
        wide_biases=True,
    )
