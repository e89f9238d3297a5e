"""Walking an object by its types, and the rules that hang on a type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Node(NamedTuple):
    """A value inside a manifest, with its type, its place and what it lies in."""

    type: str
    value: Any
    path: str
    parents: tuple[Node, ...]

    def at(self, *steps: str | int) -> str:
        """Return the path of a field below this one."""
        text = self.path
        for step in steps:
            text += f"[{step}]" if isinstance(step, int) else f".{step}"
        return text.lstrip(".")

    def say(self, problems: Iterable[str], *steps: str | int) -> Iterator[str]:
        """Put the path of a field before each problem."""
        return (f"{self.at(*steps)}: {problem}" for problem in problems)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of this value."""
        return self.value.get(name, default)

    def items(self, name: str) -> list[tuple[int, Any]]:
        """Return a field that is a list, numbered."""
        return list(enumerate(self.value.get(name, ())))

    def inside(self, *types: str) -> Node | None:
        """Return the nearest enclosing value of one of these types."""
        return next((one for one in reversed(self.parents) if one.type in types), None)


Rule = Callable[[Node], Iterator[str]]
_RULES: dict[str, list[Rule]] = {}


def rule(*types: str) -> Callable[[Rule], Rule]:
    """Hang a rule on the types whose last word is given."""

    def register(function: Rule) -> Rule:
        for name in types:
            _RULES.setdefault(name, []).append(function)
        return function

    return register


def nodes(
    value: Any,
    schema: dict[str, Any],
    path: str = "",
    parents: tuple[Node, ...] = (),
) -> Iterator[Node]:
    """Yield every value whose type has a name, outermost first."""
    name = schema.get("x-definition", "").rpartition(".")[2]
    if name:
        here = Node(name, value, path, parents)
        yield here
        parents = (*parents, here)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from nodes(item, schema.get("items", {}), f"{path}[{index}]", parents)
    elif isinstance(value, dict):
        fields = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        other = rest if isinstance(rest, dict) else {}
        for key, item in value.items():
            yield from nodes(item, fields.get(key, other), f"{path}.{key}", parents)


def rule_problems(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield what the rules say about a value and everything below it."""
    for node in nodes(value, schema, path):
        for check in _RULES.get(node.type, ()):
            yield from check(node)
