"""VllmRelease: what one vLLM release knows, found from the image's tag."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NoReturn, TypedDict, cast

from vllm_constructs import require
from vllm_constructs.errors import refuse, warn

from .image import ImageFamily, family_of

NEWEST = "0.33.0"
DEFAULT_IMAGE = f"vllm/vllm-openai:v{NEWEST}"

_IMAGE = re.compile(
    r"(?P<name>[a-zA-Z0-9][a-zA-Z0-9._-]*(:\d{1,5}(?=/))?(/[a-z0-9][a-z0-9._-]*)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?",
    re.ASCII,
)
# A candidate, such as v0.34.0rc1, has what its release will have.
_TAG = re.compile(r"v?(\d+)\.(\d+)\.(\d+)((rc\d+)?([.-].*)?)", re.ASCII)
_MOVING = ("latest", "nightly")
# The images that the vLLM project publishes, on whatever registry or mirror.
_OFFICIAL = re.compile(r"(.+/)?vllm/vllm-openai(-[a-z0-9]+)*", re.ASCII)
# Images whose tags are versions of vLLM; those of LMCache are of another thing.
_TAGGED = re.compile(r"(?!(.+/)?lmcache/)(.+/)?vllm(-openai(-[a-z0-9]+)*)?", re.ASCII)
_RELEASE = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}", re.ASCII)


class Field(TypedDict, total=False):
    """One key of a flag's JSON, as a data file holds it."""

    type: str
    default: object
    choices: list[str | int]
    known: list[str | int]
    items: list[str]
    fields: dict[str, Field]
    internal: bool


class Flag(TypedDict, total=False):
    """One flag of `vllm serve`, as a data file holds it; see tools/release_data.py."""

    type: str
    default: object
    choices: list[str | int]
    known: list[str]
    fields: dict[str, Field]
    engine_fields: dict[str, Field]
    nargs: str
    append: bool
    negation: str
    negations: list[str]
    aliases: list[str]
    optional: bool
    deprecated: bool


class Catalogue(TypedDict):
    """The data file of one release."""

    release: str
    flags: dict[str, Flag]
    removed: dict[str, str]
    environment: dict[str, dict[str, object]]
    removed_environment: dict[str, str]
    tool_call_parsers: list[str]
    reasoning_parsers: list[str]
    kv_connectors: list[str]


# Flags that this library adds itself, and the first release that has them.
_SINCE = {"shutdown-timeout": (0, 19, 1)}

_DATA = Path(__file__).parents[1] / "data"


@cache
def catalogue(release: str = NEWEST) -> Catalogue:
    """The data file of `release`, read once and only when asked for."""
    path = _DATA / f"vllm-{release}.json"
    return cast("Catalogue", json.loads(path.read_text(encoding="utf-8")))


@cache
def releases() -> tuple[str, ...]:
    """The releases that this library has data for, the oldest first."""
    return tuple(sorted((path.stem[5:] for path in _DATA.glob("vllm-*.json")), key=_numbers))


def built_in(release: str, kind: str) -> list[str]:
    """What a release brings: `"tool_call_parsers"`, `"reasoning_parsers"` or `"kv_connectors"`."""
    return cast("dict[str, list[str]]", catalogue(release))[kind]


def _numbers(release: str) -> tuple[int, int, int]:
    major, minor, patch = release.split(".")
    return int(major), int(minor), int(patch)


def check_image(image: str) -> re.Match[str]:
    """Refuse a malformed reference, or one with neither tag nor digest; give its parts."""
    found = _IMAGE.fullmatch(image) if isinstance(image, str) else None
    example = f"an image with a tag or digest, such as {DEFAULT_IMAGE!r}"
    if not found:
        require.wrong("image", image, example)
    if not found["tag"] and not found["digest"]:
        require.wrong("image", image, example, "without one, every node may run another")
    # A mirror may call them as it likes.
    if found["name"].startswith("vllm/vllm-openai") and (found["tag"] or "")[:1].isdigit():
        require.wrong("image", image, example, f"its tags begin with 'v': 'v{found['tag']}'")
    if found["tag"] in _MOVING and not found["digest"]:
        warn(
            f"image is {image!r}: {found['tag']!r} changes under running models; "
            f"name a release, such as {DEFAULT_IMAGE!r}."
        )
    return found


