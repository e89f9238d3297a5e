"""Print the table of docs/admission.md: the API server's verdict on each mistake.

Usage: `python tools/admission_table.py` prints the table, and `python tools/admission_table.py
--write` writes it into the page. The verdicts are those of tests/cluster/mistakes, which
`make test-cluster` checks on real API servers.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.cluster.binaries import versions  # noqa: E402  # the tests are not an installed package
from tests.cluster.mistakes import MISTAKES, Mistake  # noqa: E402  # as above

PAGE = ROOT / "docs" / "admission.md"
START = "| Rule | What is wrong |"


def verdict(mistake: Mistake, version: str) -> str:
    """The verdict of one Kubernetes release on a mistake."""
    if mistake.is_refused(version):
        older = len(mistake.words) > 1 and version != versions()[0]
        return f"**rejected**: {mistake.words[0 if older else -1]}"
    if version in mistake.dropped_by:
        return f"admitted, and the field is **dropped**: {mistake.admitted}"
    if mistake.dropped_by:
        return "admitted, and the field is kept"
    return f"admitted: {mistake.admitted}"


def table() -> str:
    """The table, as Markdown."""
    newest, oldest = versions()[0], versions()[-1]
    lines = [
        f"{START} Object | Kubernetes {newest} | Kubernetes {oldest}, where it differs |",
        "|---|---|---|---|---|",
    ]
    for mistake in MISTAKES:
        new, old = verdict(mistake, newest), verdict(mistake, oldest)
        cells = [mistake.rule, mistake.what, mistake.kind, new, "" if new == old else old]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or write it into the page."""
    if sys.argv[1:] != ["--write"]:
        print(table(), end="")
        return
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page[: page.index(START)] + table(), encoding="utf-8")


if __name__ == "__main__":
    main()
