"""SARIF 2.1.0, checked by its own schema."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from vllm_constructs.formats.sarif import sarif

from .reports import report

# A Go module that has the schema of the standard among its tests.
MODULE = "github.com/securego/gosec/v2@v2.30.0"


@cache
def schema() -> dict[str, Any]:
    """The schema of the standard."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go here, which fetches the schema")
    done = subprocess.run(
        [go, "mod", "download", "-json", MODULE], check=True, capture_output=True, text=True
    )
    folder = Path(json.loads(done.stdout)["Dir"])
    text = (folder / "report/sarif/testdata/sarif-schema-2.1.0.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("unread", ["", "b.yaml cannot be read"])
@pytest.mark.parametrize("file", ["dir/a b.yaml", "/x/ä.yaml", "<stdin>"])
def test_valid(file: str, unread: str) -> None:
    """A report is valid, whatever its files are called, and so is one without findings."""
    validator = Draft4Validator(schema(), format_checker=Draft4Validator.FORMAT_CHECKER)

    assert [] == list(validator.iter_errors(json.loads(sarif(report(file=file, unread=unread)))))
    assert [] == list(validator.iter_errors(json.loads(sarif(report("kind: Service\n", file)))))


def test_schema() -> None:
    """The schema rejects what is not SARIF."""
    document = json.loads(sarif(report()))
    document["runs"][0]["results"][0]["level"] = "fatal"
    assert list(Draft4Validator(schema()).iter_errors(document))


def test_sarif() -> None:
    """Each result refers to its rule, whose page it has, and to its place."""
    (run,) = json.loads(sarif(report()))["runs"]
    rules = run["tool"]["driver"]["rules"]
    error, warning = run["results"]

    assert ["P01", "P02"] == [rule["id"] for rule in rules]
    assert rules[0]["help"]["markdown"].startswith("# P01: ")
    assert rules[0]["fullDescription"]["text"].startswith("The container has a `livenessProbe`")
    assert ("P01", 0, "error") == (error["ruleId"], error["ruleIndex"], error["level"])
    assert ("P02", 1, "warning") == (warning["ruleId"], warning["ruleIndex"], warning["level"])
    (place,) = error["locations"]
    assert "dir/a%20b.yaml" == place["physicalLocation"]["artifactLocation"]["uri"]
    assert {"startLine": 12, "startColumn": 11, "endLine": 12, "endColumn": 24} == (
        place["physicalLocation"]["region"]
    )


def test_fingerprints() -> None:
    """A finding keeps its fingerprint when lines are added above it."""
    from .reports import BAD

    def prints(text: str) -> list[str]:
        (run,) = json.loads(sarif(report(text)))["runs"]
        return [one["partialFingerprints"]["objectAndField/v1"] for one in run["results"]]

    assert prints(BAD) == prints(f"# a line\n{BAD}")
    assert 2 == len(set(prints(BAD)))
