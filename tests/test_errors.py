"""Errors: problems, the one exception and the one warning."""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import get_args

import pytest

from tests import strategies
from vllm_constructs import (
    GpuPodSpec,
    IngressNginx,
    Problem,
    VllmConstructsError,
    VllmConstructsWarning,
    WholeGpu,
)
from vllm_constructs.cli.spelling import as_command
from vllm_constructs.engine.spelling import as_flags
from vllm_constructs.errors import (
    ProblemKind,
    Spelling,
    escaped,
    python,
    refuse,
    spelt,
    warn,
)
from vllm_constructs.reading.spelling import as_fields

ROOT = Path(__file__).parents[1]

SPELLINGS = (python, as_flags, as_command, as_fields)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("port", None, "port"),
        ("port", "8000", "port=8000"),
        ("Drain.seconds", None, "Drain.seconds"),
        ("Drain.seconds", "60", "Drain(seconds=60)"),
        ("EngineArgs.extra['a-b']", None, "EngineArgs.extra['a-b']"),
        ("port", "", "port="),
    ],
)
def test_python(option: str, value: str | None, expected: str) -> None:
    """A Python app gives an option as a keyword, of its class where it has one."""
    assert expected == python(option, value)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem(text="It is wrong"), "It is wrong."),
        (Problem(text="It is wrong."), "It is wrong."),
        (Problem(text="It is wrong", advice="did you mean 'x'?"), "It is wrong; did you mean 'x'?"),
        (Problem(where="port", value="1"), "port is 1."),
        (Problem(where="port", value="1", allowed="2"), "port is 1; expected 2."),
        (Problem(where="port", value="1", advice="give 2"), "port is 1; give 2."),
        (
            Problem(where="port", value="1", allowed="2", advice="give 2"),
            "port is 1; expected 2; give 2.",
        ),
        (Problem(where="port", text="is missing", value="1"), "port is missing."),
        (Problem(where="the model", text="is too large"), "the model is too large."),
        (Problem(where="a key of env", value="1"), "a key of env is 1."),
        (Problem(where="x['{port}']", value="'{port}'"), "x['{port}'] is '{port}'."),
        (Problem(text="a", advice="b."), "a; b."),
    ],
)
def test_sentence(problem: Problem, expected: str) -> None:
    """A sentence says what is wrong, the value, what is expected and what to do."""
    assert expected == problem.sentence()


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        (
            python,
            (
                "EngineArgs.max_num_seqs is 0; expected kv_cache_dtype='fp8' with WholeGpu.count; "
                "give WholeGpu(count=2), max_model_len=8 or shape=x."
            ),
        ),
        (
            as_flags,
            (
                "--max-num-seqs is 0; expected --kv-cache-dtype=fp8 with WholeGpu.count; "
                "give WholeGpu(count=2), --max-model-len=8 or shape=x."
            ),
        ),
        (
            as_command,
            (
                "--max-num-seqs is 0; expected --kv-cache-dtype=fp8 with --gpus; "
                "give --gpus=2, --max-model-len=8 or --config config.json."
            ),
        ),
        (
            as_fields,
            (
                "--max-num-seqs is 0; expected --kv-cache-dtype=fp8 with limits['nvidia.com/gpu']; "
                "give limits['nvidia.com/gpu']: 2, --max-model-len=8 or shape=x."
            ),
        ),
    ],
)
def test_spellings(spelling: Spelling, expected: str) -> None:
    """Options are written for their reader wherever they stand, with and without a value."""
    problem = Problem(
        where="EngineArgs.max_num_seqs",
        value="0",
        allowed="{kv_cache_dtype='fp8'} with {WholeGpu.count}",
        advice="give {WholeGpu.count=2}, {max_model_len=8} or {shape=x}",
    )

    assert expected == problem.sentence(spelling)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{port}}", "{port}"),
        ("{{", "{"),
        ("}}", "}"),
        ("a {{'b': {{1}}}}", "a {'b': {1}}"),
        ("{", "{"),
        ("{1}", "{1}"),
        ("{a b}", "{a b}"),
        ("$(x) ${{x}}", "$(x) ${x}"),
    ],
)
def test_braces(text: str, expected: str, spelling: Spelling) -> None:
    """Two braces are one, and what is no option stays as it is."""
    assert expected == spelt(text, spelling)
    assert f"{expected}; {expected}." == Problem(text=text, advice=text).sentence(spelling)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("text", ["{port}", "{{port}}", "{port=1}", "}{", "{{{", "a", ""])
