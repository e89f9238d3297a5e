"""The page of each rule: its parts, and its manifests, which are checked as they stand."""

from __future__ import annotations

import os
import re

import pytest

from vllm_constructs.rules.check import every_rule
from vllm_constructs.rules.rule import Rule

from .findings import PAGES, ids

RULES = every_rule()
SECTIONS = ["What happens", "How to mend it", "Bad", "Good", "Seen in"]
_FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page(rule: Rule) -> str:
    """The page of a rule."""
    return (PAGES / f"{rule.id}.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """A section of a page."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


FAMILIES = {
    "E": "Engine",
    "P": "Probes and lifecycle",
    "R": "Rollout, storage, selectors",
    "S": "Scaling",
    "G": "Accelerators and memory",
    "N": "Network",
    "H": "Security and hygiene",
    "M": "Several nodes",
    "D": "Data and expert parallelism",
    "X": "Prefill and decode apart",
    "L": "LoRA",
    "K": "KV cache outside of the GPU",
    "C": "Device claims",
    "W": "Cloud nodes",
}
INDEX = """\
# Rules

Each rule is a known mistake. An error breaks, or loses requests; a warning works until it does not.
`vllm-constructs explain <id>` prints the page of a rule. See [Check](check.md) for the command.
"""


def index() -> str:
    """The page that lists all rules."""
    text = INDEX
    for letter, family in FAMILIES.items():
        text += f"\n## {family}\n\n| Rule | Level | What is wrong |\n|---|---|---|\n"
        for rule in RULES:
            if rule.id.startswith(letter):
                text += f"| [{rule.id}](rules/{rule.id}.md) | {rule.level} | {rule.title} |\n"
    return text


def test_index() -> None:
    """All rules are in the index; write it anew with REWRITE=1."""
    file = PAGES.parents[2] / "docs" / "rules.md"
    if os.environ.get("REWRITE"):
        file.write_text(index(), encoding="utf-8")

    assert index() == file.read_text(encoding="utf-8")
    assert {rule.id[0] for rule in RULES} == set(FAMILIES)


def test_pages() -> None:
    """Every rule has a page, and every page is of a rule."""
    assert sorted(rule.id for rule in RULES) == sorted(path.stem for path in PAGES.glob("*.md"))
    assert len(RULES) == len({rule.id for rule in RULES})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_parts(rule: Rule) -> None:
    """A page has the title, level and sections that all have."""
    text = page(rule)

    assert text.startswith(f"# {rule.id}: {rule.title}\n\nLevel: {rule.level}.\n\n")
    assert SECTIONS == re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert all(section(text, title).strip() for title in SECTIONS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_manifests(rule: Rule) -> None:
    """What the page calls bad is found by its rule, and what it calls good is not."""
    text = page(rule)
    bad, good = (_FENCE.findall(section(text, title)) for title in ("Bad", "Good"))

    assert bad
    assert len(bad) == len(good)
    for one in bad:
        assert [rule.id] == ids(one, rule.id), one
    for one in good:
        assert [] == ids(one, rule.id), one
