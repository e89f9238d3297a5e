"""`vllm-constructs check`: inputs, rules, formats and exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from vllm_constructs.cli.check import FORMATS
from vllm_constructs.cli.main import main

BAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: qwen}
spec:
  selector: {matchLabels: {app: qwen}}
  template:
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.33.0
          args: [Qwen/Qwen2.5-7B-Instruct]
          livenessProbe:
            httpGet: {path: /health, port: 8000}
            periodSeconds: 30
"""
GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
P = ("--select", "P01,P02")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good and a bad file, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "good.yaml").write_text(GOOD)
    return tmp_path


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Give the command a standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("good.yaml",), 0),
        (("bad.yaml", *P), 1),
        ((".", *P), 1),
        (("bad.yaml", "--select", "P02"), 0),
        (("bad.yaml", "--select", "P02", "--fail-on", "warning"), 1),
        (("bad.yaml", *P, "--fail-on", "never"), 0),
        (("bad.yaml", *P, "--ignore", "P01"), 0),
        (("bad.yaml", *P, "--ignore=p"), 0),
        (("good.yaml", "nothing.yaml"), 2),
        (("bad.yaml", "--select", "Z"), 2),
        (("good.yaml", "--kubernetes", "2.0"), 2),
        (("good.yaml", "--vllm", "next"), 2),
        (("main.py",), 2),
    ],
)
def test_exit(arguments: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says whether there are findings of the level, or a mistake of the user."""
    assert code == main(["check", *arguments])
    captured = capsys.readouterr()
    assert (code == 2) == bool(captured.err)


def test_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard input is a file named <stdin>."""
    stdin(monkeypatch, BAD.encode())
    assert 1 == main(["check", "-", "--select", "P01"])
    assert "  <stdin>:12:11: error P01: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe\x00", "<stdin> is not text in UTF-8."),
        (b"kind: [", "<stdin>:1 cannot be read"),
        (b"kind: {{ .Values.kind }}\nx: y: z\n", "render templates first"),
    ],
)
def test_unreadable(
    content: bytes,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be read is said in a sentence, and the exit code is 2."""
    stdin(monkeypatch, content)
    assert 2 == main(["check", "-"])
    captured = capsys.readouterr()
    assert sentence in captured.out + captured.err


@pytest.mark.parametrize(
    "content",
    [b"", b"---\n---\n", b"null\n", b"[]", b"{}", b"a string", b"- 1\n- [x]\n", b"kind: 5"],
)
def test_empty(
    content: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Input without manifests has no mistakes."""
    stdin(monkeypatch, content)
    assert 0 == main(["check", "-"])
    assert "No Kubernetes object found, so nothing was checked.\n" == capsys.readouterr().out


def test_partly_unreadable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other files are checked all the same."""
    (folder / "broken.yaml").write_text("a: [")
    assert 2 == main(["check", ".", "--select", "P01"])
    out = capsys.readouterr().out
    assert "bad.yaml:12:11: error P01: " in out
    assert "unread: broken.yaml:1 cannot be read" in out


def test_accepted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finding that an annotation accepts with a reason is no finding; without one it is."""
    accept = "metadata: {name: qwen, annotations: {vllm-constructs.dev/accept-P01: REASON}}"
    text = BAD.replace("metadata: {name: qwen}", accept)
    (folder / "bad.yaml").write_text(text.replace("REASON", "small model on a local disk"))
    assert 0 == main(["check", "bad.yaml", "--select", "P01"])
    (folder / "bad.yaml").write_text(text.replace("REASON", '""'))
    assert 1 == main(["check", "bad.yaml", "--select", "P01"])
    assert "accept-P01 accepts it without a reason, so give one." in capsys.readouterr().out


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each format has both findings."""
    assert 1 == main(["check", "bad.yaml", *P, "--format", name])
    out = capsys.readouterr().out
    if name == "json":
        assert ["P01", "P02"] == [one["rule"] for one in json.loads(out)["findings"]]
    elif name == "sarif":
        assert ["P01", "P02"] == [one["ruleId"] for one in json.loads(out)["runs"][0]["results"]]
    elif name == "junit":
        assert "2" == ET.fromstring(out).get("failures")  # noqa: S314  # the output of this library
    else:
        assert "P01" in out
        assert "P02" in out


def test_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Colours are for terminals, and NO_COLOR turns them off there."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["check", "bad.yaml", *P])
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    main(["check", "bad.yaml", *P])
    assert "\x1b[" not in capsys.readouterr().out


def test_no_node() -> None:
    """The command needs neither Node nor cdk8s, and nothing that it does not use."""
    code = """
import sys
from vllm_constructs.cli.main import main
main(["check", "bad.yaml"])
names = ("jsii", "cdk8s", "constructs", "kubernetes_validate")
print([name for name in names if name in sys.modules])
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(root), "PATH": ""},
    )
    assert "[]" == done.stdout.splitlines()[-1]
