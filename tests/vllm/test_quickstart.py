"""The quickstart, with the real engine in place of the image."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support import load_yaml

from .conftest import Start
from .container import Container

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "quickstart.md"
DIST = ROOT / "examples" / "quickstart" / "dist" / "quickstart.k8s.yaml"


def test_ask(start: Start, tmp_path: Path) -> None:
    """The request of the page gets its tokens, one by one, to the end."""
    found = re.search(
        r'^```sh title="ask"\n(.*?)^```', PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    running = start(Container.only(load_yaml(DIST), tmp_path))
    running.wait_ready()
    done = subprocess.run(
        ["sh", "-c", found[1]],  # noqa: S607  # as the page says
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    events = [line for line in done.stdout.splitlines() if line.startswith("data: ")]
    assert "data: [DONE]" == events[-1]
    assert len(events) > 5
    assert any('"content":' in event for event in events)
