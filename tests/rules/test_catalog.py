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
    assert sorted(written) == [rule.id for rule in catalog.RULES]


def test_list() -> None:
    """Every known mistake has a rule of its level."""
    if not all(one.is_file() for one in LISTS):
        pytest.skip("../shared is not there")
    rows = [
        found
        for one in LISTS
        for found in re.findall(
            r"^\| ([A-Z]\d\d) \| (error|warning) \|", one.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert sorted(rows) == [(rule.id, rule.level) for rule in catalog.RULES]
