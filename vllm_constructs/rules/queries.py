"""Rule of metrics: S01."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TypeAlias

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.queries import Query, queries
from vllm_constructs.reading.scalers import Scaler, scalers
from vllm_constructs.reading.subjects import Subjects
from vllm_constructs.releases.release import NEWEST, VllmRelease

from .adapters import Adapters
from .rule import Fix, Found, Level, put, rule

_Verdict: TypeAlias = "tuple[Problem, Level | None] | None"

_NAME = "__name__"
_RENAMED = re.compile(r"use (vllm:\w+)")
# How managed Prometheus of GKE names a metric.
_GOOGLE = re.compile(r"prometheus\.googleapis\.com[|/](?P<name>[^|/]+)([|/]\w+)*")
# What adapters make of counters and histograms.
_DERIVED = re.compile(r"_(avg|average|max|min|p\d+|per_\w+|qps|rate|ratio|rps|sum|total)\b")
_FIELDS = {"adapter": "seriesQuery", "picker": "flag", "rule": "expr"}


@rule("S01", "error", "a metric that this release does not expose")
def unknown_metric(graph: Graph) -> Iterator[Found]:
    """The query returns nothing, so that the scaler never scales and the alert never fires."""
    subjects = Subjects(graph)
    seen: set[tuple[int, Path, str]] = set()
    for query in queries(graph):
        if "vllm" in query.text:
            yield from _unknown_in(subjects, query, seen)
    adapters = Adapters(graph)
    for scaler in scalers(graph):
        if scaler.manifest.kind == "HorizontalPodAutoscaler":
            yield from _unknown_names(subjects, adapters, scaler)


def _unknown_in(
    subjects: Subjects, query: Query, seen: set[tuple[int, Path, str]]
) -> Iterator[Found]:
    for name, models in _names(query):
        # A dashboard has many queries of one metric.
        key = (query.manifest.number, query.path, name)
        if key in seen or name in subjects.recorded or subjects.copies(_NAME):
            continue
        seen.add(key)
        found = _judged(subjects, query, name, models)
        if found is not None:
            problem, level = found
            yield Found(
                manifest=query.manifest,
                path=query.path,
                problem=problem,
                level="warning" if query.reader == "dashboard" else level,
                fix=_renamed(query, name, problem),
            )


def _names(query: Query) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names of vLLM's series in a query, with the models that their selectors name."""
    from vllm_constructs.metrics import promql
    from vllm_constructs.releases.metric_catalog import was_exposed

    tree = promql.read(query.text)
    if tree is None:
        for name in promql.names(query.text):
            if name.startswith("vllm:"):
                yield name, ()
        return
    for one in tree.selectors():
        # The production stack's router sets it on all of its series.
        is_router = one.equal("server") is not None
        # One side of an `or` may be of another release.
        is_alternative = one.has_alternative and was_exposed(one.name)
        if one.name.startswith("vllm") and not is_router and not is_alternative:
            model = one.equal("model_name")
            yield one.name, () if model is None else (model,)


def _judged(subjects: Subjects, query: Query, name: str, models: Collection[str]) -> _Verdict:
    """Why no engine has a series, and the level if it is not that of the rule."""
    from vllm_constructs.metrics.query_value import is_of_pods
    from vllm_constructs.releases.metric_catalog import series_problem

    where = _FIELDS.get(query.reader, "query")
    if name.startswith("vllm_"):
        right = f"vllm:{name.removeprefix('vllm_')}"
        if series_problem(where, right) is not None:
            return None
        text = escaped(f"selects {name}, which vLLM exposes as {right}")
        advice = f"write {escaped(right)}, unless something between vLLM and Prometheus renames it"
        return Problem(where=where, text=text, advice=advice), "warning"
    if not is_of_pods(name):
        return None
    verdicts = [
        _on_release(
            where,
            name,
            engine.release,
            has_hidden="show-hidden-metrics-for-version" in engine.options,
        )
        for engine in subjects.engines(query, models)
    ]
    if not verdicts:
        return _on_release(where, name, subjects.assumed)
    return None if None in verdicts else verdicts[0]


