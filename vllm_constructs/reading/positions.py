"""Positions of fields in the text of a document, from the marks of its YAML parser.

A document is parsed a second time only when somebody asks for a position in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm_constructs.dataclass import dataclass

from . import bounded_yaml

if TYPE_CHECKING:
    import yaml


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in a file.

    Args:
        line: Its line, from 1.
        column: Its column, from 1.
        end_line: The line of its end.
        end_column: The column behind its end.
    """

    line: int
    column: int
    end_line: int
    end_column: int


class Text:
    """The text of one document."""

    __slots__ = ("_root", "first", "text")

    def __init__(self, text: str, first: int) -> None:
        """Keep the text.

        Args:
            text: The document, from the beginning of a line.
            first: How many lines of its file are before it.
        """
        self.text = text
        self.first = first
        self._root: Any = None

    def position(self, path: tuple[str | int, ...]) -> Position | None:
        """The position of a field: of its key in a mapping, else of its value.

        Args:
            path: Keys and indices that lead to it; where they end early, the last one counts.
        """
        root = self.root()
        if root is None:
            return None
        node = key = root
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            key, node = found
        start, end = key.start_mark, node.end_mark
        end_column = end.column
        if end.line > start.line:
            # A mapping or list ends where the next thing begins: its first line is enough.
            is_key = key.end_mark.line == start.line
            end_column = key.end_mark.column if is_key else self._width(start.line)
        return Position(
            line=self.first + start.line + 1,
            column=start.column + 1,
            end_line=self.first + start.line + 1,
            end_column=max(end_column, start.column + 1) + 1,
        )

    def lines(self, path: tuple[str | int, ...]) -> range:
        """The numbers of all lines of a field; none if the document lacks it.

        Args:
            path: Keys and indices that lead to it.
        """
        found = self.node(path)
        if found is None:
            return range(0)
        key, node = found
        end = node.end_mark.line + (node.end_mark.column > 0)
        first = self.first + key.start_mark.line + 1
        return range(first, max(first + 1, self.first + end + 1))

    def _width(self, line: int) -> int:
        """Characters of a line without blanks at its end."""
        lines = self.text.split("\n")
        return len(lines[line].rstrip()) if line < len(lines) else 0

    def node(self, path: tuple[str | int, ...]) -> tuple[yaml.Node, yaml.Node] | None:
        """The nodes of a field's key and value; None if the document lacks the field.

        Args:
            path: Keys and indices that lead to it.
        """
        node = key = self.root()
        for step in path:
            found = None if node is None else _child(node, step)
            if found is None:
                return None
            key, node = found
        return None if node is None or key is None else (key, node)

    def root(self) -> yaml.Node | None:
        """The parsed document; None if it cannot be parsed as YAML."""
        if self._root is None:
            import yaml

            self._root = False
            # The parser in Python takes more, such as surrogate pairs.
            for loader in (bounded_yaml.loader(), yaml.SafeLoader):
                try:
                    bounded_yaml.check_nesting(self.text)
                    self._root = yaml.compose(self.text, Loader=loader) or False
                    break
                except (yaml.YAMLError, ValueError, RecursionError):
                    continue
        return self._root or None


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The nodes of a key and its value, or of an item."""
    import yaml

    if isinstance(node, yaml.SequenceNode):
        if isinstance(step, int) and 0 <= step < len(node.value):
            item = node.value[step]
            return item, item
        return None
    if not isinstance(node, yaml.MappingNode):
        return None
    merged = None
    # Of a key that is there twice, the last one counts.
    for key, value in reversed(node.value):
        if key.value == str(step):
            return key, value
        if key.tag == "tag:yaml.org,2002:merge":
            merged = value
    for one in merged.value if isinstance(merged, yaml.SequenceNode) else [merged]:
        found = None if one is None else _child(one, step)
        if found is not None:
            return found
    return None
