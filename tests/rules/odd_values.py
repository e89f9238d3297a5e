"""Manifests with odd values in every place: a rule says something or nothing, but never raises."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.check import check, every_rule

VALUES: tuple[Any, ...] = (None, 7, True, 1.5, "", "x y", [], [None], {}, {"a": {"b": [1]}}, {3: 4})


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a value.

    Args:
        value: The value.
        path: Where it is.
    """
    yield path
    listed = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else listed:
        yield from paths(item, (*path, key))


def check_odd_values(manifests: list[dict[str, Any]], *rules: str) -> None:
    """Put each odd value into each place.

    Args:
        manifests: Manifests with all fields that the rules read.
        rules: Ids of the rules.
    """
    chosen = [rule for rule in every_rule() if rule.id in rules]
    for number, manifest in enumerate(manifests):
        for path in paths(manifest):
            for value in VALUES if path else ():
                changed = deepcopy(manifests)
                place: Any = changed[number]
                for step in path[:-1]:
                    place = place[step]
                place[path[-1]] = value
                for one in check(Graph(changed), chosen):
                    assert one.problem.sentence()
