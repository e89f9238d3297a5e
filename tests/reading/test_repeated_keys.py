"""Keys that are in their mapping again: in YAML and JSON, in lists, beside merges and aliases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_constructs.reading import files

LABELS = "metadata: {labels: {a: 1, b: 2, a: 1}}"


def repeated(text: str) -> list[tuple[int, str, tuple[int, ...], bool]]:
    """Of each key: the number of its object, its path, its lines, and whether a value is lost."""
    read = files.read_text(text, "test.yaml")
    assert not read.unread, read.unread
    return [
        (number, ".".join(map(str, one.path)), one.lines, one.is_lost)
        for number, keys in read.repeated().items()
        for one in keys
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: A\nspec: 1\nspec: 2\n", [(0, "spec", (2, 3), True)]),
        ("kind: A\nspec: {b: [1]}\nspec:\n  b:\n    - 1\n", [(0, "spec", (2, 3), False)]),
        ("kind: A\na: {b: 1, c: 0x10}\na: {c: 16, b: 1}\n", [(0, "a", (2, 3), False)]),
        ("kind: A\na: 1\na: 1\na: '1'\n", [(0, "a", (2, 3, 4), True)]),
        (f"kind: A\n{LABELS}", [(0, "metadata.labels.a", (2, 2), False)]),
        ("kind: A\na:\n  - b: 1\n    b: 2\n", [(0, "a.0.b", (3, 4), True)]),
        # Both the outer and the inner one; what is lost is read, too.
        ("kind: A\na: {b: 1, b: 2}\na: 3\n", [(0, "a", (2, 3), True), (0, "a.b", (2, 2), True)]),
        ("kind: A\n---\nkind: B\nb: 1\nb: 2\n", [(1, "b", (4, 5), True)]),
    ],
)
def test_yaml(text: str, expected: list[Any]) -> None:
    """The lines are those of the file."""
    assert expected == repeated(text)


def test_json() -> None:
    """JSON has them too."""
    assert [(0, "a.b", (3, 4), True)] == repeated('{\n"kind": "A", "a": {\n"b": 1,\n"b": 2}}')


def test_surrogates() -> None:
    """JSON may have characters in two halves, which libyaml does not take."""
    text = '{"kind": "A", "smile": "\\ud83d\\ude00", "b": 1, "b": 2}'
    assert [(0, "b", (1, 1), True)] == repeated(text)


def test_list() -> None:
    """Keys of an object in a list are its own; those of the list itself lose nothing."""
    text = "kind: List\nkind: List\nitems:\n- kind: A\n- {kind: B, b: 1, b: 2}\n"
    assert [(1, "b", (5, 5), True)] == repeated(text)


def test_lost_items() -> None:
    """Objects that the list has lost are told, though others can be read."""
    text = "kind: List\nitems: [{kind: A}]\nitems: [{kind: B}]\n"
    read = files.read_text(text, "test.yaml")

    assert [{"kind": "B"}] == read.objects
    assert [
        (
            "test.yaml cannot be read as a whole (a List has items in lines 2 and 3); keep one, "
            "with all objects."
        )
    ] == [one.sentence() for one in read.unread]


@pytest.mark.parametrize(
    "text",
    [
        "kind: A\nbase: &base {a: 1}\nown:\n  <<: *base\n  a: 2\n",
        "kind: A\nbase: &base {a: 1}\nown:\n  <<: [*base, *base]\n",
        "kind: A\nspec: {a: 1}\nother: {a: 1}\n",
        "kind: A\ntext: |\n  a: 1\n  a: 2\n",
        "{}",
        "",
    ],
)
def test_none(text: str) -> None:
    """What a merge brings, other mappings and texts repeat nothing."""
    assert [] == repeated(text)


def test_alias() -> None:
    """A mapping in two places is told once."""
    text = "kind: A\na: &a {x: 1, x: 2}\nb: *a\n"
    assert [(0, "a.x", (2, 2), True)] == repeated(text)


KEYS = st.text("abc", min_size=1, max_size=2)
VALUES = st.recursive(
    st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1), st.data())
def test_any(body: dict[str, Any], data: st.DataObject) -> None:
    """Whatever the object: none is found in it, and the one that is written again is."""
    pairs = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in body.items()]
    assert [] == repeated(f"{{{', '.join(pairs)}}}")

    again = data.draw(st.sampled_from(sorted(body)))
    value = data.draw(VALUES)
    text = f"{{{', '.join([*pairs, f'{json.dumps(again)}: {json.dumps(value)}'])}}}"
    assert [(0, again, (1, 1), body[again] != value)] == repeated(text)
    assert [body | {again: value}] == files.read_text(text, "test.json").objects
