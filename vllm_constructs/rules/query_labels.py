"""Rule of labels: S02."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.queries import Query, queries
from vllm_constructs.reading.subjects import PLACEHOLDER, Subjects, model_name

from .rule import Fix, Found, Level, put, rule

_MODEL_NAME = "model_name"


@rule("S02", "error", "a label that vLLM does not set, or a model that nothing serves")
def unknown_label(graph: Graph) -> Iterator[Found]:
    """The selector matches no series, which KEDA takes for 0 by default."""
    subjects = Subjects(graph)
    for query in queries(graph):
        # An endpoint picker names series without labels.
        if "vllm:" in query.text and query.reader != "picker":
            yield from _unknown_in(subjects, query)


def _unknown_in(subjects: Subjects, query: Query) -> Iterator[Found]:
    from vllm_constructs.metrics import promql
    from vllm_constructs.metrics.query_value import is_of_pods

    tree = promql.read(query.text)
    seen: set[tuple[str, str, str]] = set()
    for one in [] if tree is None else tree.selectors():
        is_router = one.equal("server") is not None
        if not one.name.startswith("vllm:") or not is_of_pods(one.name) or is_router:
            continue
        for matcher in one.matchers:
            label, how, value = matcher
            # It also matches series without the label.
            is_idle = how.startswith("!") or (how == "=~" and bool(promql.matching(value, [""])))
            if matcher in seen or is_idle or not value or one.name in subjects.recorded:
                continue
            found = _wrong_label(subjects, query, one.name, label)
            if found is None and label == _MODEL_NAME:
                found = _wrong_model(subjects, query, how, value)
            if found is not None:
                seen.add(matcher)
                yield found


def _wrong_label(subjects: Subjects, query: Query, name: str, label: str) -> Found | None:
    from vllm_constructs.releases.metric_catalog import label_problem

    where = "expr" if query.reader == "rule" else "query"
    engines = subjects.engines(query)
    problem = label_problem(where, name, label, engines[0].release if engines else None)
    if problem is None or subjects.copies(label):
        return None
    level: Level | None = "warning" if query.reader == "dashboard" else None
    fix = _with_model_name(query, label) if problem.advice == "write model_name" else None
    if subjects.may_be_copied(label, query):
        advice = f"{problem.advice}, unless Prometheus copies the pods' label {label!r}"
        problem = Problem(where=where, text=problem.text, value=problem.value, advice=advice)
        level = "warning"
    return Found(manifest=query.manifest, path=query.path, problem=problem, level=level, fix=fix)


def _with_model_name(query: Query, label: str) -> Fix | None:
    if query.is_in_text:
        return None
    pattern = rf"(?<=[{{,\s]){label}(?=\s*(=|!=|=~)\s*[\"'`])"
    return put(query.path, re.sub(pattern, _MODEL_NAME, query.text))


def _wrong_model(subjects: Subjects, query: Query, how: str, value: str) -> Found | None:
    """A model that the target of a scaler does not serve."""
    from vllm_constructs.metrics import promql

    scaler = subjects.scaler(query)
    engines = [] if scaler is None else scaler.engines
    names = [model_name(one) for one in engines]
    known = [one for one in names if one is not None]
    if not known or len(known) < len(names) or PLACEHOLDER.search(value):
        return None
    pattern = re.escape(value) if how == "=" else value
    is_served = promql.matching(pattern, known) or not promql.is_pattern(pattern)
    if is_served or subjects.copies(_MODEL_NAME):
        return None
    shown, right = (escaped(require.shown(one)) for one in (value, known[0]))
    level: Level | None = None
    text = f"selects the model {shown}, but its target serves {right}"
    if any(value in (one.served_names or ()) for one in engines):
        text = f"selects the model {shown}, but vLLM sets model_name to its first name, {right}"
    others = [one for one in subjects.graph.engines if one not in engines]
    other = next((one for one in others if model_name(one) == value), None)
    if other is not None:
        text = f"selects the model of {escaped(other.manifest.title)}, {shown}, not {right}"
        level = "warning"
    problem = Problem(
        where="query",
        text=text,
        value=require.shown(value),
        advice=f"write model_name={right}",
    )
    fix = None
    if how == "=" and len({*known}) == 1 and level is None:
        place = rf"({_MODEL_NAME}\s*=\s*)([\"'`]){re.escape(value)}\2"
        new = known[0].replace("\\", "\\\\")
        fix = put(query.path, re.sub(place, rf"\g<1>\g<2>{new}\g<2>", query.text))
    return Found(manifest=query.manifest, path=query.path, problem=problem, level=level, fix=fix)
