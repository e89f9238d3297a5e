"""VllmRelease: what one vLLM release knows, found from the image's tag."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypedDict, cast

from . import _check
from .errors import refuse, warn

NEWEST = "0.33.0"
DEFAULT_IMAGE = f"vllm/vllm-openai:v{NEWEST}"

_IMAGE = re.compile(
    r"(?P<name>[a-zA-Z0-9][a-zA-Z0-9._-]*(:\d{1,5}(?=/))?(/[a-z0-9][a-z0-9._-]*)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?",
    re.ASCII,
)
_TAG = re.compile(r"v?(\d+)\.(\d+)\.(\d+)([.-].*)?")


class Flag(TypedDict, total=False):
    """One flag of `vllm serve`, as a data file holds it."""

    type: str
    choices: list[str | int]
    fields: list[str]
    nargs: str
    negation: str
    aliases: list[str]
    deprecated: bool


class Catalogue(TypedDict):
    """The data file of one release."""

    release: str
    flags: dict[str, Flag]
    removed: dict[str, str]
    tool_call_parsers: list[str]
    reasoning_parsers: list[str]


@cache
def catalogue(release: str = NEWEST) -> Catalogue:
    """The data file of `release`, read once and only when asked for."""
    path = Path(__file__).with_name("data") / f"vllm-{release}.json"
    return cast("Catalogue", json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class VllmRelease:
    """The vLLM release in an image.

    Args:
        image: Image reference with a tag or a digest, such as `vllm/vllm-openai:v0.33.0`
            (default: the newest release that this library knows). A tag that names no release
            works, with a warning for `latest`, and is taken for the newest known release.

    Raises:
        VllmConstructsError: The reference is malformed, or has neither tag nor digest.
    """

    image: str = field(default=DEFAULT_IMAGE)

    def __post_init__(self) -> None:
        found = _IMAGE.fullmatch(self.image) if isinstance(self.image, str) else None
        example = f"an image with a tag or digest, such as {DEFAULT_IMAGE!r}"
        if not found:
            _check.wrong("image", self.image, example)
        if not found["tag"] and not found["digest"]:
            _check.wrong("image", self.image, example, "without one, every node may run another")
        if found["name"].startswith("vllm/vllm-openai") and (found["tag"] or "")[:1].isdigit():
            _check.wrong(
                "image", self.image, example, f"its tags begin with 'v': 'v{found['tag']}'"
            )
        if found["tag"] == "latest" and not found["digest"]:
            warn(
                f"image is {self.image!r}: 'latest' changes under running models; "
                f"name a release, such as {DEFAULT_IMAGE!r}."
            )

    @property
    def version(self) -> tuple[int, int, int] | None:
        """Major, minor and patch from the tag; None where the tag names no release."""
        image = _IMAGE.fullmatch(self.image)
        found = _TAG.fullmatch(image["tag"]) if image and image["tag"] else None
        return (int(found[1]), int(found[2]), int(found[3])) if found else None

    @property
    def is_known(self) -> bool:
        """Whether the flags of this release are those of the shipped catalogue or newer.

        A tag that names no release counts as the newest one. An older release has flags that
        the catalogue lacks, so there only the spelling of extra flags is checked.
        """
        newest = tuple(int(part) for part in NEWEST.split("."))
        return self.version is None or self.version >= newest

    def flag(self, where: str, name: str) -> Flag:
        """What the catalogue knows of `--name`; refused with the replacement or nearest flag."""
        known = catalogue()
        found = known["flags"].get(f"--{name}")
        if found is not None:
            return found
        if not self.is_known:
            return {}
        for flag, item in known["flags"].items():
            if f"--{name}" in (item.get("negation"), *item.get("aliases", ())):
                refuse(f"{where} names {name!r}; write it as {flag.removeprefix('--')!r}.")
        if f"--{name}" in known["removed"]:
            hint = known["removed"][f"--{name}"]
            refuse(f"{where} names {name!r}, which vLLM {known['release']} no longer has; {hint}.")
        near = _check.nearest(name, [flag.removeprefix("--") for flag in known["flags"]])
        end = f"; {near}" if near else "."
        return refuse(f"{where} names {name!r}, which is no flag of vLLM {known['release']}{end}")
