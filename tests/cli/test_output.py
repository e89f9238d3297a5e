"""What the command prints on terminals and elsewhere."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from vllm_constructs.cli.output import can_show, plain

from .test_check import BAD

ROOT = Path(__file__).parents[2]
ESCAPE = "\x1b["


def on_terminal(*arguments: str, **variables: str) -> str:
    """What the command writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", "vllm_constructs", *arguments],
        cwd=ROOT,
        env=base | {"TERM": "xterm", "COLUMNS": "80"} | variables,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    parts = []
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                part = terminal.read(4096)
            except OSError:
                break
            if not part:
                break
            parts.append(part)
    process.wait(60)
    return b"".join(parts).decode()


@pytest.mark.parametrize("arguments", [("plan", "dist"), ("list", "gpus"), ("plan", "--help")])
def test_terminal(arguments: tuple[str, ...]) -> None:
    """On a terminal there are colours and bold heads, and no line is wider than it."""
    text = on_terminal(*arguments, NO_COLOR="1", TERM="dumb")
    assert ESCAPE not in text
    assert max(map(len, text.splitlines())) <= 80
    assert ESCAPE in on_terminal(*arguments)


def test_report(tmp_path: Path) -> None:
    """A report of findings has colours, unless NO_COLOR says otherwise."""
    path = tmp_path / "a.yaml"
    path.write_text(BAD)
    assert ESCAPE in on_terminal("check", str(path))
    assert ESCAPE not in on_terminal("check", str(path), NO_COLOR="1")


def test_plain() -> None:
    """Elsewhere nothing is folded, and no line ends with blanks."""
    table = Table("a", "b", box=None)
    table.add_row("x" * 200, "")
    table.add_row("[bold]", "b")
    first, second, third = plain(table).splitlines()
    assert (second.strip(), third.split()) == ("x" * 200, ["[bold]", "b"])
    assert first == first.rstrip()


def test_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters that the output does not have are known."""
    import io

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert can_show("ä")
    assert not can_show("█")
