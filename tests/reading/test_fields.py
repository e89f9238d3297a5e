"""Fields of manifests, and what malformed ones give."""

from typing import Any

import pytest

from vllm_constructs.reading import fields

GARBAGE: list[Any] = [None, 1, "x", [], {}, [1], {"a": 1}, [{"b": None}]]


@pytest.mark.parametrize("value", GARBAGE)
def test_garbage(value: Any) -> None:
    """What is malformed is something empty."""
    assert isinstance(fields.mapping(value, "a", "b"), dict)
    assert isinstance(fields.items(value), list)
    assert all(isinstance(one, str) for one in fields.strings(value))
    assert ("", "") == fields.namespaced_name({"metadata": value})
    assert (value if value == 1 else 7) == fields.integer(value, 7)


def test_values() -> None:
    """What is there is returned."""
    one = {"metadata": {"name": "a", "namespace": "b"}, "spec": {"x": {"y": 1}}}
    assert {"y": 1} == fields.mapping(one, "spec", "x")
    assert ("b", "a") == fields.namespaced_name(one)
    assert ["1", "None"] == fields.strings([1, None])
    assert (3, 7, 7) == tuple(fields.integer(value, 7) for value in (3, "3", True))
