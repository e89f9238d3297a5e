"""Makes the reference of a public name as Markdown, from its signature and its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import griffe
from types_page import is_listed, meaning, resolved

import vllm_constructs
from vllm_constructs import PodOptions

ROOT = Path(__file__).parents[1]
MARK = re.compile(
    r"(<!-- reference: ([\w.]+)(?: \(([\w ]*)\))? -->\n).*?(<!-- /reference -->)", re.DOTALL
)
"""The part of a page that is made, with the name and the members to show (default: all)."""
LONGEST = 88
"""Characters of a signature on one line."""
MOST = 60
"""Parameters of a signature; EngineArgs, which has more, has a page for them."""

Pages = Mapping[str, str]
"""Where the reference of each public name is: the page's path and the anchor, from `docs/`."""
TYPES = "types.md"
"""The page of all other types."""


@cache
def _package() -> griffe.Object | griffe.Alias:
    return griffe.load(vllm_constructs.__name__, search_paths=[ROOT])


def _static(path: str) -> griffe.Object:
    found = _package()[path.partition(".")[2]]
    return found.final_target if isinstance(found, griffe.Alias) else found


def types_of(path: str) -> Iterator[str]:
    """The paths of the types in the signatures of a public name that are no public class."""
    thing, static = _runtime(path), _static(path)
    members: list[tuple[Any, griffe.Object]] = [(thing, static)]
    if isinstance(static, griffe.Class):
        members += [
            (getattr(thing, name), one)
            for name, one in static.members.items()
            if isinstance(one, griffe.Function) and _is_documented(one)
        ]
        for one in static.members.values():
            if _is_documented(one) and _is_plain(one):
                yield from _paths(str(getattr(one, "annotation", "")), static).values()
    for member, scope in members:
        for kind in _types_of_parameters(member).values():
            yield from _paths(kind, scope).values()


def _paths(kind: str, scope: griffe.Object) -> dict[str, str]:
    """By each name in an annotation that the page of types has, its path."""
    scopes = (scope, _static(f"{vllm_constructs.__name__}.{PodOptions.__name__}"))
    found = {}
    for name in re.findall(r"\b[A-Z]\w+", kind):
        paths = (resolved(name, one) for one in scopes)
        path = next((one for one in paths if one and is_listed(meaning(one))), None)
        if path is not None:
            found[name] = path
    return found


def docstring(path: str) -> str:
    """What the source says of a type."""
    found = _static(path).docstring
    return found.value if found else ""


