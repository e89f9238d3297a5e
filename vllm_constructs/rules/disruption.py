"""The rule of PodDisruptionBudgets: R08."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.fields import items, mapping
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.pods import Pod
from vllm_constructs.workloads.availability import Budget

from .rollout import pods_at_most
from .rule import Found, put, rule

_MOST = 1000
_FIELDS = ("minAvailable", "maxUnavailable")


@rule("R08", "error", "a budget that blocks every drain, or protects nothing")
def budgets(graph: Graph) -> Iterator[Found]:
    """A node with a pod of it can never be drained, or a drain takes all pods at once."""
    for budget in graph.of("PodDisruptionBudget"):
        spec = budget.spec
        yield from _selector(budget)
        given = [one for one in _FIELDS if spec.get(one) is not None]
        if len(given) != 1:
            yield _number(budget, given)
            continue
        name = given[0]
        refused = _refused(name, spec[name])
        if refused is not None:
            right = spec[name]
            fix = put(("spec", name), int(right)) if str(right).isdecimal() else None
            yield Found(manifest=budget, path=("spec", name), problem=refused, fix=fix)
        elif spec[name] in (0, "0%") and spec[name] is not False:
            yield _zero(budget, name)
        elif _selects_some(spec.get("selector")):
            pods = graph.selected_pods(budget.namespace, spec.get("selector"))
            yield from _of_pods(graph, budget, name, pods)


def _selects_some(selector: object) -> bool:
    """Whether a selector names any label, so that it is for some pods."""
    given = mapping(selector)
    return bool(mapping(given.get("matchLabels")) or items(given.get("matchExpressions")))


def _selector(budget: Manifest) -> Iterator[Found]:
    selector = budget.spec.get("selector")
    if selector is None:
        text = "is left out, so that the budget protects no pod"
    elif selector == {} or not _selects_some(selector):
        text = "is empty, so that the budget counts all pods of the namespace together"
    else:
        return
    advice = "give matchLabels with the labels of the workload's pods"
    problem = Problem(where="selector", text=text, advice=advice)
    yield Found(manifest=budget, path=("spec", "selector"), problem=problem)


def _number(budget: Manifest, given: list[str]) -> Found:
    """Both numbers, which the API server rejects, or none."""
    text = (
        "has both minAvailable and maxUnavailable, and the API server takes one"
        if given
        else "has neither minAvailable nor maxUnavailable, so that no eviction is allowed"
    )
    advice = "leave minAvailable out" if given else "give maxUnavailable: 1"
    problem = Problem(where="the budget", text=text, advice=advice)
    path = ("spec", "minAvailable" if given else "maxUnavailable")
    fix = None if given else put(path, 1)
    return Found(manifest=budget, path=path, problem=problem, fix=fix)


def _refused(name: str, value: object) -> Problem | None:
    """Why the API server rejects a number."""
    shown = escaped(require.shown(value))
    if isinstance(value, str):
        share = re.fullmatch(r"(\d+)%", value, re.ASCII)
        if share is None:
            text = f"is {shown}, and the API server takes an integer, or a percentage such as '50%'"
            advice = f"write {value} without quotes" if value.isdecimal() else "give one of them"
            return Problem(where=name, text=text, advice=escaped(advice))
        if int(share[1]) > 100:
            text = f"is {shown}, more than all pods, and the API server rejects it"
            return Problem(where=name, text=text, advice="give maxUnavailable: 1")
    elif isinstance(value, int) and value < 0:
        text = f"is {shown}, and the API server rejects it"
        return Problem(where=name, text=text, advice="give maxUnavailable: 1")
    return None


def _zero(budget: Manifest, name: str) -> Found:
    text = (
        "is 0, so that no eviction is allowed and a node could never be drained"
        if name == "maxUnavailable"
        else "is 0, so that a drain may evict all pods at once, and the budget protects nothing"
    )
    path = ("spec", name)
    fix = put(path, 1) if name == "maxUnavailable" else None
    problem = Problem(where=name, text=text, advice="give maxUnavailable: 1")
    return Found(manifest=budget, path=path, problem=problem, fix=fix)


def _is_counted(graph: Graph, pod: Pod) -> bool:
    """Whether the manifests say how many pods there are; a scaler elsewhere may, too."""
    workload = pod.manifest
    is_given = "replicas" in workload.spec or workload.kind in ("Pod", "RoleSet", "StormService")
    return is_given or bool(graph.scalers_of(workload))


def _of_pods(graph: Graph, budget: Manifest, name: str, pods: list[Pod]) -> Iterator[Found]:
    """A number that the pods of the manifests cannot meet, or always do."""
    counts = [graph.pod_counts(pod) for pod in pods]
    known = [one for one in counts if one is not None]
    if len(known) < len(pods) or not all(_is_counted(graph, pod) for pod in pods):
        return
    low, high = (sum(one[i] for one in known) for i in (0, 1))
    if low < 1:
        return
    value: Any = budget.spec[name]
    # The controller rounds both up.
    number = pods_at_most(value, low if name == "minAvailable" else high, is_up=True)
    if number is None or not 1 <= number <= _MOST:
        return
    is_least = name == "minAvailable"
    own = Budget(min_available=number) if is_least else Budget(max_unavailable=number)
    scalers = graph.scalers_of(pods[0].manifest)
    scaler = scalers[0].kind if scalers else None
    where = f"{name}: {require.shown(value).strip(chr(39))}"
    found = own.problem(where, low, scaler=scaler, most=high)
    # One pod cannot be protected without blocking drains.
    if found is None or (not is_least and high == 1):
        return
    low_field = "{replicas}" if scaler is None else f"{{{scaler}.min_replicas}}"
    advice = "give maxUnavailable: 1 instead"
    if not is_least:
        advice = f"give {{max_unavailable}}: {high - 1} or less"
    elif high > 1 or scaler is None:
        advice += f", or raise {low_field} to {number + 1} or more"
    problem = replace(found, advice=advice)
    yield Found(manifest=budget, path=("spec", name), problem=problem)
