"""Why fields are rendered as they are: what each is derived from, and the source of the rule.

`fields.md` has a section for each, with its path as the title.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse

POD = re.compile(r"(?:CronJob\.spec\.jobTemplate|[A-Z]\w+)\.spec\.template(?=\.|$)")
_INDEX = re.compile(r"\[\d+\]")
_SECTION = re.compile(
    r"^### (\S+)\n\n(.+?)\n\n- Derived from: (.+?)\n- Source: (.+?)\n(?=\n|\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Field:
    """What is known of a field.

    Args:
        path: The field, as `Kind.spec.field`, or one that it is a part of.
        why: Why it is there, and has this value.
        derived: The options of the app from which it follows.
        source: Where the rule comes from.
    """

    path: str
    why: str
    derived: str
    source: str


@cache
def fields() -> dict[str, Field]:
    """All sections of the page, by their paths."""
    text = (resources.files("vllm_constructs.rules") / "fields.md").read_text(encoding="utf-8")
    return {
        path: Field(path=path, why=_one_line(why), derived=_one_line(derived), source=source)
        for path, why, derived, source in _SECTION.findall(text)
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def general(path: str) -> str:
    """A path as the table has it: without indices, with `Pod` for pod templates.

    Args:
        path: A path such as `Deployment.spec.template.spec.containers[0].image`.
    """
    return POD.sub("Pod", _INDEX.sub("", path))


def field(path: str) -> Field | None:
    """What is known of a field, or of the nearest one that it is a part of; None if nothing is.

    Args:
        path: The field, with its kind.
    """
    found = general(path)
    while True:
        if found in fields():
            return fields()[found]
        shorter = _parent(found)
        if shorter is None:
            return None
        found = shorter


def _parent(path: str) -> str | None:
    if path.endswith("]"):
        return path[: path.rindex("[")]
    head, dot, _ = path.rpartition(".")
    return head if dot else None


def explained(path: str) -> str:
    """What is known of a field, for a person.

    Args:
        path: The field, with its kind.

    Raises:
        VllmConstructsError: Nothing is known of it.
    """
    found = field(path)
    if found is None:
        near = require.nearest(general(path), fields())
        text = f"{escaped(require.shown(path))} is no field that this library explains"
        advice = near or "give its kind and path, such as Deployment.spec.strategy"
        refuse(Problem(text=text, advice=advice))
    head = path if general(path) == found.path else f"{path}, a part of {found.path}"
    return "\n".join(
        [head, "", found.why, "", f"Derived from: {found.derived}", f"Source: {found.source}"]
    )


def paths(value: object, start: str) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """All fields of an object: as the table names them, and where they are.

    Args:
        value: The object.
        start: Its kind.
    """
    yield from _paths(value, start, ())


def _paths(
    value: object, name: str, place: tuple[str | int, ...]
) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    items: Iterable[tuple[str, str | int, object]] = ()
    if isinstance(value, dict):
        items = [(f"{name}.{key}", key, one) for key, one in value.items()]
    elif isinstance(value, list):
        items = [(_listed(name, one), at, one) for at, one in enumerate(value)]
    for path, step, one in items:
        yield path, (*place, step)
        yield from _paths(one, path, (*place, step))


def _listed(name: str, one: object) -> str:
    is_named = isinstance(one, dict) and name.endswith((".env", ".volumes", ".volumeMounts"))
    return f"{name}[{one['name']}]" if is_named and isinstance(one, dict) else name
