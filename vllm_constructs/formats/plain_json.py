"""JSON: a report for programs."""

from __future__ import annotations

import json
from typing import Any

from .report import Entry, Report, pointer

VERSION = 1
"""Version of the format; it grows when a field changes its meaning."""


def plain_json(report: Report) -> str:
    """A report as JSON.

    Args:
        report: The report.
    """
    return json.dumps(
        {
            "version": VERSION,
            "objects": report.objects,
            "errors": report.errors,
            "warnings": report.warnings,
            "findings": [_entry(one) for one in report.entries],
            "unread": [one.sentence() for one in report.unread],
        },
        indent=2,
        ensure_ascii=False,
    )


def _entry(entry: Entry) -> dict[str, Any]:
    finding, position = entry.finding, entry.position
    place: dict[str, Any] = {"file": entry.origin.file}
    if position is not None:
        place |= {
            "line": position.line,
            "column": position.column,
            "endLine": position.end_line,
            "endColumn": position.end_column,
        }
    manifest = finding.manifest
    return {
        "rule": finding.rule.id,
        "level": finding.level,
        "title": finding.rule.title,
        "message": entry.sentence,
        "object": {
            "apiVersion": manifest.api_version,
            "kind": manifest.kind,
            "namespace": manifest.namespace,
            "name": manifest.name,
        },
        "field": entry.field,
        "pointer": pointer(finding.path),
        **place,
        "fix": None if finding.fix is None else {"safe": finding.fix.is_safe},
    }
