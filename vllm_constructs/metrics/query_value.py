"""The value of a query: whether it grows with the replicas, of how many series, in which unit.

Each question has an answer only where the query leaves no doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from vllm_constructs.errors import VllmConstructsError

from .promql import Node
from .units import Unit, unit_of

Amount: TypeAlias = Literal["total", "each", "constant", ""]
"""A total over all replicas, a value of each replica on average, a number, or not known."""
Count: TypeAlias = Literal["one", "many", ""]
"""Series: exactly one, one for each pod, or not known."""

POD_LABELS = frozenset(
    {
        *("pod", "pod_name", "kubernetes_pod_name", "exported_pod"),
        *("instance", "exported_instance", "Hostname", "hostname", "UUID", "gpu"),
    }
)
"""Labels that differ from pod to pod."""
_TOTALS = frozenset({"sum", "count"})
_MEANS = frozenset({"avg", "max", "min", "quantile", "topk", "bottomk"})
_KEEPING = frozenset({"topk", "bottomk", "limitk", "limit_ratio", "count_values"})
_RATES = frozenset({"rate", "irate", "increase"})
# Functions that return what they get, of the same meaning and unit.
_SAME = frozenset(
    {
        *("-", "abs", "ceil", "clamp", "clamp_max", "clamp_min", "floor", "label_join"),
        *("label_replace", "round", "scalar", "sort", "sort_desc", "vector"),
        *("avg_over_time", "last_over_time", "max_over_time", "min_over_time"),
        *("quantile_over_time",),
    }
)
_ONE = frozenset({"absent", "absent_over_time", "pi", "scalar", "time", "vector"})
_SETS = frozenset({"and", "or", "unless"})
_COMPARISONS = frozenset({">", ">=", "<", "<=", "==", "!="})
# Of dcgm-exporter, in percent and as a ratio (NVIDIA, DCGM field ids).
_PERCENT = frozenset({"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL"})
_RATIO = frozenset(
    f"DCGM_FI_PROF_{name}"
    for name in (
        *("DRAM_ACTIVE", "GR_ENGINE_ACTIVE", "PIPE_TENSOR_ACTIVE"),
        *("SM_ACTIVE", "SM_OCCUPANCY"),
    )
)


def is_of_pods(metric: str) -> bool:
    """Whether each pod of an engine, or its GPU, has a series of a metric of its own.

    Args:
        metric: Name of the metric.
    """
    from vllm_constructs.releases.metric_catalog import ROUTER

    if metric.startswith("vllm:"):
        return metric not in ROUTER and metric.count(":") == 1
    return metric.startswith("DCGM_FI_")


def amount(node: Node) -> Amount:
    """Whether a value is a total over the replicas, or one of each replica.

    Args:
        node: The query, which reads series of pods.
    """
    if node.kind == "aggregate":
        return _amount_of_aggregate(node)
    if node.kind == "binary":
        return _amount_of_binary(node)
    if node.kind == "call":
        return _amount_of_call(node)
    if node.kind == "selector":
        # The series of one pod is neither.
        return "" if _is_pinned(node) else "each"
    return "constant" if node.kind == "number" else ""


def _is_pinned(selector: Node) -> bool:
    return any(selector.equal(label) is not None for label in POD_LABELS)


def _amount_of_call(node: Node) -> Amount:
    if node.name == "histogram_quantile":
        return "each"
    if node.name == "vector" and node.parts[0].kind == "number":
        return "constant"
    return amount(_argument(node)) if node.name in _SAME | _RATES else ""


def _amount_of_aggregate(node: Node) -> Amount:
    if node.name in _TOTALS:
        if node.labels is None:
            return "total"
        is_by_pod = bool(POD_LABELS & {*node.labels})
        return "" if node.is_without else "each" if is_by_pod else "total"
    inner = amount(node.parts[0]) if node.name in _MEANS else ""
    return "" if inner == "constant" else inner


def _amount_of_binary(node: Node) -> Amount:
    left, right = map(amount, node.parts)
    operator = "" if node.is_bool else node.name
    found: Amount = ""
    if operator in _COMPARISONS:
        found = right if left == "constant" else left
    elif operator in ("and", "unless"):
        found = left
    elif operator in ("+", "-", "or"):
        found = left if left == right else _other(left, right)
    elif operator == "*":
        is_zero = any(part.number == 0 for part in node.parts)
        found = "constant" if is_zero else _other(left, right)
    elif operator == "/" and right == "constant":
        found = left
    elif operator == "/" and left == right and left in ("each", "total"):
        # What grows with the replicas, divided by what does so too.
        found = "each"
    return found


def _other(left: Amount, right: Amount) -> Amount:
    """The amount that a constant does not change."""
    if "constant" not in (left, right):
        return ""
    return right if left == "constant" else left


def series(node: Node) -> Count:
    """How many series a value has.

    Args:
        node: The query, which reads series of several pods.
    """
    return _series(node, ())


def _series(node: Node, ignored: tuple[str, ...]) -> Count:
    if node.kind == "aggregate":
        return _series_of_aggregate(node, ignored)
    if node.kind == "binary":
        return _series_of_binary(node, ignored)
    if node.kind == "selector":
        return "" if _is_pinned(node) else "many"
    if node.kind != "call" or node.name in _ONE:
        return "one"
    if node.name == "histogram_quantile":
        return _series(node.parts[-1], (*ignored, "le"))
    return _series(_argument(node), ignored)


def _series_of_aggregate(node: Node, ignored: tuple[str, ...]) -> Count:
    inner = _series(node.parts[0], ignored)
    if node.name in _KEEPING:
        return "one" if node.number == 1 and not node.labels else inner
    if inner == "one" or node.labels is None:
        return "one"
    if node.is_without:
        return "" if POD_LABELS & {*node.labels} else inner
    kept = {label for label in _open_labels(node) if label not in ignored}
    return "one" if not kept else inner if POD_LABELS & kept else ""


def _open_labels(node: Node) -> list[str]:
    """The labels of a `by` clause that may have several values."""
    selectors = node.selectors()
    return [
        label for label in node.labels or () if any(one.equal(label) is None for one in selectors)
    ]


def _series_of_binary(node: Node, ignored: tuple[str, ...]) -> Count:
    first, second = node.parts
    left, right = _series(first, ignored), _series(second, ignored)
    numbers = [part.kind == "number" for part in node.parts]
    if node.name in ("and", "unless"):
        return left
    if node.name == "or":
        if "many" in (left, right):
            return "many"
        return "one" if left == "one" and right == "one" else ""
    if any(numbers):
        return right if numbers[0] else left
    return left if left == right and not node.is_matched else ""


def groups(node: Node) -> list[str]:
    """The labels of the outermost `by` clause that may have several values.

    Args:
        node: The query.
    """
    while node.kind == "call" and node.parts:
        node = node.parts[-1] if node.name == "histogram_quantile" else _argument(node)
    if node.kind != "aggregate" or node.is_without:
        return []
    return [label for label in _open_labels(node) if label != "le"]


def unit(node: Node) -> tuple[Unit, float] | None:
    """The unit of a value, and the factor by which it is multiplied; None if it is not known.

    Args:
        node: The query.
    """
    if node.kind == "selector":
        return _unit_of_metric(node.name)
    if node.kind == "aggregate":
        return unit(node.parts[0]) if node.name in (_TOTALS - {"count"}) | _MEANS else None
    if node.kind == "call":
        if node.name == "histogram_quantile":
            return next(filter(None, map(_unit_of_part, node.selectors())), None)
        return unit(_argument(node)) if node.name in _SAME and node.name != "-" else None
    if node.kind == "binary":
        return _unit_of_binary(node)
    return None


def _unit_of_binary(node: Node) -> tuple[Unit, float] | None:
    left, right = node.parts
    numbers = [part.number if part.kind == "number" else None for part in node.parts]
    if node.is_bool:
        return None
    if node.name in _SETS or node.name in _COMPARISONS:
        return unit(left) or unit(right)
    if node.name == "/":
        return _times(unit(left), 1 / numbers[1]) if numbers[1] else _unit_of_quotient(left, right)
    if node.name == "*":
        given = numbers[0] or numbers[1]
        return _times(unit(left) or unit(right), given) if given else None
    # What is not in use.
    found = unit(right) if node.name == "-" and numbers[0] else None
    return found if found is not None and found[1] == numbers[0] else None


def _times(found: tuple[Unit, float] | None, factor: float) -> tuple[Unit, float] | None:
    return None if found is None else (found[0], found[1] * factor)


def _unit_of_quotient(left: Node, right: Node) -> tuple[Unit, float] | None:
    """The mean of a histogram, and the share of hits."""
    above, below = ({one.name for one in side.selectors()} for side in (left, right))
    if len(above) != 1 or len(below) != 1:
        return None
    part, whole = above.pop(), below.pop()
    if part.endswith("_sum") and whole == f"{part[:-4]}_count":
        return _unit_of_metric(part[:-4])
    if part.endswith("_hits_total") and whole == part.replace("_hits_", "_queries_"):
        return ("ratio", 1.0)
    return None


def _unit_of_part(selector: Node) -> tuple[Unit, float] | None:
    if not selector.name.endswith("_bucket"):
        return None
    return _unit_of_metric(selector.name.removesuffix("_bucket"))


def _unit_of_metric(name: str) -> tuple[Unit, float] | None:
    if name in _PERCENT:
        return ("ratio", 100.0)
    if name in _RATIO:
        return ("ratio", 1.0)
    if not name.startswith("vllm:") or name.count(":") > 1:
        return None
    try:
        return (unit_of(name), 1.0)
    except VllmConstructsError:
        return None


def comparisons(node: Node) -> Iterator[tuple[Unit, float, float]]:
    """The numbers that a query compares with: unit and factor of what is compared, and the number.

    Args:
        node: The query.
    """
    for one in node.walk():
        if one.kind == "binary" and one.name in _COMPARISONS:
            for side, other in (one.parts, reversed(one.parts)):
                found = unit(side)
                if found is not None and other.kind == "number" and other.number is not None:
                    yield (*found, other.number)


def _argument(call: Node) -> Node:
    """The argument of a function that is no parameter."""
    is_parameter = ("number", "text")
    return next((part for part in call.parts if part.kind not in is_parameter), Node("text"))
