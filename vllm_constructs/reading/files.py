"""Manifests: what stands in files of YAML or JSON, whoever wrote them.

A manifest may be malformed anywhere, so each helper gives what is there, or something empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vllm_constructs.errors import refuse

_SUFFIXES = (".yaml", ".yml", ".json")


def read(path: Path) -> list[dict[str, Any]]:
    """All objects of a file or folder, in the order of the files' names.

    Args:
        path: A file, or a folder with files that end in .yaml, .yml or .json.

    Raises:
        VllmConstructsError: A file cannot be read, or there is none.
    """
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file())
    else:
        files = [path]
    if not files:
        refuse(f"the folder {str(path)!r} has no YAML in it; give the folder that the app writes.")
    return [one for file in files for document in _load(file) for one in _flat(document)]


def _load(file: Path) -> list[Any]:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        return [json.loads(text)] if file.suffix == ".json" else list(yaml.safe_load_all(text))
    except (OSError, ValueError, yaml.YAMLError) as error:
        refuse(
            f"{str(file)!r} cannot be read ({type(error).__name__}); give a folder or file of "
            "manifests."
        )


def _flat(document: object) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if document.get("kind") == "List":
            for one in items(document.get("items")):
                yield from _flat(one)
        else:
            yield document


def mapping(value: object, *keys: str) -> dict[str, Any]:
    """A mapping further down; empty where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A list; empty where there is none."""
    return value if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """A list's entries as texts."""
    return [str(one) for one in items(value)]


def key_of(one: Mapping[str, Any]) -> tuple[str, str]:
    """Namespace and name of an object, empty where it has none."""
    metadata = mapping(one.get("metadata"))
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def whole(value: object, default: int) -> int:
    """A number of a manifest; the API's own default where it has none."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return int(str(value)) if is_number else default
