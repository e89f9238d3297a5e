"""Files of manifests, in YAML or JSON, and where in them each object is.

Memory is bounded: a file has a greatest size, and what its aliases expand to is counted before
anybody walks through it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse

from . import bounded_yaml
from .bounded_yaml import Document
from .collector import without_gc
from .fields import items
from .positions import Position, Text
from .repeated_keys import Repeated, repeated_keys

FieldPath: TypeAlias = "tuple[str | int, ...]"

_SUFFIXES = (".yaml", ".yml", ".json")
# Lists in lists; an anchor of YAML can be in itself.
_DEEPEST = 8
LARGEST = 256 * 2**20
"""Bytes of the largest file that is read; the largest CRDs have 4 MB."""
STDIN = "<stdin>"
"""What the standard input is called."""


class Origin:
    """Where an object is: its file, its document and the fields in that which lead to it."""

    __slots__ = ("file", "fields", "repeated", "text")  # noqa: RUF023  # as the arguments

    def __init__(
        self,
        file: str,
        text: Text | None,
        fields: FieldPath,
        *,
        repeated: Sequence[Repeated] = (),
    ) -> None:
        """Keep the place.

        Args:
            file: The file, as its user named it.
            text: The text of the document; None if it has no positions.
            fields: The fields that lead to the object in a list; none for a document of its own.
            repeated: The keys of the object that are in their mapping again. Default: none.
        """
        self.file = file
        self.text = text
        self.fields = fields
        self.repeated = tuple(repeated)

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

    def repeated(self) -> dict[int, Sequence[Repeated]]:
        """By number of an object, the keys that its text has again in their mapping."""
        return {i: one.repeated for i, one in enumerate(self.origins) if one.repeated}


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
    return read_text(stdin_text(), STDIN)


def stdin_text() -> str:
    """The text of the standard input, up to more than the largest file.

    Raises:
        VllmConstructsError: It is not text in UTF-8.
    """
    import sys

    try:
        return sys.stdin.buffer.read(LARGEST + 1).decode()
    except UnicodeDecodeError:
        return refuse(Problem(where=STDIN, text="is not text in UTF-8"))


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
            given = _json(text, is_json=is_json)
            if given is not None:
                self._add(file, given)
                return
            read = 0
            try:
                for one in bounded_yaml.documents(text):
                    self._add(file, one)
                    read += 1
            except yaml.YAMLError:
                # The parser in Python takes more, such as surrogate pairs, and its errors name
                # the line where the mistake begins.
                again = bounded_yaml.documents(text, yaml.SafeLoader)
                for one in islice(again, read, None):
                    self._add(file, one)
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            self.unread.append(_problem(file, text, error))

    def _add(self, file: str, document: Document) -> None:
        text = Text(document.text, document.first)
        found = list(_flat(document.value))
        keys: dict[FieldPath, list[Repeated]] = {fields: [] for fields, _ in found}
        for one in repeated_keys(text) if document.may_repeat else ():
            fields = next((p for i in range(len(one.path)) if (p := one.path[:i]) in keys), None)
            if fields is not None:
                keys[fields].append(replace(one, path=one.path[len(fields) :]))
            elif one.path[-1] == "items" and one.is_lost:
                self.unread.append(_lost_items(file, one))
        for fields, item in found:
            self.objects.append(item)
            self.origins.append(Origin(file, text, fields, repeated=keys[fields]))


def _too_large(file: str) -> Problem:
    return Problem(
        text=escaped(f"{file} cannot be read (more than {LARGEST // 2**20} MiB)"),
        advice="split it",
    )


def _lost_items(file: str, one: Repeated) -> Problem:
    """Objects of a list that nobody sees, since the list has others after them."""
    return Problem(
        text=escaped(f"{file} cannot be read as a whole (a List has items in {one.where})"),
        advice="keep one, with all objects",
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


def _json(text: str, *, is_json: bool) -> Document | None:
    """The document of a JSON text; None for a text that is not JSON, and need not be."""
    if not is_json and not text.lstrip().startswith(("{", "[")):
        return None
    may_repeat = False

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal may_repeat
        made = dict(pairs)
        may_repeat = may_repeat or len(made) < len(pairs)
        return made

    try:
        value = json.loads(text, object_pairs_hook=mapping)
    except ValueError:
        if is_json:
            raise
        return None
    bounded_yaml.check_nesting(text)
    return Document(value=value, text=text, first=0, may_repeat=may_repeat)


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
