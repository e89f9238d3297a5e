"""Findings that an app accepts."""

from __future__ import annotations

from pathlib import Path

import pytest
from cdk8s import ApiObject, App, Chart, JsonPatch

from vllm_constructs import ModelDeployment, VllmConstructsError, WholeGpu, accept_finding

NO_STARTUP = JsonPatch.remove("/spec/template/spec/containers/0/startupProbe")


class Made:
    """An app with one model whose startup probe is gone."""

    def __init__(self, folder: Path) -> None:
        self.app = App(outdir=str(folder))
        self.chart = Chart(self.app, "llm", namespace="llm")
        self.model = ModelDeployment(
            self.chart, "qwen", model="Qwen/Qwen2.5-7B-Instruct", gpu=WholeGpu("NVIDIA-L40S")
        )
        ApiObject.of(self.model).add_json_patch(NO_STARTUP)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An app."""
    return Made(tmp_path)


@pytest.mark.parametrize("scope", ["app", "chart", "model"])
def test_accepted(made: Made, scope: str) -> None:
    """A finding is accepted in code, for a construct and all that is below it."""
    accept_finding(getattr(made, scope), "P01", reason="tried: it loads in 20 seconds")
    made.app.synth()


def test_accepted_elsewhere(made: Made) -> None:
    """What another construct accepts, or another rule, is still found."""
    other = Chart(made.app, "llm2")
    accept_finding(other, "P01", reason="small")
    accept_finding(made.app, "P02", reason="small")
    with pytest.raises(VllmConstructsError, match="P01"):
        made.app.synth()


@pytest.mark.parametrize(
    ("rule", "reason", "words"),
    [
        ("P0", "x", "accept_finding rule is 'P0', which is no rule"),
        ("P01", "", "accept_finding reason is ''"),
    ],
)
def test_refused(made: Made, rule: str, reason: str, words: str) -> None:
    """An unknown rule and an empty reason are rejected."""
    with pytest.raises(VllmConstructsError, match=words):
        accept_finding(made.app, rule, reason=reason)
    with pytest.raises(VllmConstructsError, match="accept_finding scope is 'app'"):
        accept_finding("app", "P01", reason="x")  # type: ignore[arg-type]  # the mistake
