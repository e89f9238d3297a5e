"""Containers that run vLLM: which do, and with which words.

More is in the tests of workloads, whose models come from them.
"""

from typing import Any

import pytest

from vllm_constructs.reading.containers import after_serve, engine_container, environment

VLLM = "vllm/vllm-openai:v0.33.0"


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"image": VLLM}, True),
        ({"image": "example.com/vllm-openai-cpu"}, True),
        ({"image": "python", "command": ["vllm", "serve", "m"]}, True),
        ({"image": "x", "command": ["sh", "-c"], "args": ["cd /x && vllm serve m"]}, True),
        ({"image": "x", "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"]}, True),
        ({"image": VLLM, "command": ["sleep", "inf"]}, False),
        ({"image": "python"}, False),
        ({}, False),
        ({"image": None, "command": "vllm serve"}, False),
    ],
)
def test_engine_container(container: dict[str, Any], *, expected: bool) -> None:
    """A container is an engine by its command, or by an image that starts vLLM."""
    found = engine_container({"spec": {"containers": [{"image": "x"}, container]}})
    assert expected == (found is not None)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("vllm serve m --port 8000", ["m", "--port", "8000"]),
        ("vllm serve m --rank $(cat /rank) --x", ["m", "--rank", "$(cat /rank)", "--x"]),
        (
            "exec vllm serve m \\\n  -dp $((GROUP * 8)) \\\n  --port=8200 # a port\n",
            ["m", "-dp", "$((GROUP * 8))", "--port=8200"],
        ),
        (
            'vllm serve m --node-rank "$(( ${INDEX:-0} ))" && echo done',
            ["m", "--node-rank", "$(( 0 ))"],
        ),
        ("vllm serve m --x $(NAME) & wait", ["m", "--x", "$(NAME)"]),
        ("A=$(date) vllm serve m; exit", ["m"]),
        ("echo no", None),
    ],
)
def test_substitutions(script: str, words: list[str] | None) -> None:
    """What a shell substitutes is one word of the command."""
    assert words == after_serve(["/bin/bash", "-c"], [script])


@pytest.mark.parametrize(
    "shell",
    [
        ("bash", "-c", "--"),
        ("/bin/bash", "-lc", "--"),
        ("bash", "-c", "-e"),
        ("sh", "-ec"),
        ("bash", "-o", "pipefail", "-c"),
    ],
)
def test_flags_of_shells(shell: tuple[str, ...]) -> None:
    """A script may follow more flags, or the mark that ends them."""
    assert ["m"] == after_serve(shell, ["cd /x; vllm serve m"])
    assert ["m"] == after_serve([*shell, "vllm serve m", "--"], ["more"])
    assert after_serve(shell, []) is None


def test_given_variables() -> None:
    """Variables that are given may be used by others."""
    container = {"env": [{"name": "A", "value": "$(B)-$(C)"}]}

    assert {"B": "1", "A": "1-$(C)"} == environment("", container, {}, {"B": "1"})
