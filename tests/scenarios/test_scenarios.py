"""Set-ups of real users: each app says all that such manifests have to say, and nothing else."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import scenario
from tests.scenarios.scenario import NAMES, Manifest
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import VllmConstructsWarning
from vllm_constructs.cli import main as command

each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def objects(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Manifest]:
    """What the app of a scenario renders, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", VllmConstructsWarning)
        return scenario.render(name, tmp_path, monkeypatch)


@each
def test_expected(name: str, objects: list[Manifest]) -> None:
    """The manifests have every field that the set-up needs, and the schemas accept them."""
    wanted = scenario.expected(name)

    assert sum(1 for _ in scenario.fields(wanted)) >= 8
    assert [] == scenario.absent(wanted, objects)
    assert_valid(*objects, releases=scenario.releases(name))


@each
def test_no_patches(name: str) -> None:
    """Everything is said with typed options: no patch, no overlay."""
    text = scenario.source(name)

    assert not re.search(r"Patch|overlay|add_override|ApiObject\(", text)


@each
def test_security(objects: list[Manifest]) -> None:
    """Pods pass the level that their namespace has: "restricted", unless the app sets another."""
    levels = [
        item["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for item in objects
        if item["kind"] == "Namespace"
    ]
    if levels in ([], ["restricted"]):
        for item in objects:
            if item["kind"] == "Deployment":
                assert [] == pod_security_problems(item["spec"]["template"]["spec"])


@each
@pytest.mark.usefixtures("objects")
def test_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command reads each model of the manifests back, with its GPU where the app names it."""
    code = command.main(["plan", str(tmp_path), "--format", "json"])
    table: dict[str, Any] = json.loads(capsys.readouterr().out)

    assert code in (0, 1)
    assert table["models"]
    for row in table["models"]:
        assert row["model"]
        assert row["verdict"] in ("fits", "tight", "unknown"), row["reason"]


def test_absent() -> None:
    """The comparison sees what is missing, what differs, and what should not be there."""
    found = [{"kind": "A", "metadata": {"name": "a"}, "spec": {"x": 1, "list": [{"name": "b"}]}}]

    def say(spec: Any) -> list[str]:
        return scenario.absent([{"kind": "A", "metadata": {"name": "a"}, "spec": spec}], found)

    assert [] == say({"x": 1, "y": None, "list": [{"name": "b"}]})
    assert ["A/a.spec.x: is 1, not 2"] == say({"x": 2})
    assert ["A/a.spec.y: is missing"] == say({"y": 1})
    assert ["A/a.spec.x: is 1"] == say({"x": None})
    assert 1 == len(say({"list": [{"name": "c"}]}))
    assert ["A/a.spec.list[0].z: is missing"] == say({"list": [{"name": "b", "z": 1}]})
    assert ["B/a: 0 objects"] == scenario.absent([{"kind": "B", "metadata": {"name": "a"}}], found)
