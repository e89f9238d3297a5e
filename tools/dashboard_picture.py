"""Draws the Grafana dashboard's layout from its JSON, into `docs/dashboard.svg`.

Usage: python tools/dashboard_picture.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from vllm_constructs import ModelSeries
from vllm_constructs.monitoring.dashboard import dashboard_json

PICTURE = Path(__file__).parents[1] / "docs" / "dashboard.svg"

# Pixels of a column and of a row of Grafana's grid, and of the space between panels.
_COLUMN, _ROW, _GAP = 40, 18, 6
_COLORS = ("#4269d0", "#efb118", "#3ca951", "#a463f2")
_FONT = 'font-family="system-ui, sans-serif"'


def picture(board: str) -> str:
    """The layout as SVG: rows, panels with their units and lines, and limits in red.

    Args:
        board: The JSON of a dashboard.
    """
    found = json.loads(board)
    panels = found["panels"]
    width = 24 * _COLUMN
    height = _ROW * max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_FONT}>',
        f"<title>{escape(found['title'])}</title>",
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>',
        _text(_GAP, 20, found["title"], size=15, weight=600),
    ]
    for one in panels:
        lines += _row(one) if one["type"] == "row" else _panel(one)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _text(
    x: int, y: int, text: str, *, size: int = 11, color: str = "#24292e", weight: int = 400
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{color}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'


def _row(panel: dict[str, Any]) -> list[str]:
    top = _ROW * panel["gridPos"]["y"] + 30
    return [_text(_GAP, top + 14, panel["title"], size=13, weight=600)]


def _panel(panel: dict[str, Any]) -> list[str]:
    place, defaults = panel["gridPos"], panel["fieldConfig"]["defaults"]
    left, top = _COLUMN * place["x"] + _GAP, _ROW * place["y"] + 30
    width, height = _COLUMN * place["w"] - 2 * _GAP, _ROW * place["h"] - _GAP
    unit = defaults["unit"].removeprefix("suffix:").strip()
    steps = defaults.get("thresholds", {}).get("steps", [])
    limits = [step["value"] for step in steps if step.get("value") is not None]
    size = f'x="{left}" y="{top}" width="{width}" height="{height}"'
    found = [
        f'<rect {size} rx="3" fill="#fff" stroke="#d0d3d6"/>',
        _text(left + 10, top + 18, panel["title"], weight=600),
        _text(left + 10, top + 34, f"unit: {unit}", color="#6e7680"),
    ]
    if limits:
        line = f'x1="{left + 10}" x2="{left + width - 10}" y1="{top + 52}" y2="{top + 52}"'
        found.append(f'<line {line} stroke="#e02f44" stroke-dasharray="5 3"/>')
        found.append(_text(left + 12, top + 48, f"{limits[-1]:g}", size=9, color="#e02f44"))
    found += _lines(panel, left + 10, top + 72, width - 20)
    return found


def _lines(panel: dict[str, Any], left: int, top: int, width: int) -> Iterator[str]:
    """A curve for each query, and its name in the legend."""
    for number, target in enumerate(panel["targets"]):
        color = _COLORS[number % len(_COLORS)]
        y, step = top + 12 * number, width // 4
        curve = f"M{left} {y} q{step // 2} -8 {step} 0 t{step} 0 t{step} 0 t{step} 0"
        yield f'<path d="{curve}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        bottom = top + 54
        at = left + number * (width // len(panel["targets"]))
        yield f'<rect x="{at}" y="{bottom - 7}" width="10" height="3" fill="{color}"/>'
        yield _text(at + 14, bottom, target["legendFormat"], size=10, color="#6e7680")


def main() -> None:
    """Draw it anew."""
    board = dashboard_json(ModelSeries(namespace="llm", model_name="qwen-7b"))
    PICTURE.write_text(picture(board), encoding="utf-8")


if __name__ == "__main__":
    main()
