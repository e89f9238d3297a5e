"""YAML with bounds: on how deep it is nested, and on what its aliases and merges expand to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from vllm_constructs.dataclass import dataclass

# Values of one document with its aliases written out.
_MOST_VALUES = 2_000_000
# Values in values. Parsers and rules call themselves for each, and libyaml's ends the process
# when its stack is full; the deepest schemas of CRDs have 60.
_MOST_NESTED = 200
_BRACKETS = re.compile(r"[][{}]")
# A line of a block that deep has as many signs before its text, at two values a column.
_INDENTED = re.compile(rf"^[ ?:-]{{{_MOST_NESTED // 2}}}", re.MULTILINE)


def loader() -> Any:
    """The parser of libyaml, which is ten times as fast as the one in Python."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document of a text.

    Args:
        value: Its value.
        text: Its own text, from the beginning of a line.
        first: How many lines are before it.
        may_repeat: Whether a mapping may have a key twice: one has, or merges have its keys, too.
    """

    value: Any
    text: str
    first: int
    may_repeat: bool


@cache
def _counting(kind: Any) -> Any:
    """A parser that tells whether a mapping has fewer values than keys."""

    class Counting(kind):  # type: ignore[misc]  # the parser is chosen as it runs
        may_repeat = False

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - the base's
            value = super().construct_mapping(node, deep)
            if len(value) < len(node.value):
                self.may_repeat = True
            return value

    return Counting


def documents(text: str, kind: Any = None) -> Iterator[Document]:
    """The documents of a text.

    Args:
        text: YAML.
        kind: The parser. Default: libyaml's.

    Raises:
        YAMLError: It is no YAML.
        ValueError: It has values that cannot be, or is beyond the bounds.
        RecursionError: It is nested too deep for the parser in Python.
    """
    check_nesting(text)
    reader = _counting(kind or loader())(text)
    try:
        while reader.check_node():
            node = reader.get_node()
            start, end = node.start_mark, node.end_mark
            first = text.rfind("\n", 0, start.index) + 1
            part = text[first : end.index]
            has_aliases = "*" in part and "&" in part
            if has_aliases and "<<" in part:
                _check_merges(node)
            reader.may_repeat = False
            value = reader.construct_document(node)
            if has_aliases:
                _check_aliases(value)
            yield Document(value=value, text=part, first=start.line, may_repeat=reader.may_repeat)
    finally:
        reader.dispose()


def parsed(text: str) -> object:
    """The only document of a text that is in a manifest; None if it cannot be read.

    Args:
        text: YAML.
    """
    import yaml

    try:
        found = [one.value for one in documents(text)]
    except (ValueError, RecursionError, yaml.YAMLError):
        return None
    return found[0] if len(found) == 1 else None


def check_nesting(text: str) -> None:
    """Reject a text that is nested deeper than any object.

    Args:
        text: YAML or JSON.

    Raises:
        YAMLError: It is no YAML.
        ValueError: It is nested too deep.
    """
    if _INDENTED.search(text) is None and _depth(text) <= _MOST_NESTED:
        return
    import yaml

    depth = 0
    # Brackets and signs may be parts of texts; events are counted without calls in calls.
    for event in yaml.parse(text, Loader=getattr(yaml, "CLoader", yaml.Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MOST_NESTED:
            message = f"it is nested more than {_MOST_NESTED} deep"
            raise ValueError(message)


def _depth(text: str) -> int:
    """How many brackets are open at most."""
    if text.count("[") + text.count("{") <= _MOST_NESTED:
        return 0
    depth = most = 0
    for one in _BRACKETS.finditer(text):
        depth += 1 if one[0] in "[{" else -1
        most = max(most, depth)
    return most


def _check_merges(root: Any) -> None:
    """Reject a document whose merges, which are written out as it is read, make too much."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        """The keys of a mapping, those that are merged into it included."""
        if node.id != "mapping":
            return sum(map(size, node.value)) if node.id == "sequence" else 0
        if id(node) not in sizes:
            # An anchor in itself has no end.
            sizes[id(node)] = _MOST_VALUES
            merged = [one for key, one in node.value if key.value == "<<"]
            sizes[id(node)] = len(node.value) + sum(map(size, merged))
        return sizes[id(node)]

    seen: set[int] = set()
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if id(node) in seen or node.id == "scalar":
            continue
        seen.add(id(node))
        if node.id == "sequence":
            nodes += node.value
            continue
        if size(node) > _MOST_VALUES:
            message = f"its merges make more than {_MOST_VALUES} values"
            raise ValueError(message)
        nodes += [one for pair in node.value for one in pair]


def _check_aliases(value: object) -> None:
    """Reject a document whose aliases expand to more than a cluster would take."""
    sizes: dict[int, int] = {}

    def size(item: object) -> int:
        if not isinstance(item, (dict, list)):
            return 1
        if id(item) not in sizes:
            # An anchor in itself has no end.
            sizes[id(item)] = _MOST_VALUES
            inner = item.values() if isinstance(item, dict) else item
            sizes[id(item)] = 1 + sum(map(size, inner))
        return sizes[id(item)]

    if size(value) > _MOST_VALUES:
        message = f"its aliases expand to more than {_MOST_VALUES} values"
        raise ValueError(message)
