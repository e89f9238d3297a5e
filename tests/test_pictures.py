"""The picture of how facts flow into objects."""

import runpy
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from vllm_constructs import VllmConstructsWarning

ROOT = Path(__file__).parents[1]
MAKER: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "flow_picture.py"))


def test_current() -> None:
    """It is what `make picture` draws, and each fact leads somewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", VllmConstructsWarning)
        flows = MAKER["flows"]()
        text = MAKER["picture"]()
    assert (ROOT / "docs" / "flow.svg").read_text(encoding="utf-8") == text
    ET.fromstring(text)  # noqa: S314  # our own
    led = {fact for fields in flows.values() for facts in fields.values() for fact in facts}
    assert set(MAKER["FACTS"]) == led
