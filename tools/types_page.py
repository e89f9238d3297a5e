"""Makes the page of the types that options take and that are no public class.

They are unions of classes, texts that are checked, and protocols, which anything fits that has
their attributes. A signature names them; nobody needs to import them.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin

import griffe

MOST = 12
"""Values that are listed where any text is allowed; of more, editors propose the others."""

_HEAD = """\
# Types

Types that signatures name and that are no public class. None needs to be imported.

"""


def resolved(name: str, scope: griffe.Object) -> str | None:
    """The path of what a name means in the module of an object; None if it is not of this package.

    Args:
        name: The name, as an annotation has it.
        scope: Where it is read.
    """
    try:
        path = scope.resolve(name)
    except griffe.NameResolutionError:
        return None
    return path if path.startswith("vllm_constructs.") else None


@cache
def meaning(path: str) -> Any:
    """The object at a path; None where a module has none by that name when it runs."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name, None)
    except ModuleNotFoundError:
        return None


def is_listed(found: object) -> bool:
    """Whether something is a type for this page."""
    if isinstance(found, type):
        return bool(getattr(found, "_is_protocol", False))
    return isinstance(found, str) or get_origin(found) is not None


def nested(path: str) -> Iterator[str]:
    """The paths of the protocols in a union, and its own."""
    yield path
    for one in get_args(meaning(path)):
        if isinstance(one, type) and is_listed(one):
            yield f"{one.__module__}.{one.__name__}"


def types_page(
    paths: Mapping[str, str], pages: Mapping[str, str], docstrings: Mapping[str, str]
) -> str:
    """The page.

    Args:
        paths: By the path of each type, its name.
        pages: The place of each public name.
        docstrings: What the source says of some, by path.
    """
    names = Counter(paths.values())
    places = {name: f"#{path}" for path, name in paths.items() if names[name] == 1} | {**pages}
    parts = [_HEAD]
    for path, name in sorted(paths.items(), key=lambda item: (item[1], item[0])):
        found = meaning(path)
        module = path.rpartition(".")[0].partition(".")[2]
        shown = name if names[name] == 1 else f"{name} ({module})"
        parts.append(f'<a id="{path}"></a>\n\n### {shown}\n\n')
        about = docstrings.get(path) or (isinstance(found, type) and inspect.getdoc(found)) or ""
        if about:
            parts.append(f"{about}\n\n")
        parts.append("\n".join(_lines(found, places)) + "\n\n")
    return "".join(parts).rstrip() + "\n"


def _lines(found: Any, pages: Mapping[str, str]) -> Iterator[str]:
    if isinstance(found, type):
        for name, annotation in _attributes(found):
            yield f"- `{name}`{f': `{annotation}`' if annotation else ''}"
        return
    members = found.split(" | ") if isinstance(found, str) else _members(found)
    values = [one for one in members if not isinstance(one, str)]
    for one in members:
        if isinstance(one, str):
            yield f"- [`{one}`]({pages[one]})" if one in pages else f"- `{one}`"
    shown = [f"`{one[0]!r}`".replace("'", '"') for one in values]
    if len(shown) > MOST and "str" in members:
        yield f"- {', '.join(shown[:3])} and {len(shown) - 3} others, which editors propose"
    elif shown:
        yield f"- {', '.join(shown)}"


def _members(found: Any) -> list[str | tuple[Any]]:
    """The names of types, and values as tuples of one."""
    if get_origin(found) is Literal:
        return [(value,) for value in get_args(found)]
    if get_origin(found) in {Union, UnionType}:
        return [member for one in get_args(found) for member in _members(one)]
    if isinstance(found, type) and get_origin(found) is None:
        return ["None" if found is type(None) else found.__name__]
    # As annotations have it: without modules and quotes.
    return [re.sub(r"\b[a-z_]+(\.[a-z_]+)*\.(?=[A-Z])|'", "", str(found))]


def _attributes(protocol: type) -> Iterator[tuple[str, str]]:
    for base in reversed(protocol.__bases__):
        if is_listed(base) and base is not Protocol:
            yield from _attributes(base)
    for name, annotation in inspect.get_annotations(protocol).items():
        yield name, str(annotation)
    for name, member in vars(protocol).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property) and member.fget is not None:
            yield name, str(member.fget.__annotations__.get("return", ""))
        elif callable(member):
            yield f"{name}()", str(member.__annotations__.get("return", ""))
