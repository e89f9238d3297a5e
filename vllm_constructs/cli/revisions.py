"""Files of git revisions, such as `HEAD~1:dist`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse
from vllm_constructs.reading import files
from vllm_constructs.reading.files import Manifests

_SUFFIXES = (".yaml", ".yml", ".json")


def read(given: str) -> Manifests:
    """All objects in a file or folder of a revision.

    Args:
        given: A revision, a colon, and a path from the top of the repository, or from the
            current folder if it starts with `./`; as git writes it.

    Raises:
        VllmConstructsError: Git does not know it, or it has no files of YAML or JSON.
    """
    where = require.shown(given)
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", given)
    if found is None:
        text = "is neither a file or folder, nor a path in a git revision"
        advice = "write a revision as in HEAD~1:dist"
        refuse(Problem(where=where, text=text, advice=advice))
    object_id = found.decode().strip()
    kind = (_git("cat-file", "-t", object_id) or b"").decode().strip()
    if kind == "blob":
        named = [(given, object_id)]
    elif kind in ("tree", "commit"):
        named = [(f"{given.rstrip('/')}/{name}", one) for name, one in _files(object_id)]
    else:
        refuse(Problem(where=where, text=f"is a {escaped(kind)} of git, not a file or folder"))
    if not named:
        refuse(Problem(where=where, text="has no YAML or JSON files"))
    return files.joined([_file(name, one) for name, one in named])


def _files(tree: str) -> Iterator[tuple[str, str]]:
    """The manifests in a tree: their names and the ids of their contents."""
    listed = (_git("ls-tree", "-r", "-z", "--full-tree", tree) or b"").decode(errors="replace")
    for entry in filter(None, listed.split("\0")):
        about, _, name = entry.partition("\t")
        _, kind, object_id = about.split()
        if kind == "blob" and name.endswith(_SUFFIXES):
            yield name, object_id


def _file(name: str, object_id: str) -> Manifests:
    content = _git("cat-file", "blob", object_id) or b""
    try:
        return files.read_text(content.decode(), name)
    except UnicodeDecodeError:
        return refuse(Problem(where=require.shown(name), text="is not text in UTF-8"))


def _git(*arguments: str) -> bytes | None:
    """What git says; None if it fails."""
    try:
        done = subprocess.run(  # noqa: S603  # ids of git, and a name behind --end-of-options
            ["git", *arguments],  # noqa: S607  # git is whichever the machine has
            check=False,
            capture_output=True,
        )
    except OSError:
        return refuse(Problem(text="git is not installed, so no revision can be read"))
    return done.stdout if done.returncode == 0 else None
