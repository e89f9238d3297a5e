"""Edits: changes of single fields in the text of a document, all else left as it is written.

A change is kept only if the document then says what it should, comments and order aside; where a
document is written in a way that cannot be edited so, there is no result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .manifest import Path
from .positions import Text

if TYPE_CHECKING:
    import yaml


class Removed:
    """Stands for a field that an edit removes."""


def edited(text: Text, edits: Sequence[tuple[Path, Any]]) -> Text | None:
    """A document with changed fields; None if it cannot be edited.

    Args:
        text: The document.
        edits: Paths of fields and their new values; `Removed` removes a field.
    """
    import yaml

    for path, value in edits:
        before = _load(text.text)
        after = changed(before, path, value)
        made = None if after is None else _with_edit(text, path, value)
        try:
            is_right = made is not None and _load(made) == after
        except yaml.YAMLError:
            is_right = False
        if made is None or not is_right:
            return None
        text = Text(made, text.first)
    return text


def changed(document: object, path: Path, value: object) -> Any:
    """A copy of a document with a changed field; None if its place is not there.

    Args:
        document: The document.
        path: The fields that lead to it; mappings on the way that are missing are added.
        value: Its new value; `Removed` removes it.
    """
    # Not `deepcopy`, which keeps what an alias shares.
    copy = _copy(document)
    place: Any = copy
    *steps, last = path
    for step in steps:
        if isinstance(place, dict) and isinstance(step, str):
            if place.get(step) is None:
                place[step] = {}
            place = place[step]
        elif isinstance(place, list) and isinstance(step, int) and step < len(place):
            place = place[step]
        else:
            return None
    if isinstance(place, dict) and isinstance(last, str):
        if value is not Removed:
            place[last] = value
        elif place.pop(last, None) is None:
            return None
        return copy
    if isinstance(place, list) and isinstance(last, int) and last <= len(place):
        if value is Removed:
            del place[last : last + 1]
        else:
            place[last : last + 1] = [value]
        return copy
    return None


def _copy(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _load(text: str) -> Any:
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # it is safe


def _with_edit(text: Text, path: Path, value: object) -> str | None:
    found, parent = text.node(path), text.node(path[:-1])
    if found is None or parent is None:
        return None if value is Removed else _with_field(text, path, value)
    key, node = found
    if value is Removed:
        return _without(text.text, parent[1], key, node)
    return _replaced(text.text, node, value, indent=key.start_mark.column)


def _with_field(text: Text, path: Path, value: object) -> str | None:
    """The text with a field that it lacks: the nearest mapping gets the rest of the path."""
    import yaml

    depth, place = len(path) - 1, None
    while place is None and depth >= 0:
        found = text.node(path[:depth])
        place = None if found is None else found[1]
        depth -= place is None
    step, *rest = path[depth:]
    if place is None or not all(isinstance(one, str) for one in rest):
        return None
    for one in reversed(rest):
        value = {one: value}
    if isinstance(place, yaml.MappingNode):
        return _added(text.text, place, str(step), value)
    if isinstance(place, yaml.SequenceNode) and step == len(place.value):
        return _appended(text.text, place, value)
    return None


def _is_block(node: yaml.Node) -> bool:
    return getattr(node, "flow_style", None) is False


def _end(text: str, node: yaml.Node) -> int:
    """The index behind a node, without the comments and blank lines that follow a block."""
    import yaml

    if isinstance(node, yaml.CollectionNode) and _is_block(node) and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    end = int(node.end_mark.index)
    if getattr(node, "style", None) in ("|", ">"):
        return len(text[:end].rstrip())
    return end


def _replaced(text: str, node: yaml.Node, value: object, indent: int) -> str:
    start, end = node.start_mark.index, _end(text, node)
    if isinstance(value, (dict, list)) and not _is_flow(node):
        inner = indent + (2 if isinstance(value, dict) else 0)
        before = text[:start].rstrip(" \n")
        return f"{before}\n{_block(value, inner)}{text[end:]}"
    if _is_block(node):
        # Its lines begin below the key.
        return f"{text[:start].rstrip()} {_flow(value, text)}{text[end:]}"
    return text[:start] + _flow(value, text) + text[end:]


def _is_flow(node: yaml.Node) -> bool:
    return getattr(node, "flow_style", None) is True


def _without(text: str, parent: yaml.Node, key: yaml.Node, node: yaml.Node) -> str | None:
    if not _is_block(parent) or len(parent.value) < 2:
        return None
    start, end = key.start_mark.index, _end(text, node)
    first = text.rfind("\n", 0, start) + 1
    if text[first:start].strip(" -"):
        return None
    last = text.find("\n", end)
    last = len(text) if last < 0 else last + 1
    dash, rest = text[first:start], text[last:]
    is_first = isinstance(parent.value[0], tuple) and parent.value[0][0] is key
    # Where the key begins an item of a list, the next key does so instead.
    return text[:first] + (dash + rest.lstrip(" ") if "-" in dash and is_first else rest)


def _added(text: str, parent: yaml.Node, key: str, value: object) -> str | None:
    if not _is_block(parent) or not parent.value:
        end = parent.end_mark.index
        if text[end - 1 : end] != "}":
            return None
        comma = ", " if parent.value else ""
        return f"{text[: end - 1]}{comma}{_flow(key, text)}: {_flow(value, text)}{text[end - 1 :]}"
    column = parent.value[0][0].start_mark.column
    return _behind(text, parent, _block({key: value}, column))


def _appended(text: str, parent: yaml.Node, value: object) -> str | None:
    if not _is_block(parent) or not parent.value:
        end = parent.end_mark.index
        if text[end - 1 : end] != "]":
            return None
        comma = ", " if parent.value else ""
        return f"{text[: end - 1]}{comma}{_flow(value, text)}{text[end - 1 :]}"
    return _behind(text, parent, _block([value], parent.start_mark.column))


def _behind(text: str, node: yaml.Node, block: str) -> str:
    """The text with lines behind a block, before the comments that follow it."""
    end = _end(text, node)
    line = text.find("\n", end)
    if line < 0:
        return f"{text}\n{block}"
    return f"{text[:line]}\n{block}{text[line:]}"


def _flow(value: object, text: str) -> str:
    """A value in one line, in JSON where the document is JSON."""
    import yaml

    if isinstance(value, (dict, list)) or text.lstrip().startswith(("{", "[")):
        return json.dumps(value, ensure_ascii=False)
    dumped: str = yaml.safe_dump(value, width=float("inf"), allow_unicode=True)
    return dumped.removesuffix("\n").removesuffix("\n...")


def _block(value: object, indent: int) -> str:
    """A value in lines of its own, without the last line break."""
    import yaml

    dumped: str = yaml.safe_dump(
        value, default_flow_style=False, sort_keys=False, width=float("inf"), allow_unicode=True
    )
    return "\n".join(" " * indent + line if line else line for line in dumped.splitlines())
