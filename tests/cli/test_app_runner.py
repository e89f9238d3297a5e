"""Apps that run in a process of their own."""

import os
import sys
from pathlib import Path

import pytest

from vllm_constructs import Problem, VllmConstructsError
from vllm_constructs.cli.app_runner import Rejected, render

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what an app writes; the library is found from everywhere."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = tmp_path / "written"
    folder.mkdir()
    return folder


def app(tmp_path: Path, *lines: str) -> Path:
    """An app of these lines, which can write into the folder."""
    path = tmp_path / "main.py"
    head = (
        "import os, sys",
        "from pathlib import Path",
        "out = Path(os.environ['CDK8S_OUTDIR'])",
        "from vllm_constructs import EngineArgs, VllmConstructsError, WholeGpu",
        "from vllm_constructs.errors import Problem",
    )
    path.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")
    return path


def test_written(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app runs as `python main.py` in its own folder, and writes where it is told to."""
    (tmp_path / "beside.txt").write_text("found", encoding="utf-8")
    (tmp_path / "own.py").write_text("VALUE = 'imported'\n", encoding="utf-8")
    path = app(
        tmp_path,
        "import own",
        "assert __name__ == '__main__'",
        "assert sys.argv == ['main.py']",
        "(out / 'x').write_text(Path('beside.txt').read_text() + own.VALUE + sys.executable)",
    )
    monkeypatch.chdir(ROOT)
    assert render(path, folder) is None
    assert f"foundimported{sys.executable}" == (folder / "x").read_text()
    assert str(folder) != os.environ.get("CDK8S_OUTDIR")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "EngineArgs(max_num_seqs=0)",
            Problem(
                where="EngineArgs.max_num_seqs",
                value="0",
                allowed="an integer from 1 to 2147483647",
            ),
        ),
        (
            "raise VllmConstructsError(Problem(text='ä {{x}} {port=1}', kind='does not fit'))",
            Problem(text="ä {{x}} {port=1}", kind="does not fit"),
        ),
        ("raise VllmConstructsError('a {b}.')", Problem(text="a {{b}}.")),
    ],
)
def test_rejected(tmp_path: Path, folder: Path, line: str, expected: Problem) -> None:
    """The problem for which the library rejected an app comes back whole."""
    assert Rejected(problem=expected, line=6) == render(app(tmp_path, line), folder)


def test_handled(tmp_path: Path, folder: Path) -> None:
    """An app that goes on after the library's error has no problem."""
    path = app(
        tmp_path,
        "try:",
        "    WholeGpu('L4')",
        "except VllmConstructsError:",
        "    (out / 'x').write_text('x')",
    )
    assert render(path, folder) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise RuntimeError('no {such} thing')", " at line 6: RuntimeError: no {such} thing"),
        ("Path('none').read_text()", " at line 6: FileNotFoundError: [Errno 2] No such file or "),
        ("sys.exit('enough')", ": enough"),
        ("sys.exit(3)", ": no reason given"),
        ("a b", " at line 6: SyntaxError: invalid syntax"),
    ],
)
def test_error(tmp_path: Path, folder: Path, line: str, reason: str) -> None:
    """An app that ends with another error is rejected with its line and the last words of it."""
    path = app(tmp_path, line)
    with pytest.raises(VllmConstructsError) as caught:
        render(path, folder)
    assert str(caught.value).startswith(f"{str(path)!r} ends with an error{reason}")
    assert "invalid" == caught.value.problem.kind


def test_warnings(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an app is warned of is shown, with its line; what else it says is not."""
    path = app(
        tmp_path,
        "from vllm_constructs.errors import warn",
        "(out / 'x').write_text('x')",
        "print('more', file=sys.stderr)",
        "warn('it is tight.')",
    )
    assert render(path, folder) is None
    assert f"{path}:9: VllmConstructsWarning: it is tight.\n" == capsys.readouterr().err


def test_missing(tmp_path: Path, folder: Path) -> None:
    """An app that is not there is rejected."""
    with pytest.raises(VllmConstructsError, match="ends with an error: FileNotFoundError"):
        render(tmp_path / "nothing.py", folder)


def test_nothing_written(tmp_path: Path, folder: Path) -> None:
    """An app that writes elsewhere, or nothing, is rejected."""
    with pytest.raises(VllmConstructsError, match="writes nothing into CDK8S_OUTDIR; leave"):
        render(app(tmp_path), folder)
