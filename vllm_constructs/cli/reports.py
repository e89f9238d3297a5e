"""Reports of `check`: made of manifests, written in a format, and turned into an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .output import has_colour

if TYPE_CHECKING:
    from vllm_constructs.formats.report import Report
    from vllm_constructs.reading.files import Manifests, Origin
    from vllm_constructs.reading.graph import Graph
    from vllm_constructs.rules.rule import Rule

    from .settings import Defaults

CLEAN, FOUND, UNUSABLE = 0, 1, 2


def exit_code(report: Report, fail_on: str) -> int:
    """The exit code for a report.

    Args:
        report: The report.
        fail_on: The level from which a finding fails the command, or `never`.
    """
    if report.unread:
        return UNUSABLE
    failing = {"error": report.errors, "warning": len(report.entries), "never": 0}[fail_on]
    return FOUND if failing else CLEAN


def report_of(found: Manifests, rules: Sequence[Rule], given: Defaults) -> Report:
    """The report about manifests.

    Args:
        found: The manifests.
        rules: The rules.
        given: The options.
    """
    from vllm_constructs.formats.report import Entry, Report
    from vllm_constructs.reading.graph import Graph
    from vllm_constructs.rules.check import check

    graph = Graph(
        found.objects,
        given.settings(),
        files=[origin.file for origin in found.origins],
        repeated=found.repeated(),
    )
    findings = check(graph, rules)
    entries = [Entry(finding=one, origin=found.origins[one.manifest.number]) for one in findings]
    # Values files of charts, and files of other programs, have neither.
    objects = sum(bool(one.get("apiVersion") and one.get("kind")) for one in found.objects)
    # Whatever rules are chosen, and whatever is accepted.
    secret = _secret_lines(graph, found.origins) if entries else frozenset()
    return Report(entries=entries, unread=found.unread, objects=objects, secret=secret)


def _secret_lines(graph: Graph, origins: Sequence[Origin]) -> frozenset[tuple[str, int]]:
    from vllm_constructs.rules.clear_text import clear_text

    places = [(one.manifest.number, one.path) for one in clear_text.check(graph)]
    places += [
        (one.number, (field,))
        for one in graph.of("Secret")
        for field in ("data", "stringData")
        if field in one.body
    ]
    return frozenset(
        (origins[number].file, line)
        for number, path in places
        for line in origins[number].lines(path)
    )


def shown(report: Report, name: str) -> str:
    """A report in a format.

    Args:
        report: The report.
        name: Name of the format.
    """
    if name == "json":
        from vllm_constructs.formats.plain_json import plain_json

        return plain_json(report)
    if name == "sarif":
        from vllm_constructs.formats.sarif import sarif

        return sarif(report)
    if name == "github":
        from vllm_constructs.formats.github import github

        return github(report)
    if name == "junit":
        from vllm_constructs.formats.junit import junit

        return junit(report)
    from vllm_constructs.formats.text import text

    return text(report, colour=has_colour())
