"""Draws the packages and what they import of each other, into `docs/architecture.svg`.

The rows follow from the imports in the source: a package stands above all that it imports. A line
that follows from two others is left out.

Usage: python tools/architecture_picture.py
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from html import escape
from pathlib import Path

from tests.support.imports import PACKAGE, package_graph

PICTURE = Path(__file__).parents[1] / "docs" / "architecture.svg"
SURFACE = {"cdk", "cli"}
"""What users call: constructs and the command."""

_WIDTH, _BOX, _HIGH, _ROW = 900, 132, 30, 84
_FONT = 'font-family="ui-monospace, monospace" font-size="13"'


def packages() -> dict[str, set[str]]:
    """What each package imports of the others; not the modules of the root, which all share."""
    graph = package_graph()
    names = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return {name: graph[name] & names for name in sorted(names)}


def reduced(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The graph without what follows from the rest of it."""

    def below(name: str) -> set[str]:
        return graph[name].union(*(below(one) for one in graph[name]))

    return {
        name: {one for one in targets if not any(one in below(other) for other in targets)}
        for name, targets in graph.items()
    }


def rows(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The packages by how many others stand on each other below them, the highest first."""

    def height(name: str) -> int:
        return 1 + max(map(height, graph[name]), default=-1)

    found: dict[int, list[str]] = {}
    for name in graph:
        found.setdefault(height(name), []).append(name)
    return [found[level] for level in sorted(found, reverse=True)]


def subject(name: str) -> str:
    """What a package says of itself."""
    text = (PACKAGE / name / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]


def picture() -> str:
    """The picture as SVG."""
    graph = packages()
    places: dict[str, tuple[int, int]] = {}
    ordered = rows(graph)
    for number, row in enumerate(ordered):
        step = _WIDTH / len(row)
        for column, name in enumerate(row):
            places[name] = (round(step * (column + 0.5)), 24 + number * _ROW)
    bottom = 24 + (len(ordered) - 1) * _ROW + _HIGH + 24
    lines = []
    for name, targets in reduced(graph).items():
        x, y = places[name]
        for target in sorted(targets):
            other, high = places[target]
            low = y + _HIGH
            curve = f"M{x} {low} C{x} {low + 34} {other} {high - 34} {other} {high}"
            lines.append(f'<path d="{curve}" fill="none" stroke="#868e96"/>')
    for name, (x, y) in places.items():
        fill = "#e7f5ff" if name in SURFACE else "#fff"
        box = f'x="{x - _BOX // 2}" y="{y}" width="{_BOX}" height="{_HIGH}" rx="4"'
        lines += [
            f"<g><title>{escape(subject(name))}</title>",
            f'<rect {box} fill="{fill}" stroke="#495057"/>',
            f'<text x="{x}" y="{y + 20}" text-anchor="middle" fill="#212529">{name}</text></g>',
        ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom}" {_FONT}>'
        "<title>The packages of vllm_constructs</title>"
        f'<rect width="{_WIDTH}" height="{bottom}" fill="#f8f9fa"/>'
    )
    return "\n".join([head, *lines, "</svg>"]) + "\n"


def main() -> None:
    """Draw it anew."""
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
