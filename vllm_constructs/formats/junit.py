"""JUnit: a report as XML, one test case for each file, rule and object with a finding."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # it writes, and parses nothing
from itertools import groupby

from .report import Report

# Characters that XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """A report as XML; without findings, the one test case is that of the whole check.

    Args:
        report: The report.
    """
    total = len(report.entries) + len(report.unread)
    suites = ET.Element(
        "testsuites", name="vllm-constructs", tests=str(max(1, total)), failures=str(total)
    )
    by_file = sorted(report.entries, key=lambda one: one.origin.file)
    for file, entries in groupby(by_file, key=lambda one: one.origin.file):
        found = list(entries)
        suite = _suite(suites, file, len(found), len(found))
        for one in found:
            finding = one.finding
            name = f"{finding.rule.id} {finding.manifest.title} {one.field}"
            case = _case(suite, file, name)
            message = _writable(one.sentence)
            failure = ET.SubElement(case, "failure", type=finding.level, message=message)
            failure.text = _writable(f"{one.place}: {one.sentence}")
    for problem in report.unread:
        suite = _suite(suites, "unread", 1, 1)
        message = _writable(problem.sentence())
        ET.SubElement(_case(suite, "unread", message), "failure", type="error", message=message)
    if not total:
        _case(_suite(suites, "vllm-constructs", 1, 0), "vllm-constructs", "check")
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode")


def _suite(suites: ET.Element, name: str, tests: int, failures: int) -> ET.Element:
    return ET.SubElement(
        suites, "testsuite", name=_writable(name), tests=str(tests), failures=str(failures)
    )


def _case(suite: ET.Element, file: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_writable(file), name=_writable(name))


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("?", text)
