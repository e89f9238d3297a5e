"""GitHub: a report as commands of a workflow, which GitHub shows as annotations at their lines.

Format: GitHub docs, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from .report import Entry, Report
from .text import summary


def github(report: Report) -> str:
    """A report as commands of a workflow, with the summary behind them.

    Args:
        report: The report.
    """
    unread = [f"::error title=unread::{_data(one.sentence())}" for one in report.unread]
    return "\n".join([*map(_entry, report.entries), *unread, summary(report)])


def _entry(entry: Entry) -> str:
    finding, position = entry.finding, entry.position
    fields = {"file": entry.origin.file}
    if position is not None:
        fields |= {"line": str(position.line), "col": str(position.column)}
        fields |= {"endLine": str(position.end_line)}
        if position.end_line == position.line:
            fields |= {"endColumn": str(position.end_column)}
    fields["title"] = f"{finding.rule.id}: {finding.manifest.title}"
    shown = ",".join(f"{name}={_property(value)}" for name, value in fields.items())
    return f"::{finding.level} {shown}::{_data(entry.sentence)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
