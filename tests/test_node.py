"""Node.js: without it, or with an old one, there is one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import strategies
from vllm_constructs import node

ROOT = Path(__file__).parents[1]
APP = """
from vllm_constructs import ModelDeployment, WholeGpu
from cdk8s import App, Chart

ModelDeployment(
    Chart(App(), "llm", namespace="llm"),
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    gpu=WholeGpu("NVIDIA-L40S"),
)
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A Node that is too old to run jsii."""
    program = tmp_path / "node"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo v14.21.3 && exit\nexit 1\n', encoding="utf-8"
    )
    program.chmod(0o755)
    return program


def test_found() -> None:
    """The Node of this environment is found, and new enough."""
    node.check_path()
    node.check()


def test_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing program is named, with how to get it."""
    monkeypatch.delenv("JSII_NODE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert strategies.refusal(node.check).startswith("Node.js, which cdk8s runs on, is not found")
    monkeypatch.setenv("JSII_NODE", "/nowhere/node")
    assert "('/nowhere/node')" in strategies.refusal(node.check)


def test_old(monkeypatch: pytest.MonkeyPatch, old: Path) -> None:
    """An old one is named with its version."""
    monkeypatch.setenv("JSII_NODE", str(old))
    assert strategies.refusal(node.check).startswith("Node.js v14.21.3 is too old for cdk8s; ")
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert "of an unknown version" in strategies.refusal(node.check)
    old.write_text("no program", encoding="utf-8")
    assert "cannot be started" in strategies.refusal(node.check)


@pytest.mark.parametrize("arguments", [("app.py",), ("-m", "vllm_constructs", "plan", "app.py")])
def test_app(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """An app and the command end in the sentence."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=tmp_path,
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert done.returncode
    assert "Node.js, which cdk8s runs on, is not found ('node'); install Node.js 20" in done.stderr
    if arguments[0] == "-m":
        assert len(done.stderr.splitlines()) == 1
