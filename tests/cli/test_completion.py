"""Completion of the command by real shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_constructs.cli.completion import SHELLS
from vllm_constructs.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("shell", SHELLS)
def test_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script for each shell, which a shell that is here can read."""
    assert 0 == main(["completion", shell])
    script = capsys.readouterr().out
    assert "vllm-constructs" in script
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("vllm-constructs", "ch"), {"check"}),
        (("vllm-constructs", "check", "--sel"), {"--select"}),
        (("vllm-constructs", "check", "--format", "s"), {"sarif"}),
        (("vllm-constructs", "check", "--select", "P0"), {f"P0{one}" for one in range(1, 8)}),
        (("vllm-constructs", "plan", "--gpu", "nvidia-h100-p"), {"NVIDIA-H100-PCIe"}),
        (("vllm-constructs", "list", "m"), {"models", "metrics"}),
    ],
)
def test_bash(words: tuple[str, ...], expected: set[str], tmp_path: Path) -> None:
    """Bash completes verbs, options, their choices, rules and products."""
    command = tmp_path / "vllm-constructs"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vllm_constructs "$@"\n')
    command.chmod(0o755)
    line = " ".join(f"'{word}'" for word in words)
    script = (
        "source <(vllm-constructs completion bash)\n"
        f"COMP_WORDS=({line}) COMP_CWORD={len(words) - 1}\n"
        "_vllm_constructs_completion vllm-constructs\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607  # whichever the machine has
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert expected == set(done.stdout.split())
