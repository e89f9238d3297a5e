"""Draws how facts of an app flow into its objects, into `docs/flow.svg`.

Nothing of it is drawn by hand: the app is rendered once as it is and once with each fact changed,
and a line leads from a fact to every field that differs then.

Usage: python tools/flow_picture.py
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from cdk8s import App, Chart

from vllm_constructs import (
    Drain,
    F5Nginx,
    KedaScaler,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    QueueDepth,
    Startup,
    StreamingIngress,
    WholeGpu,
)
from vllm_constructs.rules.fields import general, paths
from vllm_constructs.testing import manifests

PICTURE = Path(__file__).parents[1] / "docs" / "flow.svg"
FACTS: dict[str, tuple[str, Any, Any]] = {
    "startup": ("Startup(minutes=10)", Startup(minutes=10), Startup(minutes=20)),
    "drain": ("Drain(seconds=90)", Drain(seconds=90), Drain(seconds=60)),
    "response_timeout": ("300", 300, 200),
    "served_name": ('"qwen-7b"', "qwen-7b", "qwen"),
    "gpu": (
        'WholeGpu("NVIDIA-L40S")',
        WholeGpu("NVIDIA-L40S"),
        WholeGpu("NVIDIA-H100-80GB-HBM3", count=2),
    ),
    "port": ("8000", 8000, 9000),
}
"""Each fact with its value as code, the value, and another one."""

_COLOURS = ("#4269d0", "#3ca951", "#a463f2", "#e8590c", "#d6336c", "#0c8599")
_WIDTH, _ROW, _GAP = 900, 17, 12
_LEFT, _RIGHT = 300, 520
_FONT = 'font-family="ui-monospace, monospace" font-size="11"'


def _rendered(**changed: Any) -> dict[str, dict[str, Any]]:
    facts = {name: value for name, (_, value, _) in FACTS.items()} | changed
    chart = Chart(App(), "qwen", namespace="llm")
    cache = ModelCache(chart, "weights", size="100Gi")
    facts["cache"] = cache
    model = ModelDeployment(chart, "qwen-7b", model="Qwen/Qwen2.5-7B-Instruct", **facts)
    KedaScaler(
        chart,
        "scaler",
        target=model,
        min_replicas=1,
        max_replicas=4,
        prometheus="http://prometheus.monitoring.svc:9090",
        triggers=[QueueDepth(5)],
    )
    StreamingIngress(chart, "front", target=model, host="llm.example.com", controller=F5Nginx())
    ModelMonitor(chart, "monitor", target=model, labels={"release": "prometheus"}, dashboard=False)
    return manifests(chart)


def _leaves(objects: dict[str, dict[str, Any]]) -> dict[tuple[str, str], list[Any]]:
    """The values of all fields that have no fields of their own, by object and path."""
    found: dict[tuple[str, str], list[Any]] = {}
    for item in objects.values():
        for name, place in paths(item, item["kind"]):
            value: Any = item
            for step in place:
                value = value[step]
            if not isinstance(value, (dict, list)):
                found.setdefault((item["kind"], general(name)), []).append(value)
    return found


def flows() -> dict[str, dict[str, set[str]]]:
    """The facts that lead to each field, by kind and field."""
    base = _leaves(_rendered())
    found: dict[str, dict[str, set[str]]] = {}
    for fact, (_, _, other) in FACTS.items():
        changed = _leaves(_rendered(**{fact: other}))
        for kind, path in base.keys() | changed.keys():
            if base.get((kind, path)) != changed.get((kind, path)):
                field = path.removeprefix(f"{kind}.").removeprefix("Pod.spec.")
                found.setdefault(kind, {}).setdefault(_short(field), set()).add(fact)
    return {kind: dict(sorted(found[kind].items())) for kind in sorted(found)}


def _short(field: str) -> str:
    """The end of a path that says enough."""
    for start in ("containers.", "spec.", "advanced.horizontalPodAutoscalerConfig."):
        field = field.removeprefix(start)
    # A key with a domain has dots of its own.
    return field if "/" in field else ".".join(field.split(".")[:3])


def picture() -> str:
    """The picture as SVG."""
    found = flows()
    colours = dict(zip(FACTS, _COLOURS, strict=True))
    ends: list[tuple[str, int]] = []
    lines: list[str] = []
    y = 30
    for kind, fields in found.items():
        height = _ROW * (len(fields) + 1) + 6
        lines.append(
            f'<rect x="{_RIGHT}" y="{y}" width="{_WIDTH - _RIGHT - 10}" height="{height}" rx="4" '
            'fill="#fff" stroke="#ced4da"/>'
        )
        lines.append(_text(_RIGHT + 10, y + _ROW - 3, kind, weight=600))
        for number, (field, facts) in enumerate(fields.items(), 1):
            row = y + _ROW * number + 8
            lines.append(_text(_RIGHT + 10, row + 4, field))
            ends += [(fact, row) for fact in FACTS if fact in facts]
        y += height + _GAP
    bottom = y
    step = (bottom - 60) / len(FACTS)
    for number, (fact, (code, _, _)) in enumerate(FACTS.items()):
        middle = round(50 + step * (number + 0.5))
        for _, row in (end for end in ends if end[0] == fact):
            lines.append(
                f'<path d="M{_LEFT} {middle} C{_LEFT + 110} {middle} {_RIGHT - 110} {row} '
                f'{_RIGHT} {row}" fill="none" stroke="{colours[fact]}" stroke-opacity="0.65"/>'
            )
        box = f'x="10" y="{middle - 13}" width="{_LEFT - 10}" height="26" rx="4" fill="#fff"'
        lines += [
            f'<rect {box} stroke="{colours[fact]}" stroke-width="1.5"/>',
            _text(18, middle + 4, f"{fact}={code}", weight=600),
        ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom}" {_FONT}>'
        "<title>How facts of an app flow into its objects</title>"
        f'<rect width="{_WIDTH}" height="{bottom}" fill="#f8f9fa"/>'
    )
    titles = [
        _text(10, 20, "You say each fact once", weight=600),
        _text(_RIGHT, 20, "What follows from it is rendered", weight=600),
    ]
    return "\n".join([head, *titles, *lines, "</svg>"]) + "\n"


def _text(x: int, y: int, text: str, *, weight: int = 400) -> str:
    style = f'font-weight="{weight}" fill="#212529"'
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'


def main() -> None:
    """Draw it anew."""
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
