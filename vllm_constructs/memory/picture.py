"""A memory plan as a picture, which notebooks show."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .activations import GIB

if TYPE_CHECKING:
    from .plan import MemoryPlan

_WIDTH, _BAR, _LINE = 640, 28, 18
_COLOURS = ("#4269d0", "#a463f2", "#ff725c", "#9c6b4e", "#3ca951", "#d0d3d6")
_FONT = 'font-family="system-ui, sans-serif" font-size="12"'


def parts(plan: MemoryPlan) -> list[tuple[str, int]]:
    """What takes the memory of a GPU, in bytes, the rest of it last.

    Args:
        plan: The plan.
    """
    taken = [
        ("weights", plan.weights),
        ("activations", plan.activations),
        ("CUDA graphs", plan.cuda_graphs),
        ("other", plan.overhead),
        ("KV cache", max(plan.kv_cache, 0)),
    ]
    return [*taken, ("free", max(plan.gpu_memory - sum(size for _, size in taken), 0))]


def picture(plan: MemoryPlan) -> str:
    """The plan as SVG: a bar of the GPU's memory, and a legend with sizes.

    A model that is too large has a bar that is longer than the GPU, whose end is marked.

    Args:
        plan: The plan.
    """
    shown = [(name, size) for name, size in parts(plan) if size > 0]
    total = max(plan.gpu_memory, sum(size for _, size in shown))
    colours = dict(zip((name for name, _ in parts(plan)), _COLOURS, strict=True))
    title = f"{plan.shape.name} on {plan.gpus} x {plan.gpu.product or plan.gpu.platform}"
    height = 2 * _LINE + _BAR + _LINE * len(shown) + 8
    size_of_all = f'width="{_WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size_of_all} {_FONT} fill="#24292e">',
        f'<rect {size_of_all} fill="#fff"/>',
        f'<text x="4" y="14" font-weight="600">{escape(title)}: {plan.verdict}</text>',
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
    end = plan.gpu_memory * _WIDTH / total
    lines.append(
        f'<path d="M{end:.1f} {_LINE} v{_BAR + 8}" stroke="#e02f44" stroke-width="2"/>'
        f'<text x="{_WIDTH - 4}" y="{_LINE + _BAR + _LINE + 8}" text-anchor="end">'
        f"memory of the GPU: {plan.gpu_memory / GIB:.2f} GiB</text>"
    )
    return "\n".join([*lines, "</svg>"])
