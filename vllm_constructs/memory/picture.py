"""A memory plan as a picture, which notebooks show."""

from __future__ import annotations

from html import escape
from typing import Protocol

from vllm_constructs.accelerators.kinds import Gpu

from .activations import GIB
from .shapes import ModelShape

_WIDTH, _BAR, _LINE = 640, 28, 18
_COLOURS = ("#4269d0", "#a463f2", "#ff725c", "#9c6b4e", "#3ca951", "#d0d3d6")
_FONT = 'font-family="system-ui, sans-serif" font-size="12"'


class Figures(Protocol):
    """The figures of a plan that are drawn; `MemoryPlan` has them."""

    @property
    def shape(self) -> ModelShape:
        """The sizes of the model."""
        ...

    @property
    def gpu(self) -> Gpu:
        """GPU of the pod."""
        ...

    @property
    def gpus(self) -> int:
        """GPUs of the pod."""
        ...

    @property
    def verdict(self) -> str:
        """The result."""
        ...

    @property
    def gpu_memory(self) -> int:
        """Bytes of one GPU."""
        ...

    @property
    def weights(self) -> int:
        """Bytes of the weights."""
        ...

    @property
    def activations(self) -> int:
        """Bytes of activations."""
        ...

    @property
    def cuda_graphs(self) -> int:
        """Bytes of CUDA graphs."""
        ...

    @property
    def overhead(self) -> int:
        """Bytes outside of PyTorch's allocator."""
        ...

    @property
    def kv_cache(self) -> int:
        """Bytes that are left for the KV cache."""
        ...


def parts(plan: Figures) -> dict[str, int]:
    """What takes the memory of one GPU, in bytes, and what vLLM leaves free.

    All together are the memory of the GPU, unless the model is too large for it.

    Args:
        plan: The plan.
    """
    found = {
        "weights": plan.weights,
        "activations": plan.activations,
        "CUDA graphs": plan.cuda_graphs,
        "other": plan.overhead,
        "KV cache": max(plan.kv_cache, 0),
    }
    return found | {"free": max(plan.gpu_memory - sum(found.values()), 0)}


def picture(plan: Figures) -> str:
    """A plan as SVG: a bar of its parts, and a legend with sizes.

    A model that is too large has a bar that is longer than the GPU, whose end is marked.

    Args:
        plan: The plan.
    """
    memory, all_parts = plan.gpu_memory, parts(plan)
    product = getattr(plan.gpu, "product", None) or plan.gpu.platform
    title = f"{plan.shape.name} on {plan.gpus} x {product}: {plan.verdict}"
    shown = [(name, size) for name, size in all_parts.items() if size > 0]
    total = max(memory, sum(size for _, size in shown))
    colours = dict(zip(all_parts, _COLOURS, strict=True))
    height = 2 * _LINE + _BAR + _LINE * len(shown) + 8
    size_of_all = f'width="{_WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size_of_all} {_FONT} fill="#24292e">',
        f'<rect {size_of_all} fill="#fff"/>',
        f'<text x="4" y="14" font-weight="600">{escape(title)}</text>',
    ]
    left = 0.0
    for number, (name, size) in enumerate(shown):
        width = size * _WIDTH / total
        colour = colours[name]
        top = _LINE + _BAR + _LINE * (number + 1) + 8
        place = f'x="{left:.1f}" y="{_LINE + 4}" width="{width:.1f}" height="{_BAR}"'
        lines += [
            f'<rect {place} fill="{colour}"/>',
            f'<rect x="4" y="{top - 9}" width="10" height="10" fill="{colour}"/>',
            f'<text x="20" y="{top}">{name}: {size / GIB:.2f} GiB</text>',
        ]
        left += width
    end = memory * _WIDTH / total
    lines.append(
        f'<path d="M{end:.1f} {_LINE} v{_BAR + 8}" stroke="#e02f44" stroke-width="2"/>'
        f'<text x="{_WIDTH - 4}" y="{_LINE + _BAR + _LINE + 8}" text-anchor="end">'
        f"memory of the GPU: {memory / GIB:.2f} GiB</text>"
    )
    return "\n".join([*lines, "</svg>"])
