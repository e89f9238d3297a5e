"""JUnit's XML."""

import xml.etree.ElementTree as ET

from vllm_constructs.formats.junit import junit

from .reports import BAD, report


def test_junit() -> None:
    """Each finding is a failed test case in the suite of its file."""
    suites = ET.fromstring(junit(report(unread="b.yaml")))  # noqa: S314  # it is the output of this library

    assert ("3", "3") == (suites.get("tests"), suites.get("failures"))
    assert ["dir/a b.yaml", "unread"] == [suite.get("name") for suite in suites]
    error, warning = suites[0]
    assert "P01 Deployment llm/qwen,7b spec.template.spec.containers[0].livenessProbe" == error.get(
        "name"
    )
    assert ["error", "warning"] == [one[0].get("type") for one in (error, warning)]
    assert str(error[0].text).startswith("dir/a b.yaml:12:11: livenessProbe gives up")


def test_clean() -> None:
    """Without findings there is one test case, since some readers reject a file without any."""
    suites = ET.fromstring(junit(report("kind: Service\n")))  # noqa: S314  # it is the output of this library
    assert ("1", "0") == (suites.get("tests"), suites.get("failures"))
    assert [["testcase"]] == [[case.tag for case in suite] for suite in suites]


def test_unwritable() -> None:
    """Characters that XML cannot hold are replaced."""
    text = BAD.replace('"qwen,7b"', '"a\\x01\\uFFFFb<&"')
    suites = ET.fromstring(junit(report(text)))  # noqa: S314  # it is the output of this library
    assert "P01 Deployment llm/a??b<& spec" == str(suites[0][0].get("name")).partition(".")[0]
