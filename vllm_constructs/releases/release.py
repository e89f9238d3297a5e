"""VllmRelease: the vLLM release of an image, from its tag, and the flags of that release."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import field
from functools import cache, cached_property
from pathlib import Path
from typing import NoReturn, TypedDict, cast, get_args

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse, warn

from .behavior import Behavior, Version, behaves, numbers
from .image import DEFAULTS, TPU_RELEASE, ImageFamily, Platform, family_of, named_accelerator

NEWEST = "0.33.0"
DEFAULT_IMAGE = f"vllm/vllm-openai:v{NEWEST}"

_IMAGE = re.compile(
    r"(?P<name>[a-zA-Z0-9][a-zA-Z0-9._-]*(:\d{1,5}(?=/))?(/[a-z0-9][a-z0-9._-]*)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?",
    re.ASCII,
)
# A release candidate, such as v0.34.0rc1, counts as its release.
_TAG = re.compile(r"v?(\d+)\.(\d+)\.(\d+)((rc\d+)?([.-].*)?)", re.ASCII)
_MOVING = ("latest", "nightly")
# The images that the vLLM project publishes, on any registry or mirror.
_OFFICIAL = re.compile(r"(.+/)?vllm/vllm-(openai(-[a-z0-9]+)*|tpu)", re.ASCII)
# Images whose tags are versions of vLLM; the tags of LMCache's images are not.
_TAGGED = re.compile(r"(?!(.+/)?lmcache/)(.+/)?vllm(-openai(-[a-z0-9]+)*|-tpu)?", re.ASCII)
_RELEASE = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}", re.ASCII)


def default_image(platform: Platform) -> str | None:
    """The newest image for a platform that this library knows; None if none is published.

    Args:
        platform: What it is built for.
    """
    if platform not in DEFAULTS:
        return None
    return f"{DEFAULTS[platform]}:v{TPU_RELEASE if platform == 'TPU' else NEWEST}"


class Field(TypedDict, total=False):
    """One key of a flag's JSON in a data file."""

    type: str
    default: object
    choices: list[str | int]
    known: list[str | int]
    items: list[str]
    fields: dict[str, Field]
    internal: bool


class Flag(TypedDict, total=False):
    """One flag of `vllm serve` in a data file; see tools/release_data.py."""

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


class Catalog(TypedDict):
    """The data file of one release."""

    release: str
    flags: dict[str, Flag]
    removed: dict[str, str]
    environment: dict[str, dict[str, object]]
    removed_environment: dict[str, str]
    tool_call_parsers: list[str]
    reasoning_parsers: list[str]
    kv_connectors: list[str]


_DATA = Path(__file__).parents[1] / "data"


@cache
def catalog(release: str = NEWEST) -> Catalog:
    """The data file of `release`, read once and only when needed."""
    path = _DATA / f"vllm-{release}.json"
    return cast("Catalog", json.loads(path.read_text(encoding="utf-8")))


@cache
def releases() -> tuple[str, ...]:
    """The releases that this library has data for, the oldest first."""
    return tuple(sorted((path.stem[5:] for path in _DATA.glob("vllm-*.json")), key=numbers))


def built_in(release: str, kind: str) -> list[str]:
    """Built-in names: `"tool_call_parsers"`, `"reasoning_parsers"` or `"kv_connectors"`."""
    return cast("dict[str, list[str]]", catalog(release))[kind]


def image_parts(image: object) -> re.Match[str] | None:
    """The `name`, `tag` and `digest` of a reference; None if it is malformed.

    Args:
        image: The reference.
    """
    return _IMAGE.fullmatch(image) if isinstance(image, str) else None


def check_image(image: str) -> re.Match[str]:
    """Reject a malformed reference, or one with neither tag nor digest; return its parts."""
    parts = image_parts(image)
    example = f"an image with a tag or digest, such as {DEFAULT_IMAGE!r}"
    if not parts:
        require.wrong("image", image, example)
    if not parts["tag"] and not parts["digest"]:
        require.wrong("image", image, example, "otherwise each node may run a different image")
    # A mirror may name its tags freely.
    if parts["name"].startswith("vllm/vllm-openai") and (parts["tag"] or "")[:1].isdigit():
        require.wrong("image", image, "a tag that begins with 'v'", f"write 'v{parts['tag']}'")
    problem = moving_tag(parts)
    if problem is not None:
        warn(problem)
    return parts


def moving_tag(parts: re.Match[str]) -> Problem | None:
    """Why the tag of an image may stand for another build tomorrow; None if it does not.

    Args:
        parts: What `image_parts` returns.
    """
    if parts["tag"] not in _MOVING or parts["digest"]:
        return None
    value = require.shown(parts[0])
    newest = default_image(named_accelerator(parts["name"] or "") or "CUDA")
    return Problem(
        where="image",
        text=f"is {value}, whose tag moves to other builds while models run",
        value=value,
        advice="specify a release" + (f", such as {newest!r}" if newest else ""),
    )