def _runtime(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if module == vllm_constructs.__name__:
        return getattr(vllm_constructs, name)
    return getattr(import_module(module), name)


def referenced(text: str, page: str, pages: Pages) -> str:
    """A page with the reference of each name that it marks.

    Args:
        text: The page.
        page: Its path, from `docs/`.
        pages: Where all public names are.
    """
    writer = _Writer(page, pages)

    def make(found: re.Match[str]) -> str:
        members = None if found[3] is None else found[3].split()
        return found[1] + "\n".join(writer.object(found[2], members)) + "\n" + found[4]

    return MARK.sub(make, text)


class _Writer:
    def __init__(self, page: str, pages: Pages) -> None:
        up = "../" * page.count("/")
        self._types = up + TYPES
        self._pages = {
            name: place.removeprefix(page) if place.startswith(f"{page}#") else up + place
            for name, place in pages.items()
        }

    def object(self, path: str, members: Sequence[str] | None) -> Iterator[str]:
        thing, static = _runtime(path), _static(path)
        yield from _heading(3, path, static.name)
        if not isinstance(static, griffe.Class) or not issubclass(thing, dict):
            yield from _signature(static.name, thing)
        yield from self._text(static, _types_of_parameters(thing))
        if isinstance(static, griffe.Class):
            yield from self._members(path, thing, static, members)

    def _members(
        self, path: str, thing: type, static: griffe.Class, members: Sequence[str] | None
    ) -> Iterator[str]:
        listed = [
            one
            for one in static.members.values()
            if _is_documented(one) and (members is None or one.name in members)
        ]
        attributes = [one for one in listed if _is_plain(one)]
        # Those of a dataclass are the parameters.
        shown = [one for one in attributes if one.name not in _types_of_parameters(thing)]
        if shown:
            yield "**Keys**\n" if issubclass(thing, dict) else "**Attributes**\n"
            for one in shown:
                kind = str(getattr(one, "annotation", None) or "")
                kind = re.sub(r"^(Required|ClassVar|Final)\[(.*)\]$", r"\2", kind)
                yield self._item(
                    one.name, kind, one.docstring.value if one.docstring else "", static
                )
            yield ""
        for one in listed:
            if one in attributes:
                continue
            name = f"{static.name}.{one.name}"
            yield from _heading(4, f"{path}.{one.name}", name)
            if one.is_attribute:
                kind = _quoted(str(getattr(one, "annotation", None)))
                yield f"```py\n{name}: {kind}\n```\n"
                yield from self._text(one, {})
            else:
                member = getattr(thing, one.name)
                is_bound = isinstance(
                    inspect.getattr_static(thing, one.name), classmethod | staticmethod
                )
                yield from _signature(name, member, skip_self=not is_bound)
                yield from self._text(one, _types_of_parameters(member))

    def _text(self, static: Any, types: Mapping[str, str]) -> Iterator[str]:
        if static.docstring is None:
            return
        docstring = griffe.Docstring(static.docstring.value, parent=static)
        for section in docstring.parse(griffe.Parser.google, warnings=False):
            if section.kind is griffe.DocstringSectionKind.text:
                yield self._linked(section.value) + "\n"
                continue
            title = section.title or section.kind.value.capitalize()
            yield f"**{title}**\n"
            is_parameters = section.kind is griffe.DocstringSectionKind.parameters
            is_raises = section.kind is griffe.DocstringSectionKind.raises
            for one in section.value:
                name = str(one.annotation) if is_raises else getattr(one, "name", "")
                yield self._item(
                    name,
                    types.get(name, "") if is_parameters else "",
                    one.description,
                    static,
                )
            yield ""

    def _item(self, name: str, kind: str, text: str, scope: griffe.Object) -> str:
        shown = f"**`{name}`**" if name else ""
        if name in self._pages:
            shown = f"[`{name}`]({self._pages[name]})"
        if kind:
            shown += f" ({self._type(kind, scope)})"
        described = self._linked(text).replace("\n\n", "\n  \n").replace("\n", "\n  ")
        return re.sub(
            r"[ \t]+$", "", f"- {shown}{': ' if shown else ''}{described}", flags=re.MULTILINE
        )

    def _type(self, text: str, scope: griffe.Object) -> str:
        others = {name: f"{self._types}#{path}" for name, path in _paths(text, scope).items()}
        places = {**others, **self._pages}
        names = (name for name in re.findall(r"[A-Z]\w+", text) if name in places)
        first = next(names, None)
        return f"`{text}`" if first is None else f"[`{text}`]({places[first]})"

    def _linked(self, text: str) -> str:
        def link(found: re.Match[str]) -> str:
            place = self._pages.get(found[1])
            return f"[`{found[1]}`]({place})" if place else found[0]

        return re.sub(r"(?<![\[`])`([A-Z]\w+)`(?![\]`])", link, text)


def _heading(level: int, path: str, name: str) -> Iterator[str]:
    yield f'<a id="{path}"></a>\n'
    yield f"{'#' * level} {name}\n"


def _is_documented(member: griffe.Object | griffe.Alias) -> bool:
    return not member.name.startswith("_") and member.docstring is not None and not member.is_alias


def _is_plain(member: griffe.Object | griffe.Alias) -> bool:
    return member.is_attribute and "property" not in member.labels


def _annotation(annotation: object) -> str:
    if isinstance(annotation, str):
        return annotation
    return "None" if annotation in (None, type(None)) else inspect.formatannotation(annotation)


def _types_of_parameters(thing: Any) -> dict[str, str]:
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        one.name: _annotation(one.annotation)
        for one in parameters
        if one.annotation is not one.empty
    }


def _is_of_pod(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is an option of PodOptions, which are not deferred as others are."""
    is_evaluated = not isinstance(parameter.annotation, str)
    return is_evaluated and parameter.name in PodOptions.__annotations__


def _signature(name: str, thing: Any, *, skip_self: bool = False) -> Iterator[str]:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return
    found = [one for one in signature.parameters.values() if not (skip_self and one.name == "self")]
    own = [one for one in found if not _is_of_pod(one)]
    if len(own) > MOST:
        return
    texts: list[str] = []
    is_keyword_only = False
    for one in own:
        if one.kind is one.KEYWORD_ONLY and not is_keyword_only:
            is_keyword_only = True
            if not any(other.kind is other.VAR_POSITIONAL for other in own):
                texts.append("*")
        star = "*" if one.kind is one.VAR_POSITIONAL else ""
        star = "**" if one.kind is one.VAR_KEYWORD else star
        kind = "" if one.annotation is one.empty else f": {_annotation(one.annotation)}"
        default = "" if one.default is one.empty else f" = {_default(one.default)}"
        texts.append(f"{star}{one.name}{kind}{default}")
    if len(own) < len(found):
        texts.append(f"**pod: Unpack[{PodOptions.__name__}]")
    result = signature.return_annotation
    arrow = ""
    if not isinstance(thing, type) and result is not signature.empty:
        arrow = f" -> {_annotation(result)}"
    line = f"{name}({', '.join(texts)}){arrow}"
    if len(line) > LONGEST:
        line = f"{name}(\n" + "".join(f"    {text},\n" for text in texts) + f"){arrow}"
    yield f"```py\n{_quoted(line)}\n```\n"


def _quoted(code: str) -> str:
    """Code with the quotes of this repository."""
    return re.sub(r"'([^'\"]*)'", r'"\1"', code)


def _default(value: object) -> str:
    text = repr(value)
    return "..." if text.startswith("<") else text
