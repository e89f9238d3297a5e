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
    assert ["A", "B", "C"] == [one["kind"] for one in files.read(tmp_path).objects]


def test_lists(tmp_path: Path) -> None:
    """Lists of any kind, in lists too, are read as what is in them; one in itself is not read."""
    (tmp_path / "a.yaml").write_text(
        "kind: DeploymentList\nitems: [{kind: A}, {kind: List, items: [{kind: B}]}]\n"
        "---\nkind: List\nitems: &x\n- *x\n- kind: C\n"
    )
    found = files.read(tmp_path)
    assert ["A", "B"] == [one["kind"] for one in found.objects]
    (problem,) = found.unread
    assert "its aliases expand to more than 2000000 values" in problem.sentence()


def test_alias_bomb(tmp_path: Path) -> None:
    """A document whose aliases expand without end is named, and takes no memory."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    (tmp_path / "b.yaml").write_text("x: &x {kind: B}\nkind: A\ny: *x\n")
    found = files.read(tmp_path)
    assert ["A"] == [one["kind"] for one in found.objects]
    (problem,) = found.unread
    assert "aliases" in problem.sentence()


def test_origins(tmp_path: Path) -> None:
    """Each object has the place of its fields in the file, in lists and later documents too."""
    file = tmp_path / "a.yaml"
    file.write_text(
        "# a comment\nkind: A\n---\nkind: List\nitems:\n  - kind: B\n    spec:\n      replicas: 2\n"
    )
    found = files.read(file)

    first, second = (one.position(("kind",)) for one in found.origins)
    assert first is not None
    assert (2, 1) == (first.line, first.column)
    assert second is not None
    assert (6, 5) == (second.line, second.column)
    replicas = found.origins[1].position(("spec", "replicas"))
    assert replicas is not None
    assert (8, 7) == (replicas.line, replicas.column)
    # The nearest field that is there.
    assert found.origins[1].position(("spec", "template", "spec")) == found.origins[1].position(
        ("spec",)
    )


def test_text() -> None:
    """A text is read as a file is, and has its name."""
    found = files.read_text("kind: A\n---\nkind: [", "<stdin>")
    assert [{"kind": "A"}] == found.objects
    (problem,) = found.unread
    assert problem.sentence().startswith("<stdin>:")


def test_documents_before(tmp_path: Path) -> None:
    """Documents before one that cannot be read are read."""
    (tmp_path / "a.yaml").write_text("kind: A\n---\nkind: B\n---\nkind: [\n")
    found = files.read(tmp_path)
    assert ["A", "B"] == [one["kind"] for one in found.objects]
    (problem,) = found.unread
    assert problem.sentence().endswith("correct it, or leave it out.")


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"kind: \xff\n",
        b"a: 2024-99-99\n",
        b"kind: \0A\n",
        b"\xff\xfek\0i\0",
    ],
)
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_unreadable(tmp_path: Path, content: bytes, suffix: str) -> None:
    """One file that cannot be read, whatever is wrong with it, is named; the others are read."""
    (tmp_path / f"a.{suffix}").write_bytes(content)
    (tmp_path / "b.yaml").write_text("kind: B")
    found = files.read(tmp_path)
    assert [{"kind": "B"}] == found.objects
    (problem,) = found.unread
    assert f"a.{suffix}" in problem.sentence()
    assert "helm template" not in problem.sentence()


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000 + "]" * 100_000,
        "{b: " * 100_000 + "}" * 100_000,
        "- " * 100_000 + "x",
        "".join(f"{' ' * i}a:\n" for i in range(2000)),
    ],
)
def test_nested(text: str) -> None:
    """What is nested so deep that the parser would end the process is not read."""
    (problem,) = files.read_text(text, "x").unread
    assert "it is nested more than 200 deep" in problem.sentence()


def test_not_nested() -> None:
    """Brackets and spaces in texts nest nothing."""
    text = f"kind: A\nnote: '{'[' * 2000}'\nlines: |\n  {' ' * 900}x\n"
    read = files.read_text(text, "x")
    assert not read.unread
    assert ["A"] == [one["kind"] for one in read.objects]


def test_merges() -> None:
    """Merges in merges, which are written out as they are read, have a bound; usual ones work."""
    lines = ["m0: &m0 {x: 1}"]
    lines += [
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}], k{i}: 1}}" for i in range(1, 14)
    ]
    (problem,) = files.read_text("\n".join(lines), "x").unread
    assert "its merges make more than" in problem.sentence()

    text = "base: &b {x: 1, y: 2}\nkind: A\nspec: {<<: *b, y: 3}\nmore: {<<: [*b, *b]}\n"
    (one,) = files.read_text(text, "x").objects
    assert {"x": 1, "y": 3} == one["spec"]
    (problem,) = files.read_text("a: &a {<<: *a, b: 1}", "x").unread
    assert "cannot be read" in problem.sentence()
