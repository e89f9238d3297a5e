"""Rule of scaling to zero: S04."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vllm_constructs.metrics import promql, query_value
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.scalers import Scaler, Trigger, scalers
from vllm_constructs.reading.subjects import Subjects, model_name

from .rule import Found, Level, put, rule

_ABSENT = ("absent", "absent_over_time")
_ENGINES = re.compile(r"(?:.*\|)?vllm[:_](\w+)(?:\|.*)?")
# Labels that do not tell one model from another.
_WIDE = ("cluster", "namespace", "prometheus")


@rule("S04", "error", "scale to zero without anything to wake it")
def to_zero(graph: Graph) -> Iterator[Found]:
    """At 0 replicas nothing reports waiting requests, so that the model never comes back."""
    from vllm_constructs.scaling.keda import zero_problem

    subjects = Subjects(graph)
    for scaler in scalers(graph):
        if not scaler.concerns_engines or not sleeps(scaler, subjects):
            continue
        path = _place(scaler)
        where = str(path[-1])
        is_given = scaler.manifest.at(*path) is not None
        what = "is 0" if is_given else "is left out, which means 0"
        others = "a cron trigger or one" if scaler.is_keda else "an external metric"
        # Of an object that no rule knows as an engine, the metrics may be those of others.
        level: Level | None = None if scaler.engines else "warning"
        advice = f"give 1 or more, or add {others} that reads a router or gateway"
        yield Found(
            manifest=scaler.manifest,
            path=path,
            problem=zero_problem(where, what, advice),
            level=level,
            fix=put(path, 1) if where != "idleReplicaCount" else None,
        )


def _place(scaler: Scaler) -> Path:
    if scaler.is_keda and scaler.low:
        return ("spec", "idleReplicaCount")
    fields = {"ScaledObject": "minReplicaCount", "HorizontalPodAutoscaler": "minReplicas"}
    field = fields.get(scaler.manifest.kind)
    return ("spec", "predictor", "minReplicas") if field is None else ("spec", field)


def sleeps(scaler: Scaler, subjects: Subjects) -> bool:
    """Whether a scaler goes to 0 replicas, and no trigger works there.

    Args:
        scaler: The scaler.
        subjects: The engines that its queries are about.
    """
    if not _goes_to_zero(scaler) or not scaler.triggers:
        return False
    return not any(_wakes(subjects, scaler, one) for one in scaler.triggers)


def _goes_to_zero(scaler: Scaler) -> bool:
    if not scaler.is_keda:
        return scaler.low == 0
    if scaler.is_forced:
        return False
    spec = scaler.manifest.spec
    is_default = scaler.low is None and spec.get("minReplicaCount") is None
    idle = spec.get("idleReplicaCount")
    return is_default or scaler.low == 0 or (idle == 0 and not isinstance(idle, bool))


def _wakes(subjects: Subjects, scaler: Scaler, one: Trigger) -> bool:
    """Whether a trigger may have a value while its target has no pods."""
    if one.reads_resources or one.kind == "Pods":
        return False
    if one.query is None:
        found = _ENGINES.fullmatch(one.name) if not scaler.is_keda else None
        return found is None or not _is_engines(subjects, f"vllm:{found[1]}")
    tree = promql.read(one.query)
    if tree is None or not tree.selectors():
        return True
    return _is_never_empty(tree) or any(
        _is_of_others(subjects, scaler, node) for node in tree.selectors()
    )


def _is_engines(subjects: Subjects, name: str) -> bool:
    from vllm_constructs.releases.metric_catalog import was_exposed

    return query_value.is_of_pods(name) and name not in subjects.recorded and was_exposed(name)


def _is_never_empty(tree: promql.Node) -> bool:
    """Whether a query has a value above 0 where there are no series."""
    return any(
        node.kind == "call"
        and (node.name in _ABSENT or (node.name == "vector" and (node.parts[0].number or 0) > 0))
        for node in tree.walk()
    )


def _is_of_others(subjects: Subjects, scaler: Scaler, node: promql.Node) -> bool:
    """Whether the series of a selector may be of other pods than those of the target."""
    record = subjects.records.get(node.name)
    if record is not None:
        tree = promql.read(record)
        return tree is None or any(
            one.name in subjects.records or _is_of_others(subjects, scaler, one)
            for one in tree.selectors()
        )
    if not query_value.is_of_pods(node.name) or node.equal("server") is not None:
        return True
    own = {model_name(one) for one in scaler.engines}
    model = node.equal("model_name")
    if not own or None in own:
        return False
    if model is not None:
        # Prefill and decode serve one model, and may be scaled by each other's requests.
        return model not in own or subjects.workloads_of(model) > 1
    is_narrow = any(label not in _WIDE for label, _, _ in node.matchers)
    return not is_narrow and subjects.workloads > 1
