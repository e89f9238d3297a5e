"""Files of manifests, in YAML or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse

from .fields import items

_SUFFIXES = (".yaml", ".yml", ".json")
# Lists in lists; an anchor of YAML can be in itself.
_DEEPEST = 8


@dataclass(frozen=True, kw_only=True)
class Manifests:
    """What is in files of manifests.

    Args:
        objects: The objects, in the order of the files' names.
        unread: Which files cannot be read, at which line, and why.
    """

    objects: list[dict[str, Any]]
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
    objects: list[dict[str, Any]] = []
    unread: list[Problem] = []
    for file in files:
        documents, problem = _load(file)
        objects += [item for document in documents for item in _flat(document)]
        unread += [] if problem is None else [problem]
    if unread and not objects:
        refuse(unread[0])
    return Manifests(objects=objects, unread=tuple(unread))


def _load(file: Path) -> tuple[list[Any], Problem | None]:
    """The documents of a file up to one that cannot be read, and what is wrong with that."""
    import yaml

    documents: list[Any] = []
    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            documents.append(json.loads(text))
        else:
            documents.extend(_documents(text))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        documents.extend(_complete(text))
        return documents, _problem(file, text, error)
    return documents, None


def _problem(file: Path, text: str, error: Exception) -> Problem:
    """Where and why a file cannot be read."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else getattr(error, "lineno", None)
    where = str(file) if line is None else f"{file}:{line}"
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


def _complete(text: str) -> Iterator[Any]:
    """The documents of a YAML file before one that cannot be read."""
    import yaml

    with suppress(ValueError, RecursionError, yaml.YAMLError):
        yield from yaml.safe_load_all(text)


def _documents(text: str) -> list[Any]:
    """The documents of a YAML file, which may hold JSON."""
    import yaml

    if text.lstrip().startswith(("{", "[")):
        try:
            return [json.loads(text)]
        except ValueError:
            pass
    # libyaml reads ten times as fast as the loader in Python, and PyYAML's wheels have it. It
    # takes less: no surrogate pairs in escapes, for example.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return list(yaml.load_all(text, Loader=loader))
    except yaml.YAMLError:
        return list(yaml.safe_load_all(text))


def _flat(document: object, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The objects of a document, which may be a list of them."""
    if depth > _DEEPEST:
        return
    if isinstance(document, list):
        for item in document:
            yield from _flat(item, depth + 1)
    elif isinstance(document, dict):
        if str(document.get("kind", "")).endswith("List") and "items" in document:
            for item in items(document.get("items")):
                yield from _flat(item, depth + 1)
        else:
            yield document