def is_misspelt(flag: str, known: Iterable[str]) -> bool:
    """Whether a name is almost one that is known."""
    from difflib import get_close_matches

    return bool(get_close_matches(flag, known, 1, 0.85))


@dataclass(frozen=True)
class VllmRelease:
    """The vLLM release in an image.

    Args:
        image: Image reference with a tag or a digest, such as `vllm/vllm-openai:v0.33.0`
            (default: the newest release that this library knows). The tag of an image called
            `vllm` or `vllm-openai` says the release, a candidate's as well; any other image is
            taken for the newest known release. Official images whose tag says none, `latest`,
            `nightly` and releases newer than that are warned about.
        vllm: The release in the image, such as `"0.16.0"`, where the tag does not say it.
            Default: what the tag says.

    Raises:
        VllmConstructsError: The reference is malformed, or has neither tag nor digest; `vllm` is
            no release, or not the one of an official image.
    """

    image: str = field(default=DEFAULT_IMAGE)
    vllm: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        found = check_image(self.image)
        tag = _TAG.fullmatch(found["tag"] or "") if self.is_official else None
        self._check_release(tag)

    def _check_release(self, tag: re.Match[str] | None) -> None:
        if self.vllm is not None:
            require.matching("vllm", self.vllm, _RELEASE, f"a release such as {NEWEST!r}")
        version = self.version
        if self.vllm is not None and tag and version != tuple(map(int, tag.groups()[:3])):
            refuse(
                f"vllm is {self.vllm!r}, but the tag of {self.image!r} says another release; "
                "leave vllm out."
            )
        image = _IMAGE.fullmatch(self.image)
        if version is None and self.is_official and image and image["tag"] not in _MOVING:
            what = "a digest" if image["tag"] is None else f"the tag {image['tag']!r}"
            warn(
                f"image is {self.image!r}, and {what} does not say its release; flags are checked "
                f"as in {NEWEST}: give vllm= with the one that it has."
            )
        if version is not None and version > _numbers(NEWEST):
            warn(
                f"vLLM {self.said} is newer than {NEWEST}, the newest release that this library "
                f"knows; flags are checked as in {NEWEST}. Take a newer vllm-constructs."
            )

    @property
    def family(self) -> ImageFamily:
        """How the image is built: its user, home and accelerator."""
        image = _IMAGE.fullmatch(self.image)
        return family_of(image["name"] if image else "")

    @property
    def version(self) -> tuple[int, int, int] | None:
        """Major, minor and patch; None where neither `vllm` nor the tag of a vLLM image says it."""
        if self.vllm is not None:
            return _numbers(self.vllm)
        image = _IMAGE.fullmatch(self.image)
        tag = image["tag"] if image and _TAGGED.fullmatch(image["name"]) else None
        found = _TAG.fullmatch(tag) if tag else None
        return (int(found[1]), int(found[2]), int(found[3])) if found else None

    @property
    def is_known(self) -> bool:
        """Whether this library has the data of this release.

        A tag that names no release counts as the newest one, and a newer one counts as known.
        """
        return self.version is None or self.version >= _numbers(NEWEST) or self.said in releases()

    @property
    def is_official(self) -> bool:
        """Whether the image is one that the vLLM project publishes, maybe from a mirror."""
        image = _IMAGE.fullmatch(self.image)
        return bool(image and _OFFICIAL.fullmatch(image["name"]))

    @property
    def is_certain(self) -> bool:
        """Whether the release is said, and not outside of those that this library knows."""
        version = self.version
        return version is not None and _numbers(releases()[0]) <= version <= _numbers(NEWEST)

    @property
    def said(self) -> str:
        """The release as a text, the newest known one where none is said."""
        return ".".join(map(str, self.version or _numbers(NEWEST)))

    @property
    def known_releases(self) -> tuple[str, ...]:
        """The shipped releases that speak for this one: itself, or the next older and newer."""
        version = self.version
        if version is None or version >= _numbers(NEWEST):
            return (NEWEST,)
        if self.said in releases():
            return (self.said,)
        older = [one for one in releases() if _numbers(one) < version]
        newer = [one for one in releases() if _numbers(one) > version]
        return (*older[-1:], *newer[:1])

    @property
    def catalogues(self) -> tuple[Catalogue, ...]:
        """What the `known_releases` know, the older one first."""
        return tuple(catalogue(one) for one in self.known_releases)

    @property
    def called(self) -> str:
        """The release in words, with those that it is judged by."""
        known = self.known_releases
        if self.version is None:
            return f"vLLM {known[0]} (vllm= says which one the image has)"
        if self.is_known:
            return f"vLLM {known[0]}"
        return f"vLLM {self.said} (judged by {' and '.join(known)})"

    def has_flag(self, name: str) -> bool:
        """Whether the release has the flag `--name`; between two shipped ones, if both have it."""
        if name in _SINCE and self.version is not None:
            return self.version >= _SINCE[name]
        return all(f"--{name}" in known["flags"] for known in self.catalogues)

    def flag(self, where: str, name: str) -> Flag:
        """What is known of `--name`; refused with the replacement or nearest flag."""
        return self.flags(where, name)[0]

    def flags(self, where: str, name: str) -> tuple[Flag, ...]:
        """What each release that speaks for this one knows of `--name`.

        Between two shipped releases a flag of either one passes. On a release older than all
        shipped ones, so does a flag that resembles none of them: it may have been there before. On
        a newer one any flag passes that was not there before, with a warning where it resembles
        one.
        """
        flag = f"--{name}"
        found = tuple(known["flags"][flag] for known in self.catalogues if flag in known["flags"])
        if found:
            return found
        if self.may_have(name):
            known = self.catalogues[-1]["flags"]
            if self.version and self.version > _numbers(NEWEST) and is_misspelt(flag, known):
                near = require.nearest(name, [one.removeprefix("--") for one in known])
                warn(f"{where} names {name!r}, which vLLM {NEWEST} does not have yet; {near}")
            return ({},)
        return refuse_unknown(where, name, self)

    def may_have(self, name: str) -> bool:
        """Whether a flag that no catalogue has may be there: on a release outside of them all."""
        version = self.version or _numbers(NEWEST)
        is_older = version < _numbers(releases()[0])
        known, flag = self.catalogues[-1], f"--{name}"
        is_elsewhere = any(flag in catalogue(one)["flags"] for one in releases())
        if is_elsewhere or other_spelling(known, flag):
            return False
        if version > _numbers(NEWEST):
            # Of the flags that came with a release, one in twenty resembles an older one.
            return flag not in known["removed"]
        return is_older and (flag in known["removed"] or not is_misspelt(flag, known["flags"]))


