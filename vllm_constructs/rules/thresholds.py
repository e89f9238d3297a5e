"""Rule of thresholds: S08."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.kube import quantity
from vllm_constructs.metrics import promql, query_value
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.queries import queries
from vllm_constructs.reading.scalers import Scaler, Trigger, scalers

from .adapters import Adapters, adapted
from .rule import Found, Level, put, rule

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?\s*(%?)", re.ASCII)
_USAGE = re.compile(r"(.*\|)?(vllm[:_])?[a-z_]*_perc(\|.*)?")
_AIBRIX = "autoscaling.aibrix.ai"
# Seconds above which milliseconds are meant.
_SLOW = ((re.compile(r"inter_token|per_output_token"), 20), (re.compile(r"to_first_token"), 600))
_SLOWEST = 3600
_MANY_CPUS = 10
_LARGEST = 1e12


@rule("S08", "error", "a threshold in another unit than its metric")
def unit(graph: Graph) -> Iterator[Found]:
    """The value never reaches the threshold, or is always above it."""
    adapters = Adapters(graph)
    for scaler in scalers(graph):
        for one in scaler.triggers:
            if one.reads_resources:
                yield from _of_resource(scaler, one)
            else:
                yield from _of_value(adapters, scaler, one)
    for manifest in graph.of("PodAutoscaler"):
        if manifest.group == _AIBRIX:
            yield from _of_aibrix(manifest)
    yield from _of_comparisons(graph)


@dataclass(frozen=True)
class _Measure:
    """What a value measures.

    Attributes:
        kind: Its unit.
        factor: The factor by which it is multiplied.
        name: The metric.
    """

    kind: str
    factor: float
    name: str


def _number(value: object) -> float | None:
    """A number, given as such or as a string; None for others, such as templates."""
    text = value.strip() if isinstance(value, str) else ""
    found = float("nan")
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value) if abs(value) < _LARGEST else found
    elif _NUMBER.fullmatch(text):
        found = float(text.rstrip("% "))
    elif isinstance(value, str) and (amount := quantity.parse(text)) is not None:
        found = float(amount)
    return found if math.isfinite(found) else None


def _of_resource(scaler: Scaler, one: Trigger) -> Iterator[Found]:
    """The CPU or memory of the pods: percent of the request, or an amount."""
    value = _number(one.threshold)
    if value is None:
        return
    where, given = str(one.threshold_path[-1]), escaped(require.shown(one.threshold))
    manifest, path = scaler.manifest, one.threshold_path
    is_percent = isinstance(one.threshold, str) and "%" in one.threshold
    if one.metric_type == "Utilization" and (0 < value <= 1 or is_percent):
        right = round(value if is_percent else value * 100)
        text = f"is {given}, and utilization is in whole percent of the request"
        problem = Problem(where=where, text=text, advice=f"write {right}")
        new: Any = str(right) if scaler.is_keda else right
        level: Level | None = "warning" if value == 1 and not is_percent else None
        fix = None if level else put(path, new)
        yield Found(manifest=manifest, path=path, problem=problem, level=level, fix=fix)
    is_left_out = manifest.at(*one.type_path) is None and "type" not in one.metadata
    if one.kind == "cpu" and is_left_out and value >= _MANY_CPUS and str(one.threshold).isdecimal():
        text = f"is left out, so that {where} {given} means {value:g} CPUs for each pod"
        problem = Problem(where="metricType", text=text, advice="give Utilization for percent")
        fix = put(one.type_path, "Utilization")
        yield Found(manifest=manifest, path=one.type_path, problem=problem, fix=fix)


def _of_value(adapters: Adapters, scaler: Scaler, one: Trigger) -> Iterator[Found]:
    """A value that Prometheus or an adapter returns."""
    tree = None if one.query is None else promql.read(one.query)
    measure = _of_tree(tree) if one.query is not None else _of_name(adapters, one)
    path = (*one.metadata_path, "activationThreshold")
    activation = one.metadata.get("activationThreshold")
    places = [(one.threshold_path, one.threshold)]
    # Of a total, the one of all replicas counts for that.
    if tree is not None and query_value.amount(tree) != "total":
        places.append((path, activation))
    wrong = {
        place: found
        for place, value in places
        if measure is not None and (found := _problem(measure, str(place[-1]), value)) is not None
    }
    for place, (problem, right) in wrong.items():
        yield Found(
            manifest=scaler.manifest,
            path=place,
            problem=problem,
            level=None if measure is not None and measure.kind == "ratio" else "warning",
            fix=put(place, right) if right else None,
        )
    if not wrong:
        yield from _late(scaler, one, path, activation)


def _of_tree(tree: promql.Node | None, name: str = "") -> _Measure | None:
    found = None if tree is None else query_value.unit(tree)
    if tree is None or found is None:
        return None
    names = [node.name for node in tree.selectors()]
    bare = re.sub(r"_(bucket|sum|count)$", "", names[0]) if names else ""
    return _Measure(*found, name or bare) if names else None


def _of_name(adapters: Adapters, one: Trigger) -> _Measure | None:
    """The unit of a metric of an HPA: that of its adapter's query, or of its name."""
    if not _USAGE.fullmatch(one.name):
        return None
    known = adapters.made(one.kind).get(one.name)
    if known is None:
        return _Measure("ratio", 1.0, one.name)
    return _of_tree(adapted(*known, group="pod"), one.name)


