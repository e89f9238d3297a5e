"""Keys that are in their mapping again, of which a parser keeps the last one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vllm_constructs.dataclass import dataclass

from .manifest import Path
from .positions import Text

if TYPE_CHECKING:
    import yaml

_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """A key that is in its mapping again.

    Args:
        path: The fields that lead to it.
        lines: The lines of the file where it is, the one that counts last.
        is_lost: Whether an earlier one has another value, which is lost.
    """

    path: Path
    lines: tuple[int, ...]
    is_lost: bool

    @property
    def where(self) -> str:
        """Its lines in words: `lines 3 and 5`, or the one that has all of them."""
        *earlier, last = map(str, self.lines)
        return f"line {last}" if last in earlier else f"lines {', '.join(earlier)} and {last}"


def repeated_keys(text: Text) -> Iterator[Repeated]:
    """The keys of a document that are in their mapping again, in the order of the text.

    Keys that a merge brings are no repetition: those of the mapping itself replace them.

    Args:
        text: The document.
    """
    import yaml

    seen: set[int] = set()
    root = text.root()
    waiting: list[tuple[Path, yaml.Node]] = [] if root is None else [((), root)]
    while waiting:
        path, node = waiting.pop()
        # An anchor may be in many places.
        if id(node) in seen:
            continue
        seen.add(id(node))
        inner: list[tuple[Path, yaml.Node]] = []
        if isinstance(node, yaml.SequenceNode):
            inner = [((*path, i), one) for i, one in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            pairs: dict[str, list[tuple[yaml.Node, yaml.Node]]] = {}
            for key, value in node.value:
                # No field of an object has another kind of key.
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    pairs.setdefault(key.value, []).append((key, value))
                    inner.append(((*path, key.value), value))
            for name, given in pairs.items():
                if len(given) > 1:
                    lines = [text.first + key.start_mark.line + 1 for key, _ in given]
                    *earlier, last = (value for _, value in given)
                    is_lost = any(_value(one) != _value(last) for one in earlier)
                    yield Repeated(path=(*path, name), lines=tuple(lines), is_lost=is_lost)
        waiting += reversed(inner)


def _value(node: yaml.Node) -> object:
    """What a node means, however it is written; the node itself where that is nothing."""
    import yaml

    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except (ValueError, RecursionError, yaml.YAMLError):
        return node
