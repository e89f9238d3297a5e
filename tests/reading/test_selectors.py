"""Selectors of labels."""

from typing import Any

import pytest

from vllm_constructs.reading.selectors import selects, selects_labels, single_labels

LABELS = {"app": "qwen", "tier": "gpu"}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    """A selector of one expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": [*values]}]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        (None, True),
        ({"matchLabels": {"app": "qwen"}}, True),
        ({"matchLabels": {"app": "qwen", "tier": "cpu"}}, False),
        ({"matchLabels": {"other": "qwen"}}, False),
        (expression("app", "In", "a", "qwen"), True),
        (expression("app", "In", "a"), False),
        (expression("app", "NotIn", "a"), True),
        (expression("app", "NotIn", "qwen"), False),
        (expression("other", "NotIn", "a"), True),
        (expression("app", "Exists"), True),
        (expression("other", "Exists"), False),
        (expression("other", "DoesNotExist"), True),
        (expression("app", "DoesNotExist"), False),
        (expression("app", "in", "qwen"), False),
        ({"matchLabels": {"app": "qwen"}, **expression("tier", "NotIn", "gpu")}, False),
    ],
)
def test_selects(selector: object, *, expected: bool) -> None:
    """A selector selects as Kubernetes does."""
    assert expected == selects(selector, LABELS)


def test_selects_labels() -> None:
    """A Service selects by labels alone."""
    assert selects_labels({"app": "qwen"}, LABELS)
    assert not selects_labels({"app": "coder"}, LABELS)


def test_single_labels() -> None:
    """The labels that all selected objects have with one value."""
    expressions = [
        {"key": "b", "operator": "In", "values": ["2"]},
        {"key": "c", "operator": "In", "values": ["3", "4"]},
        {"key": "d", "operator": "Exists"},
        {"key": "a", "operator": "In", "values": ["9"]},
    ]
    selector = {"matchLabels": {"a": "1"}, "matchExpressions": expressions}

    assert {"a": "1", "b": "2"} == single_labels(selector)
    assert {} == single_labels(None)
