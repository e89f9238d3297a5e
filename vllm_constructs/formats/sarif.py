"""SARIF 2.1.0: a report for code scanning, with the page of each rule that finds something.

Format: OASIS Standard, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from vllm_constructs._version import __version__
from vllm_constructs.rules import explanation
from vllm_constructs.rules.rule import Rule

from .report import Entry, Report, pointer

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(report: Report) -> str:
    """A report as SARIF.

    Args:
        report: The report.
    """
    rules = {one.finding.rule.id: one.finding.rule for one in report.entries}
    ids = sorted(rules)
    driver = {
        "name": "vllm-constructs",
        "version": __version__,
        "rules": [_rule(rules[id]) for id in ids],
    }
    notices = [
        {"level": "error", "message": {"text": one.sentence()}, "descriptor": {"id": "unread"}}
        for one in report.unread
    ]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {"executionSuccessful": not notices, "toolExecutionNotifications": notices}
        ],
        "results": [_result(one, ids.index(one.finding.rule.id)) for one in report.entries],
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _rule(rule: Rule) -> dict[str, Any]:
    page = explanation.page(rule.id)
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": explanation.introduction(page)},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": rule.level},
    }


def _result(entry: Entry, index: int) -> dict[str, Any]:
    finding, position = entry.finding, entry.position
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(entry.origin.file)}}
    if position is not None:
        physical["region"] = {
            "startLine": position.line,
            "startColumn": position.column,
            "endLine": position.end_line,
            "endColumn": position.end_column,
        }
    name = f"{finding.manifest.title} {pointer(finding.path)}"
    print_ = hashlib.sha256(f"{finding.rule.id} {name}".encode()).hexdigest()[:32]
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": finding.level,
        "message": {"text": entry.sentence},
        "locations": [
            {
                "physicalLocation": physical,
                "logicalLocations": [{"fullyQualifiedName": name, "kind": "member"}],
            }
        ],
        # The same finding in a file that has grown above it is no new one.
        "partialFingerprints": {"objectAndField/v1": print_},
    }


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