def is_misspelled(flag: str, known: Iterable[str]) -> bool:
    """Whether a name closely resembles a known one."""
    from difflib import get_close_matches

    return bool(get_close_matches(flag, known, 1, 0.85))


@dataclass(frozen=True)
class VllmRelease:
    """The vLLM release in an image.

    Args:
        image: Image reference with a tag or a digest, such as `vllm/vllm-openai:v0.33.0`
            (default: the newest release that this library knows). The tag of an image named
            `vllm` or `vllm-openai` specifies the release or release candidate; any other image
            counts as the newest known release. Official images whose tag specifies no release,
            `latest`, `nightly` and releases newer than the newest known one cause a warning.
        vllm: The release in the image, such as `"0.16.0"`, if the tag does not specify it.
            Default: the release in the tag.
        accelerator: What the image is built for, such as `"ROCm"`, if its name does not tell.
            Default: CUDA.

    Raises:
        VllmConstructsError: The reference is malformed, or has neither tag nor digest; `vllm` is
            not a release, or not the one in the tag of an official image.
    """

    image: str = field(default=DEFAULT_IMAGE)
    vllm: str | None = field(default=None, kw_only=True)
    accelerator: Platform | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.accelerator is not None:
            require.choice("VllmRelease.accelerator", self.accelerator, get_args(Platform))
        parts = check_image(self.image)
        tag = _TAG.fullmatch(parts["tag"] or "") if self.is_official else None
        self._check_release(tag)

    def _check_release(self, tag: re.Match[str] | None) -> None:
        if self.vllm is not None:
            require.matching("vllm", self.vllm, _RELEASE, f"a release such as {NEWEST!r}")
        version, image = self.version, require.shown(self.image)
        if self.vllm is not None and tag and version != tuple(map(int, tag.groups()[:3])):
            refuse(
                Problem(
                    where="vllm",
                    text=f"is {self.vllm!r}, but the tag of {image} specifies another release",
                    value=repr(self.vllm),
                    advice="leave {vllm} out",
                )
            )
        parts = _IMAGE.fullmatch(self.image)
        if version is None and self.is_official and parts and parts["tag"] not in _MOVING:
            what = "a digest" if parts["tag"] is None else f"the tag {parts['tag']!r}"
            warn(
                Problem(
                    where="image",
                    text=f"is {image}, but {what} does not specify a release, so that flags are "
                    f"checked against vLLM {NEWEST}",
                    value=image,
                    advice="specify the image's release with {vllm}",
                )
            )
        if version is not None and version > numbers(NEWEST):
            warn(
                Problem(
                    text=f"vLLM {self.name} is newer than {NEWEST}, the newest release that this "
                    f"library knows, so that flags are checked against {NEWEST}",
                    advice="upgrade vllm-constructs",
                )
            )

    @cached_property
    def family(self) -> ImageFamily:
        """The image family, with its user, home directory and accelerator."""
        image = _IMAGE.fullmatch(self.image)
        if image is None:
            return family_of("", self.accelerator)
        return family_of(image["name"], self.accelerator, image["tag"])

    @property
    def named_accelerator(self) -> Platform | None:
        """What the image is built for, as its name tells; None if the name does not tell."""
        image = _IMAGE.fullmatch(self.image)
        return named_accelerator(image["name"], image["tag"]) if image else None

    @cached_property
    def version(self) -> tuple[int, int, int] | None:
        """Major, minor and patch; None if neither `vllm` nor a vLLM image's tag specifies them."""
        if self.vllm is not None:
            return numbers(self.vllm)
        image = _IMAGE.fullmatch(self.image)
        tag = image["tag"] if image and _TAGGED.fullmatch(image["name"]) else None
        match = _TAG.fullmatch(tag) if tag else None
        return (int(match[1]), int(match[2]), int(match[3])) if match else None

    @cached_property
    def is_official(self) -> bool:
        """Whether the vLLM project publishes the image; it may come from a mirror."""
        image = _IMAGE.fullmatch(self.image)
        return bool(image and _OFFICIAL.fullmatch(image["name"]))

    @cached_property
    def is_certain(self) -> bool:
        """Whether the release is specified, and within the range that this library knows."""
        version = self.version
        return version is not None and numbers(releases()[0]) <= version <= numbers(NEWEST)

    @cached_property
    def name(self) -> str:
        """The release as a string; the newest known one if none is specified."""
        return ".".join(map(str, self.version or numbers(NEWEST)))

    @cached_property
    def known(self) -> str:
        """The shipped release that stands for this one: that of the same minor release.

        The oldest and the newest stand for all before and after them, and the newest for a
        release that is not specified.
        """
        version = self.assumed
        minors = {numbers(one)[:2]: one for one in releases()}
        outside = releases()[0] if version < numbers(releases()[0]) else NEWEST
        return minors.get(version[:2], outside)

    @property
    def catalog(self) -> Catalog:
        """The data file of the `known` release."""
        return catalog(self.known)

    @property
    def is_open(self) -> bool:
        """Whether it may be any release: an image of one's own without `vllm`."""
        return self.version is None and not self.is_official

    @property
    def description(self) -> str:
        """The release in words, with the releases that it is checked against, as a template."""
        if self.version is None:
            return f"vLLM {self.known} (assumed: specify the image's release with {{vllm}})"
        if self.version[:2] == numbers(self.known)[:2]:
            return f"vLLM {self.name}"
        return f"vLLM {self.name} (checked against {self.known})"

    @property
    def assumed(self) -> Version:
        """The release as numbers; the newest known one if none is specified."""
        return self.version or numbers(NEWEST)

    def behaves(self, behavior: Behavior) -> bool:
        """Whether the release has a behavior; the newest known one counts if none is specified."""
        return behaves(self.assumed, behavior)

    def flag(self, where: str, name: str) -> Flag:
        """The entry of `--name` in the catalog of the release.

        On a release older than all shipped ones, a flag that resembles none of theirs is accepted:
        it may have existed before. On a newer release every flag is accepted that did not exist
        before, with a warning if it resembles a known one.

        Args:
            where: The option that names the flag, such as `EngineArgs.extra['seed']`, or a phrase
                such as `The command line`.
            name: Name of the flag, without its dashes.

        Raises:
            VllmConstructsError: The release does not have the flag.
        """
        flag, known = f"--{name}", self.catalog["flags"]
        if flag in known:
            return known[flag]
        if self.may_have(name):
            if self.version and self.version > numbers(NEWEST) and is_misspelled(flag, known):
                near = require.nearest(name, [one.removeprefix("--") for one in known])
                text = f"{_naming(where, name)}is not yet a flag of vLLM {NEWEST}"
                warn(Problem(where=where, text=text, advice=near))
            return {}
        return refuse_unknown(where, name, self)

    def may_have(self, name: str) -> bool:
        """Whether a flag of no catalog may exist, on a release outside of the known range."""
        version = self.version or numbers(NEWEST)
        is_older = version < numbers(releases()[0])
        known, flag = self.catalog, f"--{name}"
        is_elsewhere = any(flag in catalog(one)["flags"] for one in releases())
        if is_elsewhere or other_spelling(known, flag):
            return False
        if version > numbers(NEWEST):
            # Of the flags that came with a release, one in twenty resembles an older one.
            return flag not in known["removed"]
        return is_older and (flag in known["removed"] or not is_misspelled(flag, known["flags"]))


