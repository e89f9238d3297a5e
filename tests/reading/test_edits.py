"""Edits of the text of a document."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_constructs.reading.edits import Removed, changed, edited
from vllm_constructs.reading.positions import Text

BLOCK = """\
# of the team
kind: Deployment
spec:
  replicas: 2 # two
  template:
    spec:
      containers:
        - name: vllm
          args: [a, "b"]
          env:
          - name: A
            value: "1"
          # behind the variables
      script: |
        one
        two

# the end
"""


def edit(text: str, *edits: tuple[tuple[str | int, ...], Any]) -> str:
    """The text of an edited document."""
    made = edited(Text(text, 0), edits)
    assert made is not None
    return made.text


CONTAINER = ("spec", "template", "spec", "containers", 0)


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("spec", "replicas"), 3, "replicas: 2 # two", "replicas: 3 # two"),
        (("kind",), "Job: x", "kind: Deployment", "kind: 'Job: x'"),
        ((*CONTAINER, "args", 1), "1", '"b"]', "'1']"),
        ((*CONTAINER, "args", 2), "c", '"b"]', '"b", c]'),
        (
            ("spec", "template", "spec", "hostIPC"),
            False,
            "        two\n",
            "        two\n      hostIPC: false\n",
        ),
        (
            (*CONTAINER, "lifecycle", "preStop"),
            {"sleep": {"seconds": 15}},
            '            value: "1"\n',
            (
                '            value: "1"\n          lifecycle:\n            preStop:\n'
                "              sleep:\n                seconds: 15\n"
            ),
        ),
        (
            (*CONTAINER, "env", 1),
            {"name": "B"},
            '            value: "1"\n',
            '            value: "1"\n          - name: B\n',
        ),
        ((*CONTAINER, "name"), Removed, "- name: vllm\n          args", "- args"),
        (("spec", "replicas"), Removed, "  replicas: 2 # two\n", ""),
        (
            (*CONTAINER, "env"),
            Removed,
            '          env:\n          - name: A\n            value: "1"\n',
            "",
        ),
    ],
)
def test_edited(path: tuple[str | int, ...], value: Any, old: str, new: str) -> None:
    """One field changes, and everything else stays as it is written."""
    assert BLOCK.count(old) == 1
    assert BLOCK.replace(old, new) == edit(BLOCK, (path, value))


def test_flow() -> None:
    """Mappings in one line stay in one line."""
    text = "a: {b: 1}\nc: {}\n"
    assert "a: {b: 1, d: x}\nc: {}\n" == edit(text, (("a", "d"), "x"))
    assert 'a: {b: 1}\nc: {d: {"e": [1]}}\n' == edit(text, (("c", "d", "e"), [1]))


def test_several() -> None:
    """Edits follow each other."""
    assert "a: 2\nb: 3\n" == edit("a: 1\n", (("a",), 2), (("b",), 3))


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a: &x {b: 1}\nc: *x\n", ("c", "b"), 2),
        ("a: 1\n", ("a", "b"), 2),
        ("a: {b: 1}\n", ("a", "b"), Removed),
        ("a: [1]\n", ("a", 5), 2),
        ("a: 1\n", ("b",), Removed),
    ],
)
def test_none(text: str, path: tuple[str | int, ...], value: object) -> None:
    """What cannot be edited, or would change another field too, is left alone."""
    assert edited(Text(text, 0), [(path, value)]) is None


def test_changed() -> None:
    """The document itself is not changed."""
    document = {"a": {"b": [1, 2]}}
    before = copy.deepcopy(document)
    assert {"a": {"b": [1]}} == changed(document, ("a", "b", 1), Removed)
    assert before == document


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab:#- \n'\"{}é", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    document=st.dictionaries(st.text("abc", min_size=1, max_size=2), VALUES, min_size=1),
    value=VALUES,
    flow=st.sampled_from([True, False, None]),
    data=st.data(),
)
def test_any(
    document: dict[str, Any], value: Any, *, flow: bool | None, data: st.DataObject
) -> None:
    """An edited document says what it said, but for the field."""
    key = data.draw(st.sampled_from([*document, "new"]))
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True)
    made = edited(Text(text, 0), [((key,), value)])
    if made is not None:
        assert {**document, key: value} == yaml.safe_load(made.text)
    else:
        # Only a value in the middle of a line has no place for lines of its own.
        assert isinstance(value, (dict, list)) or "\n" in str(value)
