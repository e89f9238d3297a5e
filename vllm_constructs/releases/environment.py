"""Environment variables of vLLM, checked against the release in the image.

vLLM reads all of them again after it has loaded the model (vllm/envs.py), so a wrong one stops a
pod late. What begins with another word than `VLLM_` is not vLLM's alone, and is left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.errors import refuse

from .release import NEWEST, catalogue, is_misspelt, releases

if TYPE_CHECKING:
    from .release import VllmRelease

_YES = ("true", "yes", "on")
_NUMBERS = {"int": int, "float": float}


def check(release: VllmRelease, name: str, value: str) -> None:
    """Refuse a variable that the release lacks, and a value that it cannot read.

    Raises:
        VllmConstructsError: Either of them.
    """
    if not name.startswith("VLLM_"):
        return
    known = [one["environment"] for one in release.catalogues]
    found = [one[name] for one in known if name in one]
    if not found:
        _refuse_unknown(release, name)
    # What another variable says is not known here.
    elif "$(" not in value:
        problems = [_problem(item, value) for item in found]
        if all(problems):
            refuse(f"env has {name}={value!r}, but {release.called} {problems[-1]}.")


def _problem(item: dict[str, object], value: str) -> str | None:
    """Why a release cannot read a value."""
    if item.get("syntax") == "0/1":
        if value not in ("0", "1"):
            return "reads a boolean there and fails after loading; write '1' or '0'"
    elif isinstance(on := item.get("on"), list):
        if value.lower() in _YES and value.lower() not in on:
            return f"takes that for no; write {on[0]!r} for yes"
    elif isinstance(choices := item.get("choices"), list):
        if value not in choices and value.lower() not in [str(one).lower() for one in choices]:
            return f"takes {require.one_of(choices)} there"
    elif (parse := _NUMBERS.get(str(item.get("type")))) is not None:
        try:
            parse(value)
        except ValueError:
            return "reads a number there; write one"
    return None


def _refuse_unknown(release: VllmRelease, name: str) -> None:
    newest = tuple(int(part) for part in NEWEST.split("."))
    version = release.version
    if version is not None and version > newest:
        return
    last = release.catalogues[-1]
    hint = last["removed_environment"].get(name)
    if hint is not None:
        refuse(f"env has {name}, which {release.called} no longer reads; {hint}.")
    near = require.nearest(name, last["environment"])
    others = [one for one in releases() if name in catalogue(one)["environment"]]
    if others:
        refuse(
            f"env has {name}, which {release.called} does not read; vLLM {', '.join(others)} "
            "does: leave it out, or take such an image."
        )
    if version is None and not is_misspelt(name, last["environment"]):
        # An image of one's own may have plugins with variables of their own.
        return
    end = near or "leave it out, or choose a name that does not begin with 'VLLM_'."
    refuse(f"env has {name}, which is no variable of {release.called}; {end}")
