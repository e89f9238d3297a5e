"""Reports: exit codes and formats of what was found."""

from __future__ import annotations

import pytest

from tests.formats.reports import report
from vllm_constructs.cli.check import FORMATS
from vllm_constructs.cli.reports import exit_code, report_of, shown
from vllm_constructs.cli.settings import Defaults
from vllm_constructs.reading import files
from vllm_constructs.rules.check import every_rule


@pytest.mark.parametrize(
    ("rules", "fail_on", "code"),
    [
        (("P01", "P02"), "error", 1),
        (("P02",), "error", 0),
        (("P02",), "warning", 1),
        (("P01",), "never", 0),
    ],
)
def test_exit_code(rules: tuple[str, ...], fail_on: str, code: int) -> None:
    """The level from which a finding fails decides."""
    from tests.formats.reports import BAD

    assert code == exit_code(report(BAD, "a.yaml", *rules), fail_on)


def test_unread() -> None:
    """What cannot be read fails in any case."""
    assert 2 == exit_code(report(unread="b.yaml"), "never")


@pytest.mark.parametrize("name", FORMATS)
def test_shown(name: str) -> None:
    """Each format names the rule."""
    assert "P01" in shown(report(), name)


def test_report_of() -> None:
    """A report has the origin of each object."""
    from tests.formats.reports import BAD

    found = files.read_text(BAD, "a.yaml")
    made = report_of(found, [one for one in every_rule() if one.id == "P01"], Defaults())
    assert ["a.yaml:12:11"] == [one.place for one in made.entries]
    assert 2 == made.objects


def test_secret_lines() -> None:
    """Lines with secrets are known, whatever rules are chosen, in a Secret too."""
    from tests.formats.reports import BAD

    variable = (
        "env:\n            - name: HF_TOKEN\n              value: hf_AbCdEfGhIjKlMnOpQrStUvWxYz\n"
    )
    secret = "---\nkind: Secret\nmetadata: {name: s}\nstringData:\n  a: |\n    one\n    two\n"
    text = BAD.replace("livenessProbe:", f"{variable}          livenessProbe:") + secret
    found = files.read_text(text, "a.yaml")
    made = report_of(found, [one for one in every_rule() if one.id == "P01"], Defaults())
    lines = text.splitlines()
    shown = [lines[number - 1].strip() for _, number in sorted(made.secret)]
    assert ["value: hf_AbCdEfGhIjKlMnOpQrStUvWxYz", "stringData:", "a: |", "one", "two"] == shown
