"""docs/admission.md says what the API servers were seen to say."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_table() -> None:
    """The page's table is the one that the tests of a control plane try."""
    path = ROOT / "tools" / "admission_table.py"
    spec = importlib.util.spec_from_file_location("admission_table", path)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    page = (ROOT / "docs" / "admission.md").read_text(encoding="utf-8")

    assert page.endswith(tool.table()), "run `python tools/admission_table.py --write`"
