"""Each example is an app, its rendered YAML, and a part of the gallery."""

import ast
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cdk8s
import pytest

from tests.support import ALL_RELEASES, assert_valid, load_yaml, pod_security_problems
from vllm_constructs import Kubernetes

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.parent.name for path in ROOT.glob("examples/*/main.py"))
GALLERY = ROOT / "docs" / "examples.md"

Render = Callable[..., dict[str, str]]

each = pytest.mark.parametrize("name", NAMES)


def folder(name: str) -> Path:
    """Where an example is."""
    return ROOT / "examples" / name


def files(dist: Path) -> dict[str, str]:
    """The rendered files of a folder by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(dist.glob("*"))}


def is_rewriting(environment: Mapping[str, str]) -> bool:
    """Whether this run writes the YAML instead of comparing it."""
    wanted = environment.get("UPDATE_EXAMPLES") == "1"
    if wanted and environment.get("CI") == "true":
        raise pytest.UsageError("UPDATE_EXAMPLES=1 is refused in CI, where nobody sees the change.")
    return wanted


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Render:
    """Run an example in its own folder and give what it renders.

    Node reads its environment and folder once for all tests, so CDK8S_OUTDIR would come too
    late; the App that the example imports is told instead.
    """

    def run(name: str, release: str | None = None) -> dict[str, str]:
        class App(cdk8s.App):
            def __init__(self) -> None:
                super().__init__(outdir=str(tmp_path))
                if release is not None:
                    Kubernetes(release).set_on(self)

        monkeypatch.setattr(cdk8s, "App", App)
        monkeypatch.chdir(folder(name))
        runpy.run_path("main.py", run_name="__main__")
        return files(tmp_path)

    return run


@each
def test_yaml(name: str, render: Render) -> None:
    """The YAML beside an example is what it renders; UPDATE_EXAMPLES=1 writes it."""
    rendered = render(name)
    dist = folder(name) / "dist"
    if is_rewriting(os.environ):
        dist.mkdir(exist_ok=True)
        for path in dist.glob("*"):
            path.unlink()
        for file, text in rendered.items():
            (dist / file).write_text(text, encoding="utf-8")

    assert files(dist) == rendered, "run `make examples` and look at the change"


@each
def test_validity(name: str) -> None:
    """What an example renders is valid for every supported Kubernetes release."""
    paths = sorted((folder(name) / "dist").glob("*.yaml"))

    assert_valid(*(found for path in paths for found in load_yaml(path)))


@pytest.mark.parametrize("release", ["1.30", "1.34"])
@each
def test_target(name: str, release: str, render: Render, tmp_path: Path) -> None:
    """For a newer target an example is valid from there on."""
    render(name, release)
    later = ALL_RELEASES[ALL_RELEASES.index(release) :]

    assert_valid(
        *(found for path in tmp_path.glob("*.yaml") for found in load_yaml(path)), releases=later
    )


@each
def test_pods(name: str) -> None:
    """The pods of an example pass Pod Security "restricted"."""
    problems = [
        problem
        for path in (folder(name) / "dist").glob("*.yaml")
        for found in load_yaml(path)
        if "template" in found.get("spec", {})
        for problem in pod_security_problems(found["spec"]["template"]["spec"])
    ]

    assert problems == []


@each
def test_shape(name: str) -> None:
    """An example says in two or three sentences what it is, and has no functions."""
    tree = ast.parse((folder(name) / "main.py").read_text(encoding="utf-8"))
    said = (ast.get_docstring(tree) or "").replace("\n", " ").split(". ")

    assert len(said) in (2, 3)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@each
def test_gallery(name: str) -> None:
    """The gallery shows each file of an example."""
    page = (GALLERY.with_suffix("") / f"{name}.md").read_text(encoding="utf-8")
    sources = [
        path.relative_to(folder(name)).as_posix()
        for path in sorted(folder(name).rglob("*"))
        if path.suffix in (".py", ".yaml")
    ]

    assert [source for source in sources if f"## {source}\n" not in page] == []
    assert f"(examples/{name}.md)" in GALLERY.read_text(encoding="utf-8")


def test_command(tmp_path: Path) -> None:
    """`python main.py` in an example's folder renders the same, without a warning."""
    command = [sys.executable, "-W", "error", "main.py"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CDK8S_OUTDIR": str(tmp_path)}
    done = subprocess.run(
        command,
        cwd=folder("values"),
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert files(folder("values") / "dist") == files(tmp_path)


def test_rewriting() -> None:
    """The YAML is rewritten when asked for, and never in CI."""
    assert is_rewriting({}) is False
    assert is_rewriting({"UPDATE_EXAMPLES": "1"}) is True
    with pytest.raises(pytest.UsageError, match="refused in CI"):
        is_rewriting({"UPDATE_EXAMPLES": "1", "CI": "true"})
