"""Manifests: files of YAML and JSON, and what malformed ones give."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from vllm_constructs import VllmConstructsError
from vllm_constructs.reading import files as manifests


def test_folder(tmp_path: Path) -> None:
    """YAML and JSON of a folder and those below are read, in the order of their names."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.yaml").write_text("kind: B\n---\nkind: C\n")
    (tmp_path / "a.json").write_text(json.dumps({"kind": "A"}))
    (tmp_path / "sub" / "d.yml").write_text("kind: D\n---\n- 1\n")
    (tmp_path / "note.txt").write_text("kind: no")
    assert ["A", "B", "C", "D"] == [one["kind"] for one in manifests.read(tmp_path)]


def test_file(tmp_path: Path) -> None:
    """A single file will do."""
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump({"kind": "Deployment", "spec": {"replicas": 2}}))
    assert [{"kind": "Deployment", "spec": {"replicas": 2}}] == manifests.read(file)


@pytest.mark.parametrize("text", ["a: [", "{{ helm }}: x: y", "\x00"])
def test_bad(tmp_path: Path, text: str) -> None:
    """What is no YAML is refused with the file's name."""
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(VllmConstructsError, match=r"x\.yaml' cannot be read"):
        manifests.read(tmp_path)


def test_empty(tmp_path: Path) -> None:
    """A folder without YAML is refused."""
    with pytest.raises(VllmConstructsError, match="has no YAML in it"):
        manifests.read(tmp_path)


def test_list(tmp_path: Path) -> None:
    """Objects in a List are found, in another List too."""
    inner = {"kind": "List", "items": [{"kind": "B"}, 3, None]}
    (tmp_path / "a.json").write_text(json.dumps({"kind": "List", "items": [{"kind": "A"}, inner]}))
    assert ["A", "B"] == [one["kind"] for one in manifests.read(tmp_path)]


GARBAGE: list[Any] = [None, 1, "x", [], {}, [1], {"a": 1}, [{"b": None}]]


@pytest.mark.parametrize("value", GARBAGE)
def test_garbage(value: Any) -> None:
    """What is malformed is something empty."""
    assert isinstance(manifests.mapping(value, "a", "b"), dict)
    assert isinstance(manifests.items(value), list)
    assert all(isinstance(one, str) for one in manifests.texts(value))
    assert ("", "") == manifests.key_of({"metadata": value})
    assert (value if value == 1 else 7) == manifests.whole(value, 7)


def test_helpers() -> None:
    """What is there is given."""
    one = {"metadata": {"name": "a", "namespace": "b"}, "spec": {"x": {"y": 1}}}
    assert {"y": 1} == manifests.mapping(one, "spec", "x")
    assert ("b", "a") == manifests.key_of(one)
    assert ["1", "None"] == manifests.texts([1, None])
    assert (3, 7) == (manifests.whole(3, 7), manifests.whole("3", 7))
