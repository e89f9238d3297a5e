"""The command `vllm-constructs`: its verbs, its options and how it ends."""

import os
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest
import rich_click as click

import vllm_constructs
from vllm_constructs import VllmConstructsWarning
from vllm_constructs.cli import plan
from vllm_constructs.cli.main import USAGE, main
from vllm_constructs.cli.output import Output
from vllm_constructs.errors import Problem, refuse, warn

ROOT = Path(__file__).parents[2]
ONE = ("--model", "Qwen/Qwen2.5-7B-Instruct", "--gpu", "NVIDIA-L40S")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("drive",),
            "vllm-constructs has no verb 'drive'; it has plan, check, diff, explain,",
        ),
        (("chek", "."), "vllm-constructs has no verb 'chek'; did you mean 'check'?"),
        (("--verson",), "'--verson' is not an option; did you mean 'version'?"),
        (("plan", "--nonsense"), "'--nonsense' is not an option; see vllm-constructs plan --help."),
        (("plan", "--mod", "x"), "'--mod' is not an option; did you mean 'model'?"),
        (("plan", "--fromat=json"), "'--fromat' is not an option; did you mean 'format'?"),
        (("plan", "--max-num-seqs=8"), "'--max-num-seqs' is a flag of vllm serve; give it after"),
        (("plan", "-tp", "2"), "'-tp' is a flag of vllm serve; give it after --."),
        (("plan", "dist", "--format", "xml"), "--format is 'xml'; expected one of 'text', 'json'."),
        (("plan", *ONE, "--gpus", "two"), "--gpus is 'two'; expected an integer"),
        (
            ("plan", *ONE, "--gpu-memory-mib", "1Gi"),
            "--gpu-memory-mib is '1Gi'; expected an integer",
        ),
        (("plan", "--model"), "option '--model' requires an argument; see vllm-constructs plan --"),
        (("plan", "a{b}", "c"), "'a{b}' does not exist; give an app such as main.py, or"),
        (("diff", "a"), "missing argument 'NEW'; see vllm-constructs diff --help."),
        (("diff", "a", "b", "c{d}"), "got unexpected extra argument (c{d}); see vllm-constructs"),
        (("diff", "a", "b", "--", "--x"), "-- is for flags of vllm serve, which diff has no use"),
    ],
)
def test_usage(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that cannot be read is one sentence on standard error, and exit code 2."""
    assert USAGE == main(arguments)
    captured = capsys.readouterr()
    assert ("", 1) == (captured.out, captured.err.count("\n"))
    assert captured.err.startswith(f"vllm-constructs: {sentence}")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("plan", "--help")])
def test_help(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Help is printed, says what the exit codes mean, and fits 80 columns."""
    assert (0 if arguments else USAGE) == main(arguments)
    text = capsys.readouterr().out
    assert "Check whether models fit on their GPUs" in text
    assert ("Exit code: 0 if all known models fit" in text) == ("plan" in arguments)
    assert max(map(len, text.splitlines())) <= 80


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is that of the package."""
    assert 0 == main(["--version"])
    assert f"vllm-constructs {vllm_constructs.__version__}\n" == capsys.readouterr().out


def _verb(callback: Callable[..., Output]) -> click.Command:
    """A verb that stands for `plan`."""
    return click.Command(
        "plan",
        params=[click.Argument(["paths"], nargs=-1)],
        callback=click.pass_obj(callback),
    )


def test_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A problem is spelt with the options of the command."""
    problem = Problem(where="WholeGpu.memory_mib", value="1", advice="give {max_model_len=8}")
    monkeypatch.setattr(plan, "command", _verb(lambda *_, **__: refuse(problem)))
    assert USAGE == main(["plan"])
    assert "vllm-constructs: --gpu-memory-mib is 1; give --max-model-len=8.\n" == (
        capsys.readouterr().err
    )


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is interrupted says nothing."""

    def interrupt(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "command", _verb(interrupt))
    assert 130 == main(["plan"])


def test_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings of the library are not shown, whatever the filters are."""

    def run(*_: object, **__: object) -> Output:
        warn("it is tight.")
        return Output("text")

    monkeypatch.setattr(plan, "command", _verb(run))
    with warnings.catch_warnings():
        warnings.simplefilter("error", VllmConstructsWarning)
        assert 0 == main(["plan"])
    captured = capsys.readouterr()
    assert ("text\n", "") == (captured.out, captured.err)


def test_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything after the first `--` is vLLM's."""
    given: list[object] = []

    def run(flags: list[str], paths: tuple[str, ...]) -> Output:
        given.append((paths, flags))
        return Output("")

    monkeypatch.setattr(plan, "command", _verb(run))
    main(["plan", "dist"])
    main(["plan", "--", "dist", "--", "x"])
    assert [(("dist",), []), ((), ["dist", "--", "x"])] == given


def test_process() -> None:
    """In a process of its own the exit code and the output are the same."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "vllm_constructs", "plan", "--nonsense"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (USAGE, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))


def test_script() -> None:
    """The command that the package installs is this one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["scripts"]["vllm-constructs"].partition(":")
    assert main is getattr(import_module(module), name)
