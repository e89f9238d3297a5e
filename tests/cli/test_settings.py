"""Defaults of `check` from pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm_constructs.cli.main import main

from .test_check import BAD


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder below it, which is the current one."""
    inner = tmp_path / "deploy"
    inner.mkdir()
    monkeypatch.chdir(inner)
    (inner / "bad.yaml").write_text(BAD)
    return tmp_path


def table(folder: Path, text: str) -> None:
    """Write the table of the project."""
    (folder / "pyproject.toml").write_text(f"[tool.vllm-constructs]\n{text}\n")


def test_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest file with a table gives the defaults, and an option precedes it."""
    table(folder, 'select = ["P02"]\nfail-on = "warning"')
    (folder / "deploy" / "pyproject.toml").write_text("[project]\n")
    assert 1 == main(["check", "bad.yaml"])
    assert "P01" not in capsys.readouterr().out.replace("explain P01", "")
    assert 0 == main(["check", "bad.yaml", "--fail-on", "error"])
    assert 1 == main(["check", "bad.yaml", "--select", "P01"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('selct = ["P01"]', ("has the key 'selct'", "did you mean 'select'?")),
        ('select = "P01"', ("select in [tool.vllm-constructs] of ", "a list of strings")),
        ('fail-on = "all"', ("fail-on in ", "'error'")),
        ("vllm = 0.33", ("vllm in ", "is 0.33")),
        ('kubernetes = "2.1"', ("'2.1'", "1.27")),
        ("x = [", ("pyproject.toml cannot be read",)),
    ],
)
def test_wrong(
    folder: Path, text: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake in the table is one sentence."""
    table(folder, text)
    assert 2 == main(["check", "bad.yaml"])
    (line,) = capsys.readouterr().err.splitlines()
    assert all(one in line for one in words), line
