"""How containers start vLLM."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.starts import (
    MODULE,
    count_of_starts,
    has_entrypoint,
    has_known_start,
    is_direct,
    module_place,
    repeated_serve,
    start,
    words_at,
)

from .pods import deployment, pod_spec

CONTAINER = ("spec", "template", "spec", "containers", 0)
OWN = "example.com/llm:1"


def engine(*args: str, **container: Any) -> Engine:
    """The engine of a Deployment with these arguments."""
    (found,) = Graph([deployment(pod_spec(*args, container=container))]).engines
    return found


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (engine("a/b"), "serve"),
        (engine("a/b", image="vllm/vllm-openai:latest"), "serve"),
        (engine("--model=a/b", image="vllm/vllm-openai:v0.8.5"), "module"),
        (engine("--model=a/b", image="vllm/vllm-openai:v0.11.0"), ""),
        (engine("--model=a/b", image="vllm/vllm-openai:v0.12.0"), "serve"),
        (engine("--model=a/b", image="vllm/vllm-openai-rocm:v0.20.2"), ""),
        (engine("a/b", image="vllm/vllm-openai-xpu:v0.33.0"), "serve"),
        (engine("vllm", "serve", "a/b", image="vllm/vllm-tpu:v0.32.0"), ""),
        (engine("a/b", image="example.com/vllm-openai:v0.33.0"), ""),
        (engine("a/b", command=["vllm", "serve"], image=OWN), "serve"),
        (engine("--model=a/b", command=["python3", "-m", MODULE], image=OWN), "module"),
        (engine(f"python3 -m {MODULE} --model a/b", command=["sh", "-c"]), "module"),
        (engine("vllm serve a/b && echo api_server", command=["sh", "-c"]), "serve"),
    ],
)
def test_start(found: Engine, expected: str) -> None:
    """By the command, or by the entrypoint of the image as far as it is known."""
    assert expected == start(found)


def test_entrypoints() -> None:
    """Mirrors have the name of the image; others may start something else."""
    known = {
        "vllm/vllm-openai:v0.33.0": (True, True),
        "example.com/proxy/vllm/vllm-openai-cpu:v0.33.0": (True, True),
        "vllm/vllm-tpu:v0.32.0": (False, True),
        "example.com/vllm-openai:v0.33.0": (False, True),
        "example.com/vllm-openai-launcher:1": (False, False),
    }
    for image, expected in known.items():
        found = engine("a/b", image=image)
        assert expected == (has_entrypoint(found.release), has_known_start(found)), image
    assert has_known_start(engine("a/b", image=OWN, command=["vllm", "serve"]))


def test_scripts() -> None:
    """A script may start several engines."""
    both = "vllm serve a/b & python -m vllm.entrypoints.openai.api_server --model c/d"
    assert count_of_starts(engine(both, command=["bash", "-c"])) == 2
    assert count_of_starts(engine("a/b")) == 0
    assert count_of_starts(engine("a/b", command=["vllm", "serve"])) == 1


def test_places() -> None:
    """The words that are told stand in command or args, or in a script."""
    module = engine("--model=a/b", command=["python3", "-m", MODULE])
    assert (*CONTAINER, "command", 2) == module_place(module)
    old = engine("--model=a/b", image="vllm/vllm-openai:v0.8.5")
    assert (*CONTAINER, "image") == module_place(old)
    twice = engine("vllm", "serve", "a/b")
    assert ((*CONTAINER, "args", 0), (*CONTAINER, "args", 1)) == repeated_serve(twice)
    assert ((*CONTAINER, "args", 0),) == repeated_serve(engine("serve", "a/b"))
    assert () == repeated_serve(engine("serve", "a/b", command=["vllm"]))
    assert () == repeated_serve(engine("serve", "a/b", image="example.com/vllm-openai:1"))


def test_words() -> None:
    """A flag has the words up to the next one; a word in a script is not one of the manifest."""
    found = engine(
        "a/b", "--served-model-name", "x", "$(Y)", "--seed=1", env=[{"name": "Y", "value": "y"}]
    )
    assert [range(1), range(1, 4), range(4, 5)] == [words_at(found, at) for at in (0, 1, 4)]
    assert [True] * 5 == [is_direct(found, at) for at in range(5)]
    assert not is_direct(found, 5)
    assert not is_direct(engine("vllm serve a/b", command=["sh", "-c"]), 0)
