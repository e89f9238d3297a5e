"""Files of manifests: YAML and JSON, in files and folders."""

import json
from pathlib import Path

import pytest
import yaml

from vllm_constructs import VllmConstructsError
from vllm_constructs.reading import files


def test_folder(tmp_path: Path) -> None:
    """YAML and JSON of a folder and those below are read, in the order of their names."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.yaml").write_text("kind: B\n---\nkind: C\n")
    (tmp_path / "a.json").write_text(json.dumps({"kind": "A"}))
    (tmp_path / "sub" / "d.yml").write_text("kind: D\n---\n- 1\n")
    (tmp_path / "note.txt").write_text("kind: no")
    assert ["A", "B", "C", "D"] == [one["kind"] for one in files.read(tmp_path).objects]


def test_file(tmp_path: Path) -> None:
    """A single file will do."""
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump({"kind": "Deployment", "spec": {"replicas": 2}}))
    assert [{"kind": "Deployment", "spec": {"replicas": 2}}] == files.read(file).objects


@pytest.mark.parametrize("text", ["a: [", "{{ helm }}: x: y", "\x00"])
def test_bad(tmp_path: Path, text: str) -> None:
    """What is no YAML is rejected with the file's name."""
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(VllmConstructsError, match=r"x\.yaml(:1)? cannot be read"):
        files.read(tmp_path)


def test_some_bad(tmp_path: Path) -> None:
    """What can be read is; file and line of the rest are given."""
    (tmp_path / "a.yaml").write_text("kind: A")
    (tmp_path / "b.yaml").write_text("kind: B\nspec:\n  replicas: {{ .Values.replicas }}\n")
    (tmp_path / "c.json").write_text("{\n'a'")
    found = files.read(tmp_path)

    assert [{"kind": "A"}] == found.objects
    first, second = (problem.sentence() for problem in found.unread)
    assert first.startswith(f"{tmp_path / 'b.yaml'}:3 cannot be read (")
    assert second.startswith(f"{tmp_path / 'c.json'}:2 cannot be read (")
    assert "helm template" in first


def test_empty(tmp_path: Path) -> None:
    """A folder without YAML is rejected."""
    with pytest.raises(VllmConstructsError, match="has no YAML or JSON files"):
        files.read(tmp_path)


def test_list(tmp_path: Path) -> None:
    """Objects in a List are found, in another List too."""
    inner = {"kind": "List", "items": [{"kind": "B"}, 3, None]}
    (tmp_path / "a.json").write_text(json.dumps({"kind": "List", "items": [{"kind": "A"}, inner]}))
    assert ["A", "B"] == [one["kind"] for one in files.read(tmp_path).objects]


def test_emoji(tmp_path: Path) -> None:
    """JSON in a YAML file may have characters as two escapes, which libyaml does not read."""
    annotations = {"example.com/animal": "\U0001f999"}
    text = json.dumps({"kind": "A", "metadata": {"annotations": annotations}})
    assert "\\ud83e" in text
    (tmp_path / "list.yaml").write_text(text)
    assert [{"kind": "A", "metadata": {"annotations": annotations}}] == files.read(tmp_path).objects


def test_flow(tmp_path: Path) -> None:
    """YAML that begins like JSON is YAML, and what libyaml does not read is read all the same."""
    (tmp_path / "a.yaml").write_text("{kind: A}\n---\n[{kind: B}]\n")
    (tmp_path / "b.yaml").write_text('kind: C\nnote: "\\ud83e\\udd99"\n')
    assert ["A", "C"] == [one["kind"] for one in files.read(tmp_path).objects]
