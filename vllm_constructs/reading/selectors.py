"""Selectors of labels, as Kubernetes evaluates them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fields import items, mapping, strings


def selects(selector: object, labels: Mapping[str, Any]) -> bool:
    """Whether a LabelSelector selects an object with these labels; an empty one selects all.

    Args:
        selector: `matchLabels` and `matchExpressions`, of which all have to hold.
        labels: Labels of the object.
    """
    given = mapping(selector)
    return selects_labels(given.get("matchLabels"), labels) and all(
        _holds(mapping(one), labels) for one in items(given.get("matchExpressions"))
    )


def selects_labels(selector: object, labels: Mapping[str, Any]) -> bool:
    """Whether an object has all labels of a map, as Services select.

    Args:
        selector: The labels.
        labels: Labels of the object.
    """
    return all(key in labels and labels[key] == value for key, value in mapping(selector).items())


def single_labels(selector: object) -> dict[str, Any]:
    """The labels that everything which a LabelSelector selects has, each with its one value.

    Args:
        selector: `matchLabels` and `matchExpressions`.
    """
    given = mapping(selector)
    found = dict(mapping(given.get("matchLabels")))
    for one in map(mapping, items(given.get("matchExpressions"))):
        values = strings(one.get("values"))
        if one.get("operator") == "In" and len(values) == 1:
            found.setdefault(str(one.get("key")), values[0])
    return found


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, operator = str(expression.get("key")), expression.get("operator")
    value, values = labels.get(key), strings(expression.get("values"))
    if operator == "In":
        return key in labels and str(value) in values
    if operator == "NotIn":
        return key not in labels or str(value) not in values
    if operator == "Exists":
        return key in labels
    return operator == "DoesNotExist" and key not in labels