def test_escaped(text: str, spelling: Spelling) -> None:
    """A text that is escaped comes out as it was."""
    assert text == spelt(escaped(text), spelling)


def test_where() -> None:
    """What is wrong is an option by its name, or else a phrase that no reader spells."""
    for where in ("EngineArgs.port", "port", "EngineArgs.hf_overrides['a b']"):
        assert Problem(where=where, value="1").sentence(as_flags).startswith("--")
    for where in ("the port", "a key of EngineArgs.extra", "--port", "1", "Zoë"):
        assert f"{where} is 1." == Problem(where=where, value="1").sentence(as_flags)


def test_kinds() -> None:
    """A problem is invalid unless it says otherwise, and cannot be changed."""
    assert ("invalid", "does not fit", "not counted") == get_args(ProblemKind)
    assert "invalid" == Problem(text="x").kind
    assert Problem(text="x") != Problem(text="x", kind="not counted")
    with pytest.raises(FrozenInstanceError):
        Problem(text="x").kind = "not counted"  # type: ignore[misc]  # the point


def test_error() -> None:
    """The error is a ValueError that shows its public name."""
    assert issubclass(VllmConstructsError, ValueError)
    assert VllmConstructsError.__module__ == "vllm_constructs"
    assert strategies.refusal(lambda: refuse("It is wrong.")) == "It is wrong."


def test_error_with_problem() -> None:
    """An error carries its problem, in its message as its raiser spells it."""
    problem = Problem(where="EngineArgs.max_num_seqs", value="0", kind="not counted")

    assert problem is VllmConstructsError(problem).problem
    assert "EngineArgs.max_num_seqs is 0." == str(VllmConstructsError(problem))
    assert "--max-num-seqs is 0." == str(VllmConstructsError(problem, as_flags))
    with pytest.raises(VllmConstructsError) as caught:
        refuse(problem)
    assert problem is caught.value.problem


@pytest.mark.parametrize("text", ["It is wrong.", "{port} is {port=1}.", "{{x}}.", "Is it?"])
def test_error_with_sentence(text: str) -> None:
    """A sentence stands in an error as it is, and is the text of its problem."""
    for call in (refuse, _raise):
        with pytest.raises(VllmConstructsError) as caught:
            call(text)
        assert text == str(caught.value)
        assert Problem(text=escaped(text)) == caught.value.problem
        assert {text} == {caught.value.problem.sentence(one) for one in SPELLINGS}


def _raise(text: str) -> None:
    raise VllmConstructsError(text)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_round_trip(spelling: Spelling) -> None:
    """An error that was pickled or copied has the same message, problem and spelling."""
    problem = Problem(
        where="EngineArgs.max_num_seqs",
        text="is {WholeGpu.count=1} {{x}}",
        value="0",
        allowed="a",
        advice="give {max_model_len=1}",
        kind="does not fit",
    )
    error = VllmConstructsError(problem, spelling)

    for again in (
        pickle.loads(pickle.dumps(error)),  # noqa: S301  # its own bytes
        copy.copy(error),
        copy.deepcopy(error),
    ):
        assert type(again) is VllmConstructsError
        assert str(error) == str(again)
        assert problem == again.problem
        assert problem.sentence(spelling) == str(again)


