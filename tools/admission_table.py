"""Print the table of docs/admission.md: what the API server says to each mistake.

Usage: python tools/admission_table.py > build/table.md; `python tools/admission_table.py --write`
puts it into the page. The verdicts are those of tests/cluster/mistakes, which `make test-cluster`
tries on real API servers.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.cluster.binaries import versions  # noqa: E402  # the tests are no installed package
from tests.cluster.mistakes import MISTAKES, Mistake  # noqa: E402  # as above

PAGE = ROOT / "docs" / "admission.md"
START = "| Rule | What is wrong |"


def said(mistake: Mistake, version: str) -> str:
    """The verdict of one release."""
    if mistake.is_refused(version):
        older = len(mistake.words) > 1 and version != versions()[0]
        return f"**refused**: {mistake.words[0 if older else -1]}"
    if version in mistake.dropped_by:
        return f"admitted, and the field is **dropped**: {mistake.admitted}"
    if mistake.dropped_by:
        return "admitted, and kept"
    return f"admitted: {mistake.admitted}"


def table() -> str:
    """The table, as Markdown."""
    newest, oldest = versions()[0], versions()[-1]
    lines = [
        f"{START} Object | Kubernetes {newest} | Kubernetes {oldest}, where it differs |",
        "|---|---|---|---|---|",
    ]
    for mistake in MISTAKES:
        new, old = said(mistake, newest), said(mistake, oldest)
        cells = [mistake.rule, mistake.what, mistake.kind, new, "" if new == old else old]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print it, or write it into the page."""
    if sys.argv[1:] != ["--write"]:
        print(table(), end="")
        return
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page[: page.index(START)] + table(), encoding="utf-8")


if __name__ == "__main__":
    main()
