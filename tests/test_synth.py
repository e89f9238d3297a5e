"""The commands that render the app: `cdk8s synth`, and `make synth` beside it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.apps.checkout import DIST, copy_of_app, run, succeed, texts

pytestmark = pytest.mark.slow

_CDK8S = "node_modules/.bin/cdk8s"
# `make` would otherwise bring an environment up to date that the copy only borrows.
_MAKE_SYNTH = ("make", "--old-file=.venv/.synth", "synth")

# What is put wrong in main.py, and what the library has to say about it.
_MISTAKES = {
    "gpu": (
        'WholeGpu("NVIDIA-A100-80GB-PCIe", count=1)',
        'WholeGpu("NVIDIA-A100-80GB-PCI", count=1)',
        r"'NVIDIA-A100-80GB-PCI'.*'NVIDIA-A100-80GB-PCIe'",
    ),
    "quantity": (
        'memory=("32Gi", "64Gi"),',
        'memory=("32Gi", "64 Gi"),',
        r"memory.*'64 Gi'",
    ),
    "replicas": (
        "    min_replicas=2,\n    max_replicas=20,",
        "    min_replicas=30,\n    max_replicas=20,",
        r"KedaScaler.*30.*20",
    ),
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the app, to run commands in and to break."""
    return copy_of_app(tmp_path)


def _spoil(app: Path, mistake: str) -> tuple[int, int]:
    """Put a mistake into main.py, and give the lines of the statement that it is in."""
    right, wrong, _ = _MISTAKES[mistake]
    main = app / "main.py"
    source = main.read_text(encoding="utf-8")
    assert 1 == source.count(right)
    main.write_text(source.replace(right, wrong), encoding="utf-8")
    before = source[: source.index(right)]
    last = before.count("\n") + 1 + right.count("\n")
    # A statement begins at the start of a line, where the one before it ended.
    starts = [at for at, line in enumerate(source.splitlines(), 1) if re.match(r"\w", line)]
    return max(at for at in starts if at <= last), last


def _check_report(report: str, mistake: str, first: int, last: int) -> None:
    """Look for the sentence, once, and for the user's own line right above it."""
    sentences = re.findall(r"^vllm_constructs\.VllmConstructsError: (.+)$", report, re.MULTILINE)
    assert 1 == len(sentences)
    assert re.search(_MISTAKES[mistake][2], sentences[0])
    lines = re.findall(r'/main\.py", line (\d+), in <module>', report)
    assert 1 == len(lines)
    assert first <= int(lines[0]) <= last
    assert "JavaScriptError" not in report


def test_cdk8s_synth(app: Path) -> None:
    """`npx cdk8s-cli synth` writes the dist/ that is committed, byte by byte."""
    shutil.rmtree(app / "dist")
    # npm has its own opinion about the settings of whoever runs the tests; only the app counts.
    succeed("npx", "--no-install", "cdk8s-cli", "synth", cwd=app, may_talk=True)
    assert texts(DIST) == texts(app / "dist")


def test_foreign_path(app: Path, tmp_path: Path) -> None:
    """Whatever Python and Node the PATH has, the app runs with those of its environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python").write_text(
        "#!/bin/sh\necho this is not the python of the app >&2; exit 9\n"
    )
    (folder / "python").chmod(0o755)
    system = "/usr/local/bin:/usr/bin:/bin"
    if shutil.which("node", path=system) is None:
        node = shutil.which("node")
        assert node is not None
        (folder / "node").symlink_to(node)
    succeed(app / _CDK8S, "synth", cwd=app, env={"PATH": f"{folder}:{system}"})
    assert texts(DIST) == texts(app / "dist")


def test_make_synth(app: Path) -> None:
    """`make synth` writes the same files without the command, and says what it wrote."""
    (app / "dist" / "gone.k8s.yaml").write_text("# of a chart that is there no more\n")
    said = succeed(*_MAKE_SYNTH, cwd=app)
    names = " ".join(sorted(path.name for path in DIST.glob("*")))
    assert said.splitlines()[0] == f"main.py is rendered into dist/: {names}"
    for word in ("git diff dist", "-m vllm_constructs plan dist", "kubectl apply"):
        assert word in said
    assert texts(DIST) == texts(app / "dist")


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_mistake(app: Path, mistake: str) -> None:
    """A mistake fails the command with one sentence and the user's line; nothing is written."""
    first, last = _spoil(app, mistake)
    done = run(app / _CDK8S, "synth", cwd=app)
    assert 1 == done.returncode
    _check_report(done.stderr, mistake, first, last)
    assert not (app / "dist").exists()


def test_mistake_under_make(app: Path) -> None:
    """After a mistake `make synth` fails with the same words, and dist/ is what it was."""
    first, last = _spoil(app, "gpu")
    before = texts(app / "dist")
    done = run(*_MAKE_SYNTH, cwd=app)
    assert 2 == done.returncode
    _check_report(done.stderr, "gpu", first, last)
    assert before == texts(app / "dist")


def test_make_help(app: Path) -> None:
    """`make`, like `make help`, lists each verb with what it does."""
    shown = succeed("make", cwd=app)
    assert shown == succeed("make", "help", cwd=app)
    verbs = dict(re.findall(r"^make ([a-z-]+) +(\S.*)$", shown, re.MULTILINE))
    assert {
        "bench",
        "docs",
        "examples",
        "help",
        "imports",
        "lint",
        "synth",
        "test",
        "wheel",
    } <= set(verbs)
    phony = re.findall(r"^\.PHONY: (.+)$", (app / "Makefile").read_text(), re.MULTILINE)
    assert sorted(phony) == sorted(verbs)