def other_spelling(known: Catalogue, flag: str) -> str:
    """The flag that a negation or an alias belongs to, without dashes; empty where none does."""
    for name, item in known["flags"].items():
        if flag in (item.get("negation"), *item.get("negations", ()), *item.get("aliases", ())):
            return name.removeprefix("--")
    return ""


def refuse_unknown(where: str, name: str, release: VllmRelease) -> NoReturn:
    """Refuse the flag `--name`, which the release lacks, with what to give instead."""
    flag, called, known = f"--{name}", release.called, release.catalogues[-1]
    names = f"{where} names {name!r}"
    other = other_spelling(known, flag)
    if other:
        refuse(f"{names}; write it as {other!r}.")
    version = release.version or _numbers(NEWEST)
    if flag in known["removed"] and version >= _numbers(releases()[0]):
        refuse(f"{names}, which {called} no longer has; {known['removed'][flag]}.")
    others = [one for one in releases() if flag in catalogue(one)["flags"]]
    later = [one for one in others if _numbers(one) > version]
    if later:
        refuse(
            f"{names}, which {called} does not have yet; vLLM {later[0]} has it: leave it out, or "
            "take a newer image."
        )
    if others:
        refuse(
            f"{names}, which {called} no longer has; vLLM {others[-1]} still had it: leave it out."
        )
    near = require.nearest(name, [one.removeprefix("--") for one in known["flags"]])
    refuse(f"{names}, which is no flag of {called}{f'; {near}' if near else '.'}")
