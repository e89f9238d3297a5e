"""The app's objects under other tools: a Helm chart made of it, and a kustomize overlay."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apps.checkout import DIST, ROOT, copy_of_app, objects, succeed
from tests.support import assert_valid
from vllm_constructs.cli.main import main

pytestmark = pytest.mark.slow

_OVERLAY = ROOT / "examples" / "kustomize"
_KUSTOMIZE = ("kubectl", "kustomize", "--load-restrictor=LoadRestrictionsNone")


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app as a Helm chart, made by the cdk8s command."""
    app = copy_of_app(tmp_path_factory.mktemp("helm"))
    command = (app / "node_modules/.bin/cdk8s", "synth", "--output=chart", "--format=helm")
    succeed(*command, "--chart-api-version=v2", "--chart-version=0.1.0", cwd=app)
    return app / "chart"


@pytest.fixture
def helm(tmp_path: Path) -> dict[str, str]:
    """An environment in which helm knows nothing of whoever runs the tests."""
    return {"HOME": str(tmp_path)}


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif old != new:
        yield path


def test_helm_lint(chart: Path, helm: dict[str, str]) -> None:
    """`helm lint` finds no error, and strictly no warning either."""
    shown = succeed("helm", "lint", "--strict", chart, cwd=chart, env=helm)
    assert "1 chart(s) linted, 0 chart(s) failed" in shown
    assert not {"[WARNING]", "[ERROR]"} & set(shown.split())


def test_helm_template(chart: Path, helm: dict[str, str]) -> None:
    """`helm template` gives the objects of dist/: nothing in them is taken for a template."""
    command = ("helm", "template", "release", chart, "--kube-version=1.37")
    rendered = chart / "rendered.yaml"
    rendered.write_text(succeed(*command, cwd=chart, env=helm), encoding="utf-8")
    assert objects(DIST) == objects(rendered)


def test_helm_version(chart: Path) -> None:
    """The chart has the versions that the command was given."""
    found = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert ("v2", "0.1.0") == (found["apiVersion"], found["version"])


def test_overlay_resources() -> None:
    """The overlay takes every file of dist/, and no other."""
    overlay = yaml.safe_load((_OVERLAY / "kustomization.yaml").read_text(encoding="utf-8"))
    assert sorted(DIST.iterdir()) == [
        (_OVERLAY / resource).resolve() for resource in overlay["resources"]
    ]


def test_overlay(tmp_path: Path) -> None:
    """The overlay builds, stays valid, and changes what it says and nothing else."""
    built = tmp_path / "built.yaml"
    built.write_text(succeed(*_KUSTOMIZE, _OVERLAY, cwd=tmp_path), encoding="utf-8")
    ours, theirs = objects(DIST), objects(built)
    assert set(ours) == set(theirs)

    labels = {"metadata.labels.team", "spec.template.metadata.labels.team"}
    image = "spec.template.spec.containers[0].image"
    changed = {name: [*_differences(ours[name], theirs[name])] for name in ours}
    # An object without labels gets its first ones.
    for name, paths in changed.items():
        assert set(paths) & {*labels, "metadata.labels"}, name
    other = {
        name: sorted(set(paths) - labels - {"metadata.labels", "spec.template.metadata"})
        for name, paths in changed.items()
    }
    assert {
        "llm/Deployment/vllm-qwen-coder": [image],
        "llm/Deployment/vllm-server": [image],
        "llm/HorizontalPodAutoscaler/vllm-qwen-coder": ["spec.maxReplicas"],
        "llm/ScaledObject/vllm-scaledobject": ["spec.maxReplicaCount"],
    } == {name: paths for name, paths in other.items() if paths}

    assert {"staging"} == {one["metadata"]["labels"]["team"] for one in theirs.values()}
    (container,) = theirs["llm/Deployment/vllm-server"]["spec"]["template"]["spec"]["containers"]
    assert "registry.example.com/vllm/vllm-openai:v0.33.0" == container["image"]
    assert 6 == theirs["llm/ScaledObject/vllm-scaledobject"]["spec"]["maxReplicaCount"]
    assert_valid(*theirs.values())


def test_check(
    chart: Path,
    helm: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What both tools print is checked as a pipeline gives it: on standard input."""
    rendered = (
        succeed("helm", "template", "release", chart, cwd=chart, env=helm),
        succeed(*_KUSTOMIZE, _OVERLAY, cwd=tmp_path),
    )
    for text in rendered:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert 0 == main(["check", "-", "--kubernetes=1.34", "--fail-on=warning"])
        assert capsys.readouterr().out.startswith("No mistake found in ")


def test_overlay_selectors(tmp_path: Path) -> None:
    """The overlay's label reaches pods but no selector, since selectors cannot be changed."""
    built = tmp_path / "built.yaml"
    built.write_text(succeed(*_KUSTOMIZE, _OVERLAY, cwd=tmp_path), encoding="utf-8")
    for one in objects(built).values():
        if one["kind"] == "Deployment":
            assert "team" in one["spec"]["template"]["metadata"]["labels"]
            assert "team" not in one["spec"]["selector"]["matchLabels"]
        if one["kind"] == "Service":
            assert "team" not in one["spec"]["selector"]
