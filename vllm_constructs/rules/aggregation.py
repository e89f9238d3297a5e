"""Rule of aggregation: S03."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.metrics import promql, query_value
from vllm_constructs.reading.fields import mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.scalers import RESOURCES, Scaler, Trigger, scalers
from vllm_constructs.reading.subjects import Subjects

from .adapters import Adapters, adapted
from .rule import Found, put, rule

_AVERAGE, _VALUE, _UTILIZATION = "AverageValue", "Value", "Utilization"
_OF_OTHERS = (_AVERAGE, _VALUE)
_TYPES = dict.fromkeys(RESOURCES, (_AVERAGE, _UTILIZATION)) | {"Pods": (_AVERAGE,)}


@rule("S03", "error", "an aggregation that the metric type does not expect")
def aggregation(graph: Graph) -> Iterator[Found]:
    """The number of replicas is wrong, or KEDA refuses the answer."""
    subjects, adapters = Subjects(graph), Adapters(graph)
    for scaler in scalers(graph):
        given = scaler.formula.get("metricType")
        if isinstance(given, str) and given not in _OF_OTHERS:
            path: Path = ("spec", "advanced", "scalingModifiers", "metricType")
            problem = _invalid("metricType", given, _OF_OTHERS)
            yield Found(manifest=scaler.manifest, path=path, problem=problem)
        for one in scaler.triggers:
            found = _of_type(scaler, one)
            if found is None and scaler.high != 1:
                # One replica has one series, and nothing to divide by.
                found = _of_query(subjects, scaler, one) or _of_adapter(adapters, scaler, one)
            if found is not None:
                yield found


def _of_type(scaler: Scaler, one: Trigger) -> Found | None:
    """A metric type that the trigger does not have."""
    allowed = _TYPES.get(one.kind, _OF_OTHERS)
    if one.metric_type is None or not one.kind or one.metric_type in allowed:
        return None
    where = "metricType" if scaler.is_keda else "target.type"
    problem = _invalid(where, one.metric_type, allowed)
    return Found(manifest=scaler.manifest, path=one.type_path, problem=problem)


def _invalid(where: str, value: str, allowed: tuple[str, ...]) -> Problem:
    shown = require.shown(value)
    return Problem(where=where, value=escaped(shown), allowed=require.one_of(allowed))


def _of_query(subjects: Subjects, scaler: Scaler, one: Trigger) -> Found | None:
    """A query with several series, or whose value the metric type divides or multiplies wrongly."""
    tree = None
    if one.kind == "prometheus" and one.query:
        tree = promql.read(one.query)
    if tree is None or not _reads_pods(subjects, tree):
        return None
    unit = query_value.unit(tree)
    right = "avg" if unit is not None and unit[0] in ("ratio", "seconds") else "sum"
    if query_value.series(tree) == "many":
        problem = Problem(
            where="query",
            text="returns a series for each pod, and KEDA accepts one only",
            advice=f"aggregate them, as in {right}(...)",
        )
        fix = put(one.query_path, f"{right}({one.query})") if tree.kind == "selector" else None
        return Found(manifest=scaler.manifest, path=one.query_path, problem=problem, fix=fix)
    if _has_models(subjects, tree):
        problem = Problem(
            where="query",
            text="returns a series for each model_name, and the manifests have several",
            advice="select one model by model_name, or leave the by clause out",
        )
        return Found(
            manifest=scaler.manifest, path=one.query_path, problem=problem, level="warning"
        )
    if scaler.formula.get("formula"):
        return None
    return _compared(scaler, one, query_value.amount(tree))


def _compared(scaler: Scaler, one: Trigger, amount: query_value.Amount) -> Found | None:
    """A value of each pod that is divided by the replicas, or a total that is multiplied."""
    where = "metricType" if scaler.is_keda else "target.type"
    if amount == "each" and one.metric_type == _AVERAGE:
        is_given = scaler.manifest.at(*one.type_path) is not None
        text = (
            f"is {_AVERAGE}{'' if is_given else ', the default'}, which divides the value by the "
            "replicas, but it is a value per pod already: more pods never ask for more"
        )
        right, advice = _VALUE, f"give {_VALUE}, or a query of the total"
    elif amount == "total" and one.metric_type == _VALUE:
        text = (
            f"is {_VALUE}, which multiplies with the replicas, but the value is a total over them: "
            "each scale-up asks for the next one"
        )
        right, advice = _AVERAGE, f"give {_AVERAGE}, or a query of the average"
    else:
        return None
    problem = Problem(where=where, text=text, advice=advice)
    fix = put(one.type_path, right) if scaler.is_keda else None
    return Found(manifest=scaler.manifest, path=one.type_path, problem=problem, fix=fix)


def _reads_pods(subjects: Subjects, tree: promql.Node) -> bool:
    """Whether all series of a query are of engines' pods, one or more for each."""
    selectors = tree.selectors()
    return bool(selectors) and all(
        query_value.is_of_pods(one.name)
        and one.name not in subjects.recorded
        and one.equal("server") is None
        for one in selectors
    )


def _has_models(subjects: Subjects, tree: promql.Node) -> bool:
    """Whether a query keeps models apart, and nothing else selects one of several."""
    if query_value.groups(tree) != ["model_name"]:
        return False
    is_narrow = any(how in ("=", "=~") for one in tree.selectors() for _, how, _ in one.matchers)
    return not is_narrow and len(subjects.model_names) > 1


def _of_adapter(adapters: Adapters, scaler: Scaler, one: Trigger) -> Found | None:
    """A metric of an HPA whose adapter makes a total, or a mean, of it."""
    if one.kind not in ("External", "Object") or "vllm" not in one.name:
        return None
    kind = str(mapping(one.metadata.get("describedObject")).get("kind") or "")
    known = adapters.made(one.kind).get(one.name)
    if known is not None:
        tree = adapted(*known, group=kind.lower() or "namespace")
        return None if tree is None else _compared(scaler, one, query_value.amount(tree))
    is_count = re.fullmatch(r"vllm[_:]num_requests_\w+", one.name)
    if one.metric_type != _VALUE or kind != "Namespace" or not is_count:
        return None
    problem = Problem(
        where="target.type",
        text="is Value, which multiplies with the replicas, but adapters make a total over the "
        "namespace by default",
        advice="give AverageValue, unless the adapter's metricsQuery makes an average",
    )
    return Found(manifest=scaler.manifest, path=one.type_path, problem=problem, level="warning")
