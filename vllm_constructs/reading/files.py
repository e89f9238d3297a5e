"""Files of manifests, in YAML or JSON, and where in them each object is.

Memory is bounded: a file has a greatest size, and what its aliases expand to is counted before
anybody walks through it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse

from . import bounded_yaml
from .collector import without_gc
from .fields import items
from .positions import Position, Text

FieldPath: TypeAlias = "tuple[str | int, ...]"

_SUFFIXES = (".yaml", ".yml", ".json")
# Lists in lists; an anchor of YAML can be in itself.
_DEEPEST = 8
LARGEST = 256 * 2**20
"""Bytes of the largest file that is read; the largest CRDs have 4 MB."""
_NOT_JSON = object()


class Origin:
    """Where an object is: its file, its document and the fields in that which lead to it."""

    __slots__ = ("file", "fields", "text")  # noqa: RUF023  # in the order of the arguments

    def __init__(self, file: str, text: Text | None, fields: FieldPath) -> None:
        """Keep the place.

        Args:
            file: The file, as its user named it.
            text: The text of the document; None if it has no positions.
            fields: The fields that lead to the object in a list; none for a document of its own.
        """
        self.file = file
        self.text = text
        self.fields = fields

    def position(self, path: FieldPath) -> Position | None:
        """Line and column of a field of the object, or of the nearest one that is there.

        Args:
            path: The fields that lead to it.
        """
        return None if self.text is None else self.text.position((*self.fields, *path))

    def lines(self, path: FieldPath) -> range:
        """The numbers of all lines of a field, those of its value included.

        Args:
            path: The fields that lead to it.
        """
        return range(0) if self.text is None else self.text.lines((*self.fields, *path))


@dataclass(frozen=True, kw_only=True)
class Manifests:
    """What is in files of manifests.

    Args:
        objects: The objects, in the order of the files' names.
        origins: Where each of them is.
        unread: Which files cannot be read, at which line, and why.
    """

    objects: list[dict[str, Any]]
    origins: list[Origin]
    unread: tuple[Problem, ...] = ()


def read(path: Path) -> Manifests:
    """All objects in a file or folder; files of a folder that cannot be read are left out.

    Args:
        path: A file, or a folder with files that end in .yaml, .yml or .json.

    Raises:
        VllmConstructsError: The file cannot be read, or none of the folder.
    """
    if path.is_dir():
        files = sorted(
            file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file()
        )
    else:
        files = [path]
    if not files:
        refuse(
            f"the folder {str(path)!r} has no YAML or JSON files; give the folder that the app "
            "writes."
        )
    found = _Found()
    with without_gc():
        for file in files:
            found.add_file(file)
    if found.unread and not found.objects:
        refuse(found.unread[0])
    return found.manifests()


def read_text(text: str, name: str) -> Manifests:
    """All objects in a text.

    Args:
        text: YAML or JSON.
        name: What it is called, such as `<stdin>`.
    """
    found = _Found()
    if len(text) > LARGEST:
        found.unread.append(_too_large(name))
    else:
        with without_gc():
            found.add(name, text, is_json=False)
    return found.manifests()


def read_stdin() -> Manifests:
    """All objects of the standard input.

    Raises:
        VllmConstructsError: It is not text in UTF-8.
    """
    import sys

    content = sys.stdin.buffer.read(LARGEST + 1)
    try:
        return read_text(content.decode(), "<stdin>")
    except UnicodeDecodeError:
        return refuse(Problem(where="<stdin>", text="is not text in UTF-8"))


def joined(parts: Sequence[Manifests]) -> Manifests:
    """What is in several files or folders.

    Args:
        parts: What is in each of them.
    """
    return Manifests(
        objects=[one for part in parts for one in part.objects],
        origins=[one for part in parts for one in part.origins],
        unread=tuple(one for part in parts for one in part.unread),
    )


class _Found:
    """What was read so far."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.origins: list[Origin] = []
        self.unread: list[Problem] = []

    def manifests(self) -> Manifests:
        return Manifests(objects=self.objects, origins=self.origins, unread=tuple(self.unread))

    def add_file(self, file: Path) -> None:
        """Add the objects of a file, or why it cannot be read."""
        try:
            if file.stat().st_size > LARGEST:
                self.unread.append(_too_large(str(file)))
                return
            # With its line breaks as they are, so that it can be edited.
            text = file.read_bytes().decode()
        except (OSError, ValueError) as error:
            self.unread.append(_problem(str(file), "", error))
            return
        self.add(str(file), text, is_json=file.suffix == ".json")

    def add(self, file: str, text: str, *, is_json: bool) -> None:
        """Add the objects of a file up to a document that cannot be read."""
        import yaml

        try:
            value = _json(text, is_json=is_json)
            if value is not _NOT_JSON:
                self._add(file, value, Text(text, 0))
                return
            read = 0
            try:
                for value, part, first in bounded_yaml.documents(text):
                    self._add(file, value, Text(part, first))
                    read += 1
            except yaml.YAMLError:
                # The parser in Python takes more, such as surrogate pairs, and its errors name
                # the line where the mistake begins.
                again = bounded_yaml.documents(text, yaml.SafeLoader)
                for value, part, first in islice(again, read, None):
                    self._add(file, value, Text(part, first))
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            self.unread.append(_problem(file, text, error))

    def _add(self, file: str, document: object, text: Text | None) -> None:
        for fields, item in _flat(document):
            self.objects.append(item)
            self.origins.append(Origin(file, text, fields))


def _too_large(file: str) -> Problem:
    return Problem(
        text=escaped(f"{file} cannot be read (more than {LARGEST // 2**20} MiB)"),
        advice="split it",
    )


def _problem(file: str, text: str, error: Exception) -> Problem:
    """Where and why a file cannot be read."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else getattr(error, "lineno", None)
    where = file if line is None else f"{file}:{line}"
    # The parser's words for YAML, the system's for a file that is not there.
    names = ("problem", "reason", "strerror", "msg")
    found = (getattr(error, name, None) for name in names)
    why = next(filter(None, found), None) or str(error) or type(error).__name__
    is_template = "{{" in text
    return Problem(
        text=escaped(f"{where} cannot be read ({require.shown(why)[1:-1]})"),
        advice="render templates first, for example with helm template"
        if is_template
        else "correct it, or leave it out",
    )


def _json(text: str, *, is_json: bool) -> object:
    """The document of a JSON text; a mark for a text that is not JSON, and need not be."""
    if not is_json and not text.lstrip().startswith(("{", "[")):
        return _NOT_JSON
    try:
        value = json.loads(text)
    except ValueError:
        if is_json:
            raise
        return _NOT_JSON
    bounded_yaml.check_nesting(text)
    return value


def _flat(
    document: object, fields: FieldPath = (), depth: int = 0
) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
    """The objects of a document, which may be a list of them."""
    if depth > _DEEPEST:
        return
    if isinstance(document, list):
        for i, item in enumerate(document):
            yield from _flat(item, (*fields, i), depth + 1)
    elif isinstance(document, dict):
        if str(document.get("kind", "")).endswith("List") and "items" in document:
            for i, item in enumerate(items(document.get("items"))):
                yield from _flat(item, (*fields, "items", i), depth + 1)
        else:
            yield fields, document
