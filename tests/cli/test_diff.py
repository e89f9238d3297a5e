"""`vllm-constructs diff`, with the input that users give."""

import io
import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from vllm_constructs import VllmConstructsError
from vllm_constructs.cli import diff

CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a"},
    "immutable": True,
    "data": {"a": "1"},
}


def run(*arguments: str) -> tuple[str, int]:
    """The output of the verb, and its exit code."""
    output = diff.command.main(list(arguments), standalone_mode=False)
    return output.body, output.code


def refusal(*arguments: str) -> str:
    """Why the command does not work."""
    with pytest.raises(VllmConstructsError) as found:
        run(*arguments)
    return str(found.value)


def write(path: Path, *manifests: dict[str, Any]) -> Path:
    """A file of manifests."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
    return path


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    """A folder, and one whose change is refused."""
    old = write(tmp_path / "old" / "a.yaml", CONFIG)
    new = write(tmp_path / "new" / "a.yaml", {**CONFIG, "data": {"a": "2"}})
    return str(old.parent), str(new.parent)


def test_refused(both: tuple[str, str]) -> None:
    """A change that is refused has a code of its own."""
    text, code = run(*both)

    assert 1 == code
    assert text.startswith("refused:\n  ConfigMap a\n")


def test_same(both: tuple[str, str]) -> None:
    """Nothing changes."""
    assert ("Nothing changes.", 0) == run(both[0], both[0])


def test_file(both: tuple[str, str], tmp_path: Path) -> None:
    """Files, in JSON as well."""
    other = tmp_path / "a.json"
    other.write_text(json.dumps({**CONFIG, "metadata": {"name": "b"}}), encoding="utf-8")

    text, code = run(f"{both[0]}/a.yaml", str(other))

    assert 0 == code
    assert "disappears:\n  ConfigMap a" in text
    assert "appears:\n  ConfigMap b" in text


def test_json(both: tuple[str, str]) -> None:
    """The same for a program."""
    text, code = run(*both, "--format", "json")

    assert 1 == code
    assert "data.a" == json.loads(text)["refused"][0]["field"]


def test_stdin(both: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cluster has, as kubectl shows it; nothing is a cluster without it."""
    shown = {**deepcopy(CONFIG), "metadata": {"name": "a", "namespace": "llm", "uid": "1"}}
    given = {"apiVersion": "v1", "kind": "List", "items": [shown]}
    for text, expected in ((yaml.safe_dump(given), 1), ("", 0)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert expected == run("-", both[1])[1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert "is not text in UTF-8" in refusal("-", both[1])
    assert "is given twice" in refusal("-", "-")


def test_unreadable(both: tuple[str, str], tmp_path: Path) -> None:
    """A file that cannot be read is no object that disappears."""
    Path(both[1], "b.yaml").write_text("a: [", encoding="utf-8")

    assert "b.yaml" in refusal(*both)
    assert "does not exist; write a folder of a git revision as in HEAD~1:" in refusal(
        str(tmp_path / "none"), both[1]
    )


def test_app(tmp_path: Path) -> None:
    """An app has to be rendered first."""
    app = tmp_path / "main.py"
    app.touch()

    assert "is an app, and diff reads manifests" in refusal(str(app), str(app))


def test_options(both: tuple[str, str]) -> None:
    """A release and a product, of which the first one has to be known."""
    assert 1 == run(*both, "--kubernetes", "1.34", "--gpu", "NVIDIA-L40S")[1]
    assert "1.99" in refusal(*both, "--kubernetes", "1.99")


def test_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git revision, and the working tree."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "dist" / "a.yaml", CONFIG)
    for command in (
        ["init", "-q"],
        ["add", "dist"],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *command], check=True)  # noqa: S607  # whichever the machine has
    write(tmp_path / "dist" / "a.yaml", {**CONFIG, "data": {"a": "2"}})

    assert 1 == run("HEAD:dist", "dist")[1]
    assert ("Nothing changes.", 0) == run("HEAD:dist", "HEAD:dist/a.yaml")
    assert "nor a path in a git revision" in refusal("HEAD:none", "dist")
