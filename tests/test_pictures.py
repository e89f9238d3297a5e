"""The pictures that are drawn from the library."""

import runpy
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from vllm_constructs import VllmConstructsWarning

ROOT = Path(__file__).parents[1]
MAKER: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "flow_picture.py"))
ARCHITECTURE: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "architecture_picture.py"))


def test_architecture() -> None:
    """The picture of the packages is current, and each stands above those that it imports."""
    text = ARCHITECTURE["picture"]()
    assert (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8") == text
    graph = ARCHITECTURE["packages"]()
    rows = ARCHITECTURE["rows"](graph)
    level = {name: number for number, row in enumerate(rows) for name in row}
    assert all(level[name] < level[one] for name in graph for one in graph[name])


def test_reduced() -> None:
    """A line is left out if two others lead there."""
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert {"a": {"b"}, "b": {"c"}, "c": set()} == ARCHITECTURE["reduced"](graph)


def test_flow() -> None:
    """It is what `make picture` draws, and each fact leads somewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", VllmConstructsWarning)
        flows = MAKER["flows"]()
        text = MAKER["picture"]()
    assert (ROOT / "docs" / "flow.svg").read_text(encoding="utf-8") == text
    ET.fromstring(text)  # noqa: S314  # our own
    led = {fact for fields in flows.values() for facts in fields.values() for fact in facts}
    assert set(MAKER["FACTS"]) == led
