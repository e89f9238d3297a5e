"""Files of manifests, in YAML or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse

from .fields import items

_SUFFIXES = (".yaml", ".yml", ".json")


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
        documents = _load(file)
        if isinstance(documents, Problem):
            unread.append(documents)
        else:
            objects += [item for document in documents for item in _flat(document)]
    if len(unread) == len(files):
        refuse(unread[0])
    return Manifests(objects=objects, unread=tuple(unread))


def _load(file: Path) -> list[Any] | Problem:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        return [json.loads(text)] if file.suffix == ".json" else _documents(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        return _problem(file, error)


def _problem(file: Path, error: Exception) -> Problem:
    """Where and why a file cannot be read."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else getattr(error, "lineno", None)
    where = str(file) if line is None else f"{file}:{line}"
    # The parser's words for YAML, the system's for a file that is not there.
    why = getattr(error, "problem", None) or getattr(error, "strerror", None)
    why = why or getattr(error, "msg", None) or type(error).__name__
    return Problem(
        text=escaped(f"{where} cannot be read ({require.shown(why)[1:-1]})"),
        advice="render templates first, for example with helm template",
    )


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


def _flat(document: object) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if document.get("kind") == "List":
            for item in items(document.get("items")):
                yield from _flat(item)
        else:
            yield document
