"""Environment variables of vLLM, checked against the release in the image.

vLLM reads all of them again after it has loaded the model (vllm/envs.py), so an invalid one stops
a pod late. A name that does not begin with `VLLM_` is not vLLM's alone, and is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

from .release import NEWEST, catalog, is_misspelled, releases

if TYPE_CHECKING:
    from .release import VllmRelease

_YES = ("true", "yes", "on")
_NUMBERS = {"int": int, "float": float}


def switch(env: Mapping[str, str], name: str) -> bool | None:
    """The value of a Boolean variable; None if it is not given, or refers to another variable.

    Args:
        env: Variables of the container.
        name: Name of the variable.
    """
    value = env.get(name, "").strip().lower()
    return {"0": False, "false": False, "1": True, "true": True}.get(value)


def check(release: VllmRelease, name: str, value: str) -> None:
    """Reject a variable that the release does not have, and a value that it cannot read.

    Args:
        release: The release in the image.
        name: Name of the variable.
        value: Its value.

    Raises:
        VllmConstructsError: Such a variable or value.
    """
    if not name.startswith("VLLM_"):
        return
    entry = release.catalog["environment"].get(name)
    # The value of a referenced variable is not known here.
    if entry is None:
        problem = _unknown(release, name)
    else:
        problem = None if "$(" in value else _problem(release, name, value, entry)
    if problem is not None:
        refuse(problem)


def _problem(
    release: VllmRelease, name: str, value: str, entry: dict[str, object]
) -> Problem | None:
    """Why a release with this entry for the variable cannot read its value."""
    effect, allowed = "rejects", ""
    if entry.get("syntax") == "0/1":
        if value not in ("0", "1"):
            effect, allowed = "rejects after it has loaded the model", "a Boolean, '1' or '0'"
    elif isinstance(on := entry.get("on"), list):
        if value.lower() in _YES and value.lower() not in on:
            effect, allowed = "reads as false", f"{on[0]!r} for true"
    elif isinstance(choices := entry.get("choices"), list):
        if value not in choices and value.lower() not in [str(one).lower() for one in choices]:
            allowed = require.one_of(choices)
    elif (parse := _NUMBERS.get(str(entry.get("type")))) is not None:
        try:
            parse(value)
        except ValueError:
            allowed = "an integer" if parse is int else "a number"
    if not allowed:
        return None
    return Problem(
        where=f"env[{name!r}]",
        text=f"is {escaped(require.shown(value))}, which {release.description} {effect}",
        value=require.shown(value),
        allowed=escaped(allowed),
    )


def _unknown(release: VllmRelease, name: str) -> Problem | None:
    """Why a variable that the release does not have is rejected; None if it may exist."""
    newest = tuple(int(part) for part in NEWEST.split("."))
    version = release.version
    if version is not None and version > newest:
        return None
    where, last = f"env[{name!r}]", release.catalog
    oldest = tuple(int(part) for part in releases()[0].split("."))
    if (
        version is not None
        and version < oldest
        and (name in last["removed_environment"] or not is_misspelled(name, last["environment"]))
    ):
        # It may have existed before the oldest release that this library knows, as flags may.
        return None
    hint = last["removed_environment"].get(name)
    if hint is not None:
        text = f"is no longer a variable of {release.description}"
        return Problem(where=where, text=text, advice=escaped(hint))
    text = f"is not a variable of {release.description}"
    others = [one for one in releases() if name in catalog(one)["environment"]]
    if others:
        advice = f"leave it out, or use an image of vLLM {', '.join(others)}"
        return Problem(where=where, text=text, advice=advice)
    if version is None and not is_misspelled(name, last["environment"]):
        # A custom image may have plugins with variables of their own.
        return None
    near = require.nearest(name, last["environment"])
    advice = near or "leave it out, or choose a name that does not begin with 'VLLM_'"
    return Problem(where=where, text=text, advice=advice)
