"""What rules find in manifests that tests write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vllm_constructs.reading import files
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.settings import Settings
from vllm_constructs.rules.check import check, every_rule
from vllm_constructs.rules.rule import Finding

PAGES = Path(__file__).parents[2] / "vllm_constructs" / "rules" / "pages"


def found(
    manifests: str | Iterable[dict[str, Any]], *rules: str, settings: Settings | None = None
) -> list[Finding]:
    """The findings in manifests, or in a text of them.

    Args:
        manifests: The manifests.
        rules: Ids of rules. Default: all.
        settings: What the manifests do not say.
    """
    repeated, names = None, list[str]()
    if isinstance(manifests, str):
        read = files.read_text(manifests, "test.yaml")
        assert not read.unread, read.unread
        manifests, repeated = read.objects, read.repeated()
        names = [origin.file for origin in read.origins]
    chosen = [rule for rule in every_rule() if not rules or rule.id in rules]
    assert not rules or {rule.id for rule in chosen} == set(rules)
    return check(Graph(manifests, settings, files=names, repeated=repeated), chosen)


def ids(manifests: str | Iterable[dict[str, Any]], *rules: str) -> list[str]:
    """The ids of the rules that find something, sorted, each once."""
    return sorted({finding.rule.id for finding in found(manifests, *rules)})


def sentences(manifests: str | Iterable[dict[str, Any]], *rules: str) -> list[str]:
    """Each finding in a line: id, field and sentence."""
    return [
        f"{one.rule.id} {'.'.join(map(str, one.path))}: {one.problem.sentence()}"
        for one in found(manifests, *rules)
    ]
