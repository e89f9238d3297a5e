"""`vllm-constructs explain`."""

import pytest

from vllm_constructs.cli.main import main


def test_page(capsys: pytest.CaptureFixture[str]) -> None:
    """The page of a rule is printed, whatever the case of its id."""
    assert 0 == main(["explain", "p01"])
    out = capsys.readouterr().out
    assert out.startswith("# P01: ")
    assert "## How to mend it" in out


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an id, all rules are listed."""
    assert 0 == main(["explain"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("P01  error    no startup probe") for line in lines)
    assert lines == sorted(lines)


def test_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """An id that is not known is rejected."""
    assert 2 == main(["explain", "Z99"])
    assert "vllm-constructs: rule 'Z99' is not known; " in capsys.readouterr().err
