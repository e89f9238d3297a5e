"""Files: what a user puts into the container, through a ConfigMap of the model.

Each file is mounted by itself, so that it hides nothing else in its folder. Such a mount does not
follow the ConfigMap; the checksum in the pod template replaces the pods instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse
from vllm_constructs.frozen import FrozenDict

from .credentials import in_file
from .paths import check_path

LARGEST = 2**20
"""Bytes that a ConfigMap may have (Kubernetes docs, "ConfigMaps")."""


def check_files(value: object) -> FrozenDict:
    """The contents of files by their paths, sorted by path.

    A `Path` is read now, so that the value stays what it is.

    Args:
        value: The option `files`.

    Raises:
        VllmConstructsError: An invalid path, a file that cannot be read, or a credential.
    """
    if not isinstance(value, Mapping):
        allowed = "a dict of paths and contents, such as {'/etc/vllm/chat.jinja': Path('a.jinja')}"
        require.wrong("files", value, allowed)
    found: dict[str, str | bytes] = {}
    for path, content in value.items():
        where = f"files[{require.shown(path)}]"
        mounted = check_path("a key of files", path)
        if any(f"{mounted}/".startswith(f"{other}/") for other in found) or any(
            f"{other}/".startswith(f"{mounted}/") for other in found
        ):
            text = "is the path of another file, or below it"
            refuse(Problem(where=where, text=text, advice="take another path"))
        found[mounted] = _content(where, content)
    check_size(found)
    return FrozenDict(dict(sorted(found.items())))


def check_size(files: Mapping[str, str | bytes]) -> None:
    """Reject more than a ConfigMap can have.

    Args:
        files: The files by their paths.

    Raises:
        VllmConstructsError: They are larger.
    """
    size = sum(len(_encoded(one)) for one in files.values())
    if size > LARGEST:
        refuse(
            Problem(
                where="files",
                text=f"has {size} bytes, more than the {LARGEST} of a ConfigMap",
                advice="mount large files with {volumes}",
            )
        )


def _content(where: str, content: object) -> str | bytes:
    if isinstance(content, Path):
        try:
            content = content.read_bytes()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "no such path"
            refuse(
                Problem(
                    where=where,
                    text=f"is {escaped(require.shown(str(content)))}, which cannot be read ({why})",
                    advice="give the path of a file, relative to the folder of the app's run",
                )
            )
        try:
            content = content.decode()
        except UnicodeDecodeError:
            return _checked(where, content)
    if isinstance(content, (str, bytes)):
        return _checked(where, content)
    text = f"is of type {type(content).__name__} (not shown)"
    return refuse(Problem(where=where, text=text, allowed="a string, bytes or a Path"))


def _checked(where: str, content: str | bytes) -> str | bytes:
    if in_file(content):
        text = "has what looks like a credential (not shown), and everybody may read a ConfigMap"
        advice = "mount a Secret: {volumes}={{...: Volume.from_secret(...)}}"
        refuse(Problem(where=where, text=text, advice=advice))
    try:
        data = _encoded(content)
    except UnicodeEncodeError:
        return refuse(Problem(where=where, text="is no valid Unicode", advice="give bytes"))
    # Control characters have no place in YAML, so such a text is kept as bytes.
    return data if isinstance(content, str) and require.has_control(content) else content


def _encoded(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def keys(paths: Mapping[str, Any]) -> dict[str, str]:
    """A key of a ConfigMap for each path: its name, with a checksum if two have it.

    Args:
        paths: The files.
    """
    names = {path: _legal(path.rpartition("/")[2]) for path in paths}
    counts = [*names.values()]
    return {
        path: name
        if counts.count(name) == 1
        else f"{sha256(path.encode()).hexdigest()[:8]}-{name}"[:253]
        for path, name in names.items()
    }


def _legal(name: str) -> str:
    found = re.sub(r"[^-._a-zA-Z0-9]", "-", name)[:240]
    # Kubernetes keeps names that begin with two dots for itself.
    return re.sub(r"^\.\.|^\.$", "-", found)


def config_map(name: str, files: Mapping[str, str | bytes]) -> dict[str, Any]:
    """The ConfigMap that has the files.

    Args:
        name: Its name.
        files: The files by their paths.
    """
    check_size(files)
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for path, key in keys(files).items():
        content = files[path]
        if isinstance(content, str):
            text[key] = content
        else:
            from base64 import b64encode

            binary[key] = b64encode(content).decode()
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
    }
    if text:
        manifest["data"] = text
    if binary:
        manifest["binaryData"] = binary
    return manifest


def checksum(files: Mapping[str, str | bytes]) -> str:
    """A checksum of paths and contents."""
    found = sha256()
    for path, content in sorted(files.items()):
        data = _encoded(content)
        found.update(f"{path}\0{len(data)}\0".encode())
        found.update(data)
    return found.hexdigest()
