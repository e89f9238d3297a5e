"""The check: all rules over a graph of manifests."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from vllm_constructs.errors import Problem, VllmConstructsWarning, escaped
from vllm_constructs.kube.names import PREFIX
from vllm_constructs.reading.collector import without_gc
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path

from .rule import LEVELS, Finding, Rule

ACCEPT = f"{PREFIX}/accept-"
"""With the id of a rule behind it, the annotation of an object that accepts its findings."""
# What a schema says to a field is told by the rule that knows why.
_SCHEMA = "H09"


def every_rule() -> tuple[Rule, ...]:
    """All rules, sorted by id."""
    from . import catalog

    return catalog.every_rule()


def rules_at_synth(graph: Graph) -> tuple[Rule, ...]:
    """The rules that may find something in an app, but for those of schemas.

    Where values have judged all objects, these are the rules about how objects go together.

    Args:
        graph: The manifests of the app.
    """
    from . import catalog

    if len(graph.judged) == len(graph.manifests):
        return catalog.rules_between({one.kind for one in graph.manifests})
    return tuple(rule for rule in every_rule() if rule.id != _SCHEMA)


def check(graph: Graph, rules: Iterable[Rule] | None = None) -> list[Finding]:
    """The findings of rules, without those that are accepted, the first object first.

    Args:
        graph: The manifests.
        rules: The rules. Default: all of them.
    """
    # A judgement of a value that only warns is said by the rule that calls it.
    with warnings.catch_warnings(action="ignore", category=VllmConstructsWarning), without_gc():
        found = list(_found(graph, every_rule() if rules is None else rules))
    return sorted(
        _without_repeated(found),
        key=lambda one: (
            one.manifest.number,
            LEVELS.index(one.level),
            one.rule.id,
            tuple(map(str, one.path)),
        ),
    )


def _found(graph: Graph, rules: Iterable[Rule]) -> Iterator[Finding]:
    own, unjudged = _own_rules(graph), graph.unjudged()
    for rule in rules:
        for one in rule.check(unjudged if rule.id in own else graph):
            problem = one.problem
            if (reason := one.manifest.annotations.get(f"{ACCEPT}{rule.id}")) is not None:
                if isinstance(reason, str) and reason.strip():
                    continue
                problem = _unexplained(rule, problem)
            yield Finding(
                rule=rule,
                level=one.level or rule.level,
                manifest=one.manifest,
                path=one.path,
                problem=problem,
                fix=one.fix,
            )


def _own_rules(graph: Graph) -> Collection[str]:
    """The rules that objects need not be asked whose values were judged."""
    from . import catalog

    is_mixed = 0 < len(graph.judged) < len(graph.manifests)
    return catalog.ids_of_own_rules() if is_mixed else ()


def _unexplained(rule: Rule, problem: Problem) -> Problem:
    advice = f"the annotation {ACCEPT}{rule.id} accepts it without a reason, so give one"
    return Problem(
        where=problem.where,
        text=problem.text,
        value=problem.value,
        allowed=problem.allowed,
        advice="; ".join(filter(None, (problem.advice, escaped(advice)))),
        kind=problem.kind,
    )


def _without_repeated(found: Collection[Finding]) -> Iterator[Finding]:
    """The findings without those of schemas at fields that another rule names."""
    named: dict[int, list[Path]] = defaultdict(list)
    for one in found:
        if one.rule.id != _SCHEMA:
            named[one.manifest.number].append(one.path)
    for one in found:
        if one.rule.id != _SCHEMA or not any(
            path[: len(one.path)] == one.path or one.path[: len(path)] == path
            for path in named[one.manifest.number]
        ):
            yield one
