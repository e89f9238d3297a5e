"""Metadata: labels and annotations that a user adds."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs.kube.metadata import mark

MARKS = {"example.com/owner": "search"}


def test_mark() -> None:
    """They come to those that there are, on each of the objects."""
    first: dict[str, Any] = {"metadata": {"name": "a", "labels": {"b": "c"}}}
    second: dict[str, Any] = {"metadata": {"name": "b"}}
    mark("X", [first, second], labels=MARKS, annotations=MARKS)

    assert {"b": "c", **MARKS} == first["metadata"]["labels"]
    assert MARKS == first["metadata"]["annotations"] == second["metadata"]["labels"]


def test_nothing() -> None:
    """Without any, a manifest stays as it is."""
    found: dict[str, Any] = {"metadata": {"name": "a"}}
    mark("X", [found])

    assert {"metadata": {"name": "a"}} == found


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ({"labels": {"b": "x"}}, "X.labels['b'] is set by this library; leave it out."),
        ({"annotations": {"vllm-constructs.dev/model": "x"}}, "is set by this library"),
        ({"labels": {"a b": "x"}}, "a key of X.labels"),
        ({"labels": ["x"]}, "X.labels is"),
    ],
)
def test_refusals(marks: dict[str, Any], words: str) -> None:
    """What the library sets, and what Kubernetes does not accept, is rejected."""
    found = {"metadata": {"name": "a", "labels": {"b": "c"}}}

    assert words in strategies.refusal(lambda: mark("X", [found], **marks))