def test_round_trip_of_sentence() -> None:
    """So it is with an error that was made of a sentence."""
    error = VllmConstructsError("{port} is {{1}}.")

    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # its own bytes

    assert str(error) == str(again) == "{port} is {{1}}."
    assert error.problem == again.problem


def test_round_trip_of_value() -> None:
    """So it is with an error of a value, raised in another process or not."""
    with pytest.raises(VllmConstructsError) as caught:
        WholeGpu("NVIDIA-L5")

    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # its own bytes

    assert str(caught.value) == str(again)
    assert "WholeGpu.product" == again.problem.where


def test_warning() -> None:
    """The warning is one that users see, at their own line."""
    assert issubclass(VllmConstructsWarning, UserWarning)
    assert VllmConstructsWarning.__module__ == "vllm_constructs"

    with pytest.warns(VllmConstructsWarning, match="no more security fixes") as caught:
        IngressNginx()

    assert caught[0].filename == __file__


def test_warning_of_property() -> None:
    """A warning of a value that is derived late is at the user's line too."""
    with pytest.warns(VllmConstructsWarning, match="latest") as caught:
        GpuPodSpec(model="a/b", gpu=WholeGpu("NVIDIA-L4"), image="vllm/vllm-openai:latest")

    assert caught[0].filename == __file__


def test_warning_as_error() -> None:
    """A user may turn the warning into an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", VllmConstructsWarning)
        with pytest.raises(VllmConstructsWarning):
            IngressNginx()


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("It is {tight}.", "It is {tight}."),
        (Problem(text="It is tight", advice="give {port=1}"), "It is tight; give port=1."),
        (Problem(where="port", value="{x}"), "port is {x}."),
    ],
)
def test_warn(problem: Problem | str, expected: str) -> None:
    """A warning is a sentence, or a problem as a Python app spells it."""
    with pytest.warns(VllmConstructsWarning) as caught:
        warn(problem)

    assert [expected] == [str(one.message) for one in caught]
    assert caught[0].filename == __file__


CALLBACK = """
import jsii
from cdk8s import App, Chart
from constructs import IValidation
from vllm_constructs import ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "llm", namespace="llm")

@jsii.implements(IValidation)
class Check:
    def validate(self):
        ModelDeployment(chart, "q", model="a/b", gpu=WholeGpu("NVIDIA-L4", count=0))
        return []

chart.node.add_validation(Check())
app.synth()
"""


def test_callback(tmp_path: Path) -> None:
    """An error in a callback of jsii is shown as it was raised, at the user's line."""
    script = tmp_path / "callback.py"
    script.write_text(CALLBACK, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    lines = done.stderr.strip().splitlines()

    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('callback.py", line 13, in validate')
    assert lines[-1].startswith("vllm_constructs.VllmConstructsError: WholeGpu.count is 0")
    assert "jsii" not in done.stderr
    assert len(lines) < 8


IN_CONSTRUCT = """
import jsii
from cdk8s import App, Chart
from constructs import Construct, IValidation
from vllm_constructs import ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "llm", namespace="llm")

@jsii.implements(IValidation)
class Team(Construct):
    def validate(self):
        INSIDE
        return []

team = Team(chart, "team")
team.node.add_validation(team)
app.synth()
"""


@pytest.mark.parametrize(
    ("inside", "path"),
    [
        ("WholeGpu('NVIDIA-L4', count=0)", "llm/team"),
        (
            "ModelDeployment(chart, 'q', model='a/b', gpu=WholeGpu('NVIDIA-L4'), replicas=0)",
            "llm/q",
        ),
    ],
)
def test_callback_path(tmp_path: Path, inside: str, path: str) -> None:
    """An error in a callback says in which construct it was, or which one was being made."""
    script = tmp_path / "callback.py"
    script.write_text(IN_CONSTRUCT.replace("INSIDE", inside), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    lines = done.stderr.strip().splitlines()

    assert lines[-2].startswith("vllm_constructs.VllmConstructsError: ")
    assert lines[-1] == f"The construct is {path!r}."
