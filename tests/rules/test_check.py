"""The check: all rules over a graph, their order and what is accepted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.mistakes import all_good
from vllm_constructs.errors import Problem
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.rules.catalog import rules_between
from vllm_constructs.rules.check import ACCEPT, check, every_rule, rules_at_synth
from vllm_constructs.rules.rule import Found, Level, Rule

from .pods import deployment, pod_spec

OBJECTS: list[dict[str, Any]] = [{"kind": "A"}, {"kind": "B"}]


def finds(id: str, *paths: Path, level: Level = "error", number: int = 0) -> Rule:
    """A rule that finds something at some paths of an object."""

    def look(graph: Graph) -> Iterator[Found]:
        for path in paths:
            yield Found(
                manifest=graph.manifests[number], path=path, problem=Problem(text=f"{id} found")
            )

    return Rule(id=id, level=level, title="a mistake", check=look)


def ids(objects: list[dict[str, Any]], *rules: Rule) -> list[str]:
    """The ids of what is found, in order."""
    return [one.rule.id for one in check(Graph(objects), rules)]


def test_order() -> None:
    """Findings are sorted by object, level, rule and field, whatever the order of rules."""
    rules = [
        finds("Z01", ("b",), number=0),
        finds("A02", ("a",), ("b",), level="warning"),
        finds("A01", ("a",), number=1),
        finds("B01", ("a",)),
    ]
    for order in itertools.permutations(rules):
        assert ["B01", "Z01", "A02", "A02", "A01"] == ids(OBJECTS, *order)


def test_level() -> None:
    """A finding has the level of its rule, or its own."""

    def look(graph: Graph) -> Iterator[Found]:
        one = graph.manifests[0]
        yield Found(manifest=one, path=("a",), problem=Problem(text="x"))
        yield Found(manifest=one, path=("b",), problem=Problem(text="x"), level="warning")

    found = check(Graph(OBJECTS), [Rule(id="A01", level="error", title="t", check=look)])
    assert ["error", "warning"] == [one.level for one in found]


@pytest.mark.parametrize(
    ("reason", "accepted"), [("small", True), ("", False), (" ", False), (None, False)]
)
def test_accepted(reason: object, *, accepted: bool) -> None:
    """An annotation of the object accepts the findings of one rule, if it has a reason."""
    objects: list[dict[str, Any]] = [
        {"kind": "A", "metadata": {"annotations": {f"{ACCEPT}A01": reason}}}
    ]
    assert (["A02"] if accepted else ["A01", "A02"]) == ids(
        objects, finds("A01", ("a",)), finds("A02", ("a",))
    )


def test_schema_last() -> None:
    """Of a field that another rule names, the schema says nothing."""
    schema = finds("H09", ("a", "b"), ("c",), ("d", 0))
    assert ["A01", "H09"] == ids(OBJECTS, schema, finds("A01", ("a",), ("d", 0, "e")))[1:]
    assert ["H09"] * 3 == ids(OBJECTS, schema, finds("A01", ("a",), number=1))[:3]


def test_every_rule() -> None:
    """All rules have an id of their own, sorted."""
    rules = [rule.id for rule in every_rule()]
    assert sorted(set(rules)) == rules


def test_at_synth() -> None:
    """All but those of schemas run, and of what values have judged only those between objects."""
    mixed = [rule.id for rule in rules_at_synth(Graph(OBJECTS, judged=[0]))]
    assert [rule.id for rule in every_rule() if rule.id != "H09"] == mixed
    judged = {rule.id for rule in rules_at_synth(Graph(OBJECTS, judged=[0, 1]))}
    assert judged == {rule.id for rule in rules_between([])}


def test_judged() -> None:
    """What values have judged is not asked by rules about one object, but by all others."""
    objects = [deployment(pod_spec()), {**deployment(pod_spec()), "kind": "StatefulSet"}]
    for judged in ([0], [1]):
        found = check(Graph(objects, judged=judged))
        assert {"H02", "N06"} <= {one.rule.id for one in found}
        assert [1 - judged[0]] == [one.manifest.number for one in found if one.rule.id == "H02"]
        assert {0, 1} == {one.manifest.number for one in found if one.rule.id == "N06"}


JUNK = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "x", "$(A)", "1Gi", [], {}, ["a"], [None], {"a": 1}]
)


def places(value: object, path: Path = ()) -> Iterator[Path]:
    """The paths of all fields."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


GOOD = all_good()
PLACES = [(number, path) for number, one in enumerate(GOOD) for path in places(one)]


@settings(deadline=None, max_examples=60)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=4))
def test_garbage(changes: list[tuple[tuple[int, Path], Any]]) -> None:
    """Whatever stands in a field, the rules do not fail, and each finding has a sentence."""
    objects = all_good()
    for (number, path), value in changes:
        place: Any = objects[number]
        for step in path[:-1]:
            try:
                place = place[step]
            except (KeyError, IndexError, TypeError):
                break
        else:
            last: Any = path[-1]
            if isinstance(place, dict) or (isinstance(place, list) and last < len(place)):
                place[last] = value
    for one in check(Graph(objects)):
        assert one.problem.sentence().endswith((".", "?"))


def test_same_input() -> None:
    """The order of documents changes the order of findings only."""
    from .findings import found

    objects = [{**one, "spec": {**one.get("spec", {})}} for one in all_good()]
    for one in objects:
        one["spec"].pop("selector", None)
    first = sorted(f"{one.rule.id} {one.manifest.title} {one.path}" for one in found(objects))
    second = sorted(
        f"{one.rule.id} {one.manifest.title} {one.path}" for one in found(objects[::-1])
    )
    assert first == second
