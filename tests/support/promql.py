"""What a PromQL query selects, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass

import promql_parser as prom

# By their text: the members of this enumeration can not be hashed.
_OPERATORS = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.NotRe": "!~",
    "MatchOp.Re": "=~",
}
_ONE_SERIES = frozenset({"scalar", "vector", "time"})
# These name the series that they keep, so they never bring many down to one.
_KEEPING = frozenset({"topk", "bottomk", "limitk", "limit_ratio", "count_values"})


@dataclass(frozen=True, kw_only=True)
class Selector:
    """A metric with its label matchers.

    Attributes:
        metric: The name of the metric; empty where the query has none.
        matchers: Label name to operator and value, such as `("=", "qwen-7b")`.
    """

    metric: str
    matchers: dict[str, tuple[str, str]]

    def is_scoped(self, **labels: str) -> bool:
        """Tell whether all these labels are matched by equality with these values."""
        return all(self.matchers.get(name) == ("=", value) for name, value in labels.items())


@dataclass(frozen=True, kw_only=True)
class Query:
    """A parsed query.

    Attributes:
        text: The query, on one line and with its labels sorted.
        selectors: Every selector, left to right.
        aggregation: The outermost operator, such as `sum`; None where the outermost expression is
            not an aggregation.
        by: The labels of its `by` clause; None without one.
        without: The labels of its `without` clause; None without one.
        functions: The functions that are called, outermost first.
        is_one_series: Whether it can never give more than one series.
    """

    text: str
    selectors: tuple[Selector, ...]
    aggregation: str | None
    by: tuple[str, ...] | None
    without: tuple[str, ...] | None
    functions: tuple[str, ...]
    is_one_series: bool

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric names, in order and without repetition."""
        return tuple(dict.fromkeys(one.metric for one in self.selectors))


def parse(query: str) -> Query:
    """Parse a query.

    Args:
        query: PromQL.

    Returns:
        What tests ask about it.

    Raises:
        ValueError: If it is not PromQL.
    """
    tree = prom.parse(query)
    selectors: list[Selector] = []
    functions: list[str] = []

    def visit(node: prom.Expr) -> None:
        if isinstance(node, prom.VectorSelector):
            selectors.append(_selector(node))
        elif isinstance(node, prom.Call):
            functions.append(node.func.name)

    prom.walk(tree, visit)
    outer = _unwrapped(tree)
    aggregation, by, without = None, None, None
    if isinstance(outer, prom.AggregateExpr):
        aggregation = str(outer.op)
        if outer.modifier is not None:
            labels = tuple(outer.modifier.labels)
            is_by = outer.modifier.type == prom.AggModifierType.By
            by, without = (labels, None) if is_by else (None, labels)
    return Query(
        text=" ".join(tree.prettify().split()),
        selectors=tuple(selectors),
        aggregation=aggregation,
        by=by,
        without=without,
        functions=tuple(functions),
        is_one_series=_is_one_series(tree),
    )


def _unwrapped(node: prom.Expr) -> prom.Expr:
    while isinstance(node, prom.ParenExpr):
        node = node.expr
    return node


def _selector(node: prom.VectorSelector) -> Selector:
    if node.matchers.or_matchers:
        raise ValueError(f"{node} joins its matchers by or, which Prometheus does not know")
    matchers = {one.name: (_OPERATORS[str(one.op)], one.value) for one in node.matchers.matchers}
    if len(matchers) != len(node.matchers.matchers):
        raise ValueError(f"{node} matches a label twice")
    _, named = matchers.pop("__name__", ("=", ""))
    return Selector(metric=node.name or named, matchers=matchers)


def _is_one_series(node: prom.Expr) -> bool:
    node = _unwrapped(node)
    if isinstance(node, prom.AggregateExpr):
        return _is_one_aggregate(node)
    if isinstance(node, prom.Call):
        return _is_one_result(node)
    if isinstance(node, prom.BinaryExpr):
        return _is_one_series(node.lhs) and _is_one_series(node.rhs)
    if isinstance(node, prom.UnaryExpr | prom.SubqueryExpr):
        return _is_one_series(node.expr)
    return isinstance(node, prom.NumberLiteral | prom.StringLiteral)


def _is_one_aggregate(node: prom.AggregateExpr) -> bool:
    if str(node.op) in _KEEPING:
        return _is_one_series(node.expr)
    if node.modifier is None:
        return True
    return node.modifier.type == prom.AggModifierType.By and not node.modifier.labels


def _is_one_result(node: prom.Call) -> bool:
    if node.func.name in _ONE_SERIES:
        return True
    if node.func.name == "histogram_quantile":
        return _folds_to_buckets(node.args[1])
    return bool(node.args) and all(_is_one_series(one) for one in node.args)


def _folds_to_buckets(node: prom.Expr) -> bool:
    node = _unwrapped(node)
    return (
        isinstance(node, prom.AggregateExpr)
        and node.modifier is not None
        and node.modifier.type == prom.AggModifierType.By
        and list(node.modifier.labels) == ["le"]
    )