def _problem(measure: _Measure, where: str, value: object) -> tuple[Problem, str] | None:
    """What is wrong with a threshold, and the right one; empty if that is not sure."""
    number, factor = _number(value), measure.factor
    if number is None:
        return None
    given, name = escaped(require.shown(value)), escaped(measure.name)
    is_percent = isinstance(value, str) and "%" in value
    is_part = factor == 100 and 0 < number < 1
    if measure.kind == "ratio" and (number > factor or is_percent or is_part):
        right = number * 100 if is_part and not is_percent else number / 100 * factor
        times = f" times {factor:g}" if factor != 1 and name.startswith("vllm") else ""
        text = f"is {given}, but {name}{times} is from 0 to {factor:g}"
        is_sure = 0 < right <= factor
        advice = f"write {right:g}" if is_sure else f"write a number up to {factor:g}"
        problem = Problem(where=where, text=text, advice=advice)
        return problem, f"{right:g}" if is_sure else ""
    if measure.kind == "seconds" and factor == 1 and number >= _limit(name):
        text = f"is {given}, but {name} is in seconds"
        advice = f"write {number / 1000:g} if milliseconds are meant"
        return Problem(where=where, text=text, advice=advice), ""
    return None


def _limit(name: str) -> float:
    return next((limit for pattern, limit in _SLOW if pattern.search(name)), _SLOWEST)


def _late(scaler: Scaler, one: Trigger, path: Path, activation: object) -> Iterator[Found]:
    """An activation above the threshold, where KEDA scales to 0."""
    low, idle = scaler.low, scaler.manifest.spec.get("idleReplicaCount")
    least, threshold = _number(activation), _number(one.threshold)
    if not scaler.is_keda or (low and idle != 0) or least is None or threshold is None:
        return
    if least > threshold:
        text = (
            f"is {escaped(require.shown(activation))}, above the threshold "
            f"{escaped(require.shown(one.threshold))}: KEDA keeps 0 replicas where the threshold "
            "asks for one"
        )
        problem = Problem(
            where="activationThreshold", text=text, advice="give the threshold or less"
        )
        yield Found(manifest=scaler.manifest, path=path, problem=problem, level="warning")


def _of_aibrix(manifest: Manifest) -> Iterator[Found]:
    for path, source in manifest.each("spec", "metricsSources"):
        number = _number(source.get("targetValue"))
        metric = str(source.get("targetMetric"))
        if number is not None and number > 1 and _USAGE.fullmatch(metric):
            where = (*path, "targetValue")
            given = escaped(require.shown(source["targetValue"]))
            text = f"is {given}, but {escaped(metric)} is from 0 to 1"
            advice = f"write {number / 100:g}" if number <= 100 else "write a number up to 1"
            problem = Problem(where="targetValue", text=text, advice=advice)
            fix = put(where, f"{number / 100:g}") if number <= 100 else None
            yield Found(manifest=manifest, path=where, problem=problem, fix=fix)


def _of_comparisons(graph: Graph) -> Iterator[Found]:
    """What alerts and queries compare ratios with."""
    for query in queries(graph):
        if "_perc" not in query.text and "_hits" not in query.text and "DCGM" not in query.text:
            continue
        tree = promql.read(query.text)
        for kind, factor, number in [] if tree is None else query_value.comparisons(tree):
            if kind == "ratio" and number > factor:
                text = f"compares what is from 0 to {factor:g} with {number:g}"
                right = number / 100 * factor
                advice = f"write {right:g}" if right <= factor else f"write up to {factor:g}"
                where = "expr" if query.reader == "rule" else "query"
                yield Found(
                    manifest=query.manifest,
                    path=query.path,
                    problem=Problem(where=where, text=text, advice=advice),
                    level="warning" if query.reader == "dashboard" else None,
                )
