"""`vllm-constructs explain`."""

import io
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("VllmEngineDown", "# VllmEngineDown"),
        ("Deployment.spec.strategy", "A surge needs free GPUs."),
        ("dist/qwen-7b.k8s.yaml", "# Kubernetes sets VLLM_PORT=tcp://"),
    ],
)
def test_others(
    name: str,
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alerts, fields and files are explained, too."""
    monkeypatch.chdir(Path(__file__).parents[2])
    assert 0 == main(["explain", name])
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("VllmEngineDwn", "alert 'VllmEngineDwn' is not known; did you mean 'VllmEngineDown'?"),
        ("Deployment.spec.stratgy", "'Deployment.spec.stratgy' is no field that this library"),
        ("none.yaml", "'none.yaml' does not exist."),
    ],
)
def test_unknown_others(name: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not there is one sentence."""
    assert 2 == main(["explain", name])
    assert f"vllm-constructs: {sentence}" in capsys.readouterr().err


def test_stdin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file on standard input is printed with comments, once."""
    text = "kind: Deployment\nspec:\n  strategy: {}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert 0 == main(["explain", "-", "P01"])
    out = capsys.readouterr().out
    assert "  # A surge needs free GPUs." in out
    assert "# P01: " in out

    assert 2 == main(["explain", "-", "-"])
    assert "- is given twice; give it once." in capsys.readouterr().err


def test_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """An id that is not known is rejected."""
    assert 2 == main(["explain", "Z99"])
    assert "vllm-constructs: rule 'Z99' is not known; " in capsys.readouterr().err