def _on_release(
    where: str, name: str, release: VllmRelease, *, has_hidden: bool = True, verb: str = "selects"
) -> _Verdict:
    from vllm_constructs.releases.metric_catalog import series_problem, was_exposed

    problem = series_problem(where, name, release, verb=verb, has_hidden=has_hidden)
    if problem is None:
        return None
    is_misspelt = problem.advice.startswith(("did you mean", "write"))
    is_removed = "no longer" in problem.text
    if release.version is not None and not release.is_certain:
        # Of the releases before the first known one, only some metrics are known.
        is_newer = release.version > _numbers(NEWEST)
        return (problem, None) if is_misspelt or (is_removed and is_newer) else None
    if not is_misspelt and not was_exposed(name):
        advice = "correct it, unless a recording rule elsewhere makes a series of this name"
        unsure = Problem(where=where, text=problem.text, value=problem.value, advice=advice)
        return unsure, "warning"
    return problem, None if is_misspelt or release.is_certain else "warning"


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


def _renamed(query: Query, name: str, problem: Problem) -> Fix | None:
    """The new name of a metric in the query, where that is all that changed."""
    new = _RENAMED.fullmatch(problem.advice)
    if new is None or query.is_in_text:
        return None
    return put(query.path, re.sub(rf"(?<![\w:]){re.escape(name)}(?![\w:])", new[1], query.text))


def _unknown_names(subjects: Subjects, adapters: Adapters, scaler: Scaler) -> Iterator[Found]:
    """The metrics of an HPA that no adapter can make of vLLM's."""
    for one in scaler.triggers:
        google = _GOOGLE.fullmatch(one.name)
        name = google["name"] if google else one.name
        if one.reads_resources or not re.match(r"vllm[\W_]", name):
            continue
        made = adapters.made(one.kind)
        if name in made:
            continue
        found = _unknown_name(subjects, scaler, name)
        if found is None and made and ":" not in name:
            text = (
                f"is {escaped(require.shown(name))}, but the prometheus-adapter in these manifests "
                f"makes {escaped(', '.join(sorted(made)))}"
            )
            found = Problem(where="metric.name", text=text, advice="use one of them"), None
        if found is not None:
            problem, level = found
            yield Found(manifest=scaler.manifest, path=one.name_path, problem=problem, level=level)


def _unknown_name(subjects: Subjects, scaler: Scaler, name: str) -> _Verdict:
    from vllm_constructs.metrics.query_value import is_of_pods
    from vllm_constructs.releases.metric_catalog import series_problem, was_exposed

    shown = escaped(require.shown(name))
    if "/" in name or "%" in name:
        text = f"is {shown}, and the name of a metric has no '/' and no '%'"
        right = f"vllm_{re.split(r'[/%]', name, maxsplit=1)[-1]}"
        return Problem(where="metric.name", text=text, advice=escaped(f"write {right!r}")), None
    exposed = f"vllm:{name[5:]}"
    if not is_of_pods(exposed) or exposed in subjects.recorded:
        return None
    release = scaler.engines[0].release if scaler.engines else subjects.assumed
    # An adapter makes one value of a histogram, and leaves out `_total`.
    candidates = (exposed, f"{exposed}_total", f"{exposed}_sum")
    is_derived = _DERIVED.search(name) and not was_exposed(exposed)
    if is_derived or any(series_problem("", one, release) is None for one in candidates):
        return None
    found = _on_release("metric.name", exposed, release, verb="is made of")
    if found is None or found[1] is None or ":" in name or was_exposed(exposed):
        return found
    text = f"is {shown}, which is like no metric of vLLM"
    advice = "give a metric that it exposes, unless an adapter elsewhere gives one this name"
    return Problem(where="metric.name", text=text, advice=advice), "warning"
