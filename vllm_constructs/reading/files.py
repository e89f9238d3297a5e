"""Files of manifests, in YAML or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vllm_constructs.errors import refuse

from .fields import items

_SUFFIXES = (".yaml", ".yml", ".json")


def read(path: Path) -> list[dict[str, Any]]:
    """All objects in a file or folder, in the order of the files' names.

    Args:
        path: A file, or a folder with files that end in .yaml, .yml or .json.

    Raises:
        VllmConstructsError: A file cannot be read, or the folder has none.
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
    return [item for file in files for document in _load(file) for item in _flat(document)]


def _load(file: Path) -> list[Any]:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        return [json.loads(text)] if file.suffix == ".json" else _documents(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        refuse(
            f"{str(file)!r} cannot be read ({type(error).__name__}); give a folder or file of "
            "manifests."
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
