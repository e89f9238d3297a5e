"""PromQL: a query as a small tree, as far as it can be parsed.

The grammar is that of the library promql-parser, which is loaded when there is a query to parse.
Other dialects, such as MetricsQL, and templates are not parsed; `names` finds their series.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from types import ModuleType

NodeKind: TypeAlias = Literal["aggregate", "binary", "call", "number", "selector", "text"]
MatchOperator: TypeAlias = Literal["=", "!=", "=~", "!~"]
Matcher: TypeAlias = "tuple[str, MatchOperator, str]"
"""Label, operator and value."""

_OPERATORS: dict[str, MatchOperator] = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}
# The parser copies what an expression has inside: deep ones would take minutes.
_LONGEST = 4000
_DEEPEST = 60
_LONGEST_PATTERN = 500
# A repetition of what repeats, such as `(a+)+`, for which Prometheus has another matcher.
_REPEATED = re.compile(r"[+*}][^()]*\)[+*{]")
# Grafana replaces its variables before Prometheus sees the query.
_GRAFANA_RANGE = re.compile(r"\[\s*(?:\$|\[\[)[^\]]*?\]{0,2}(:[^\]]*)?\]")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*", re.DOTALL)
_WORD = re.compile(r"(?<![\w:.$])[A-Za-z_:][\w:]*", re.ASCII)


class Node:
    """A part of a query; parentheses, ranges, offsets and subqueries are left out.

    Attributes:
        kind: What it is.
        name: The operator, function, or the metric of a selector; empty if that has none.
        parts: The expressions inside, left to right.
        labels: The labels of a `by` or `without` clause; None without one.
        is_without: Whether the clause is `without`.
        matchers: The label matchers of a selector; one of `__name__` if that is a pattern.
        number: The value of a number, or the parameter of an aggregation; None for others.
        is_bool: Whether a comparison returns 0 or 1.
        is_matched: Whether an operator has an `on`, `ignoring` or `group` clause.
        has_alternative: Whether it stands at a side of an `or`.
    """

    def __init__(self, kind: NodeKind, name: str = "", parts: tuple[Node, ...] = ()) -> None:
        """Make a part.

        Args:
            kind: What it is.
            name: The operator, function or metric. Default: none.
            parts: The expressions inside. Default: none.
        """
        self.kind: NodeKind = kind
        self.name = name
        self.parts = parts
        self.labels: tuple[str, ...] | None = None
        self.is_without = False
        self.matchers: tuple[Matcher, ...] = ()
        self.number: float | None = None
        self.is_bool = False
        self.is_matched = False
        self.has_alternative = False

    def walk(self) -> Iterator[Node]:
        """The part itself and all that are inside of it, left to right."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def selectors(self) -> list[Node]:
        """The selectors in it, left to right."""
        return [node for node in self.walk() if node.kind == "selector"]

    def equal(self, label: str) -> str | None:
        """The value that a selector asks of a label; None if it does not, or not by equality."""
        return next(
            (value for name, how, value in self.matchers if (name, how) == (label, "=")), None
        )

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


@lru_cache(maxsize=16_384)
def read(query: str) -> Node | None:
    """A query as a tree; None if it is not PromQL that can be parsed.

    Args:
        query: The query.
    """
    text = _GRAFANA_RANGE.sub(lambda found: f"[5m{found[1] or ''}]", query)
    if len(text) > _LONGEST or _depth(text) > _DEEPEST:
        return None
    parser = _parser()
    try:
        return _Reader(parser).node(parser.parse(text))
    except (RecursionError, ValueError):
        return None


def names(query: str) -> list[str]:
    """What may be the names of series in a query that is not parsed, each once.

    Words in quotes and comments are left out; functions and labels are not.

    Args:
        query: The query.
    """
    return list(dict.fromkeys(_WORD.findall(_QUOTED.sub(" ", query))))


def is_pattern(pattern: str) -> bool:
    """Whether Python can read a regular expression, and match it without going back for ever.

    Args:
        pattern: The expression.
    """
    if len(pattern) > _LONGEST_PATTERN or _REPEATED.search(pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a regular expression matches as a whole; none if it cannot be read.

    Args:
        pattern: The expression.
        names: The names.
    """
    if not is_pattern(pattern):
        return []
    return [name for name in names if re.fullmatch(pattern, name)]


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest


@cache
def _parser() -> ModuleType:
    import promql_parser

    return promql_parser


class _Reader:
    """Makes a tree of what the parser returns."""

    def __init__(self, parser: ModuleType) -> None:
        self._parser = parser
        self._made: dict[str, Callable[..., Node]] = {
            "AggregateExpr": self._aggregate,
            "BinaryExpr": self._binary,
            "Call": self._call,
            "UnaryExpr": self._unary,
        }

    def node(self, source: Any, depth: int = 0, *, has_alternative: bool = False) -> Node:
        if depth > 2 * _DEEPEST:
            message = "too deep"
            raise ValueError(message)
        parser = self._parser
        while isinstance(source, parser.ParenExpr | parser.SubqueryExpr):
            source = source.expr
        made = self._made.get(type(source).__name__)
        if made is not None:
            return made(source, depth + 1, has_alternative=has_alternative)
        if isinstance(source, parser.VectorSelector | parser.MatrixSelector):
            node = _selector(getattr(source, "vector_selector", source))
            node.has_alternative = has_alternative
            return node
        node = Node("number" if isinstance(source, parser.NumberLiteral) else "text")
        node.number = float(source.val) if node.kind == "number" else None
        return node

    def _aggregate(self, source: Any, depth: int, *, has_alternative: bool) -> Node:
        node = Node(
            "aggregate",
            str(source.op),
            (self.node(source.expr, depth, has_alternative=has_alternative),),
        )
        if source.param is not None:
            node.number = self.node(source.param, depth).number
        if source.modifier is not None:
            node.labels = tuple(map(str, source.modifier.labels))
            node.is_without = source.modifier.type != self._parser.AggModifierType.By
        return node

    def _binary(self, source: Any, depth: int, *, has_alternative: bool) -> Node:
        operator = str(source.op)
        either = has_alternative or operator == "or"
        sides = tuple(
            self.node(one, depth, has_alternative=either) for one in (source.lhs, source.rhs)
        )
        node = Node("binary", operator, sides)
        modifier = source.modifier
        if modifier is not None:
            node.is_bool = bool(modifier.return_bool)
            node.is_matched = modifier.matching is not None or bool(modifier.group_labels)
        return node

    def _call(self, source: Any, depth: int, *, has_alternative: bool) -> Node:
        parts = tuple(self.node(one, depth, has_alternative=has_alternative) for one in source.args)
        return Node("call", source.func.name, parts)

    def _unary(self, source: Any, depth: int, *, has_alternative: bool) -> Node:
        negated = self.node(source.expr, depth, has_alternative=has_alternative)
        if negated.number is None:
            return Node("call", "-", (negated,))
        node = Node("number")
        node.number = -negated.number
        return node


def _selector(source: Any) -> Node:
    # Groups that MetricsQL joins by `or` are left out: none of them holds for sure.
    matchers: list[Matcher] = [
        (str(one.name), _OPERATORS[str(one.op)], str(one.value)) for one in source.matchers.matchers
    ]
    named = next((value for name, how, value in matchers if (name, how) == ("__name__", "=")), "")
    node = Node("selector", source.name or named)
    node.matchers = tuple(one for one in matchers if one[:2] != ("__name__", "="))
    return node