def other_spelling(known: Catalog, flag: str) -> str:
    """The flag of a negation or an alias, without dashes; empty if it is neither."""
    for name, item in known["flags"].items():
        if flag in (item.get("negation"), *item.get("negations", ()), *item.get("aliases", ())):
            return name.removeprefix("--")
    return ""


def refuse_unknown(where: str, name: str, release: VllmRelease) -> NoReturn:
    """Reject the flag `--name`, which the release does not have, with what to use instead.

    Args:
        where: As in `VllmRelease.flag`.
        name: Name of the flag, without its dashes.
        release: The release that does not have it.
    """
    text, advice = _unknown(name, release)
    refuse(Problem(where=where, text=f"{_naming(where, name)}{text}", advice=advice))


def _naming(where: str, name: str) -> str:
    """What names a flag after `where`; nothing if `where` is the flag itself."""
    is_flag = where.endswith((f"[{name!r}]", f".{name.replace('-', '_')}")) or (
        where in (f"--{name}", require.shown(f"--{name}"))
    )
    return "" if is_flag else f"names {escaped(require.shown(name))}, which "


def _unknown(name: str, release: VllmRelease) -> tuple[str, str]:
    """What is wrong with a flag that the release does not have, and what to do."""
    flag, description, known = f"--{name}", release.description, release.catalog
    other = other_spelling(known, flag)
    if other:
        return "is an alias or the negation of a flag", f"use {other!r} instead"
    version = release.version or numbers(NEWEST)
    if flag in known["removed"] and version >= numbers(releases()[0]):
        return f"is no longer a flag of {description}", escaped(known["removed"][flag])
    others = [one for one in releases() if flag in catalog(one)["flags"]]
    later = [one for one in others if numbers(one) > version]
    if later:
        advice = f"vLLM {later[0]} has it: leave it out, or use a newer image"
        return f"is not yet a flag of {description}", advice
    if others:
        advice = f"vLLM {others[-1]} still had it: leave it out"
        return f"is no longer a flag of {description}", advice
    near = require.nearest(name, [one.removeprefix("--") for one in known["flags"]])
    return f"is not a flag of {description}", near
