"""Nodes of a pod, from its node selector and its required node affinity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vllm_constructs.accelerators.nodes import products_selected
from vllm_constructs.dataclass import dataclass

from .fields import items, mapping, strings
from .manifest import Path
from .pods import Pod

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, kw_only=True)
class SelectedNodes:
    """The nodes on which a pod may run.

    Args:
        labels: Labels that all of them have with one value.
        products: The GPU products that the labels name; none if no label names one.
    """

    labels: Mapping[str, str]
    products: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NodeLabel:
    """A requirement of a pod on a label of its node.

    Args:
        key: Key of the label.
        values: Values that it may have; none for any.
        path: The fields that lead to it.
    """

    key: str
    values: tuple[str, ...]
    path: Path


def node_terms(pod: Pod) -> list[list[NodeLabel]]:
    """The labels that a node must have: one list for each term, of which a node meets one.

    Args:
        pod: The pod.
    """
    selector = (*pod.path, "nodeSelector")
    own = [
        NodeLabel(key=str(key), values=(str(value),), path=(*selector, key))
        for key, value in mapping(pod.spec, "nodeSelector").items()
    ]
    where: Path = (*pod.path, "affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms")
    terms = []
    for path, _ in pod.manifest.each(*where):
        found = list(own)
        for place, one in pod.manifest.each(*path, "matchExpressions"):
            values, operator = tuple(strings(one.get("values"))), one.get("operator")
            if operator == "Exists" or (operator == "In" and values):
                named = values if operator == "In" else ()
                found.append(NodeLabel(key=str(one.get("key")), values=named, path=place))
        terms.append(found)
    return terms or [own]


def selected_nodes(pod: Mapping[str, Any]) -> SelectedNodes:
    """The nodes on which a pod may run.

    Args:
        pod: The `spec` of the pod.
    """
    selector: dict[str, tuple[str, ...]] = {
        key: (str(value),) for key, value in mapping(pod, "nodeSelector").items()
    }
    affinity = mapping(pod, "affinity", "nodeAffinity", _REQUIRED)
    # The scheduler takes a node that meets one of the terms.
    terms = [
        _with_term(selector, mapping(term)) for term in items(affinity.get("nodeSelectorTerms"))
    ] or [selector]
    named = [products_selected(labels) for labels in terms]
    # A term without a product allows any of them.
    products = sorted({one for found in named for one in found}) if all(named) else []
    return SelectedNodes(labels=_in_all(terms), products=tuple(products))


def _with_term(
    selector: Mapping[str, tuple[str, ...]], term: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    found = dict(selector)
    for one in map(mapping, items(term.get("matchExpressions"))):
        key, values = str(one.get("key")), tuple(strings(one.get("values")))
        if one.get("operator") == "In" and values:
            before = found.get(key, values)
            found[key] = tuple(value for value in values if value in before)
    for one in map(mapping, items(term.get("matchExpressions"))):
        key, excluded = str(one.get("key")), strings(one.get("values"))
        if one.get("operator") == "NotIn" and key in found:
            found[key] = tuple(value for value in found[key] if value not in excluded)
    return found


def _in_all(terms: list[dict[str, tuple[str, ...]]]) -> dict[str, str]:
    first, *others = terms
    return {
        key: values[0]
        for key, values in first.items()
        if len(values) == 1 and all(other.get(key) == values for other in others)
    }
