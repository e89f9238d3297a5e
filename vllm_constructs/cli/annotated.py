"""A file of YAML with a comment above each field that the library derives."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse
from vllm_constructs.reading import files
from vllm_constructs.rules import fields

_WIDEST = 100
_NARROWEST = 40


def annotated_file(path: Path) -> str:
    """The text of a file, with comments.

    Args:
        path: The file.

    Raises:
        VllmConstructsError: It cannot be read.
    """
    found = files.read(path)
    return _annotated(found, "" if found.unread else path.read_text(encoding="utf-8"), str(path))


def annotated_stdin() -> str:
    """The text of the standard input, with comments.

    Raises:
        VllmConstructsError: It cannot be read.
    """
    text = files.stdin_text()
    return _annotated(files.read_text(text, files.STDIN), text, files.STDIN)


def _annotated(found: files.Manifests, text: str, source: str) -> str:
    if found.unread:
        refuse(found.unread[0])
    if _is_json(text):
        problem = "is JSON, which has no comments"
        refuse(Problem(where=escaped(require.shown(source)), text=problem, advice="give YAML"))
    comments: dict[int, list[str]] = {}
    known = fields.fields()
    for item, origin in zip(found.objects, found.origins, strict=True):
        said: set[str] = set()
        for name, place in fields.paths(item, str(item.get("kind", ""))):
            general = fields.general(name)
            position = origin.position(place)
            if general in said or general not in known or position is None:
                continue
            said.add(general)
            one = known[general]
            comments[position.line] = _comment(
                f"{one.why} (from {one.derived}; source: {one.source})", position.column - 1
            )
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        lines += [*comments.get(number, []), line]
    return "\n".join(lines)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _comment(text: str, column: int) -> list[str]:
    indent = " " * column
    width = max(_WIDEST, column + _NARROWEST)
    return textwrap.wrap(
        text,
        width,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
