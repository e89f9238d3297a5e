"""The catalog has every rule of every module."""

import re
from pathlib import Path

import pytest

from vllm_constructs.rules import catalog

MODULES = Path(catalog.__file__).parent
LISTS = [
    Path(__file__).parents[3] / "shared" / name for name in ("rules.md", "rules-topologies.md")
]


def test_every_module() -> None:
    """A rule that a module defines is in the catalog."""
    written = {
        id
        for file in MODULES.glob("*.py")
        for id in re.findall(r'^@rule\("(\w+)"', file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert sorted(written) == [rule.id for rule in catalog.every_rule()]


def test_families() -> None:
    """Each module is in the table, and each has a rule."""
    families = vars(catalog)["_FAMILIES"]
    modules = {
        file.stem
        for file in MODULES.glob("*.py")
        if re.search(r"^@rule\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert modules == set(families)


def test_between() -> None:
    """Of the rules about how objects go together, those are left out whose kinds are not there."""
    between = {rule.id for rule in catalog.rules_between([])}
    assert {"R06", "R09", "N06"} <= between
    assert between.isdisjoint(catalog.ids_of_own_rules() | {"R08", "S04", "N04"})
    assert {"R08"} == {one.id for one in catalog.rules_between(["PodDisruptionBudget"])} - between
    everything = {kind for kinds in vars(catalog)["_FAMILIES"].values() for kind in kinds or ()}
    both = {rule.id for rule in catalog.rules_between(everything)} | catalog.ids_of_own_rules()
    assert {rule.id for rule in catalog.every_rule()} == both


def test_list() -> None:
    """Every known mistake has a rule of its level; others were found later."""
    if not all(one.is_file() for one in LISTS):
        pytest.skip("../shared is not there")
    rows = [
        found
        for one in LISTS
        for found in re.findall(
            r"^\| ([A-Z]\d\d) \| (error|warning) \|", one.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    later = [("H10", "error"), ("H11", "error")]
    assert sorted(rows + later) == [(rule.id, rule.level) for rule in catalog.every_rule()]
