"""Arguments: flags of `vllm serve` as the words of a command line, or as its `--config` file.

The rules are those of vllm/utils/argparse_utils.py; `argv` reads what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vllm_constructs.releases.release import VllmRelease, catalogue

from .flag_types import plain

if TYPE_CHECKING:
    from vllm_constructs.releases.release import Flag


def as_text(value: Any) -> str:
    """One value as a command line takes it: JSON compact and sorted, numbers as in Python."""
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(plain(value), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return str(plain(value))


def _known(release: VllmRelease | None) -> dict[str, Flag]:
    """The flags of a release; those of two neighbours as the older one has them.

    What the older one spells, such as `--no-enable-prefix-caching`, the newer one takes too.
    """
    if release is None:
        return catalogue()["flags"]
    found: dict[str, Flag] = {}
    for known in reversed(release.catalogues):
        found |= known["flags"]
    return found


def differing(options: Mapping[str, Any], release: VllmRelease | None = None) -> dict[str, Any]:
    """The flags without those that are what vLLM takes anyway.

    Where the image does not say its release, or a newer one than is known, a default that was
    given stays: vLLM may have another there.

    Args:
        options: Values by the flags' names without dashes.
        release: The vLLM that reads them. Default: the newest known one.
    """
    if release is not None and not release.is_certain:
        return dict(options)
    catalogues = (catalogue(),) if release is None else release.catalogues
    return {
        name: value
        for name, value in options.items()
        if not all(_is_default(known["flags"].get(f"--{name}"), value) for known in catalogues)
    }


def _is_default(flag: Flag | None, value: Any) -> bool:
    if flag is None or "default" not in flag:
        return False
    default = flag["default"]
    # True is 1 to Python, and not to vLLM.
    same_kind = isinstance(default, bool) == isinstance(value, bool)
    return same_kind and bool(plain(value) == default)


def _negation(name: str, flag: Flag) -> str:
    """What switches a flag off; nothing where only leaving it out does."""
    return flag.get("negation", "") if flag else f"--no-{name}"


def arguments(options: Mapping[str, Any], release: VllmRelease | None = None) -> list[str]:
    """The flags as arguments: `--flag=value`, booleans bare or negated, lists in one flag.

    `$(` is written `$$(`, since kubelet would take it for a variable of the container.

    Args:
        options: Values by the flags' names without dashes; those that are vLLM's default are
            left out.
        release: The vLLM that reads them. Default: the newest known one.
    """
    known = _known(release)
    found: list[str] = []
    for name, value in differing(options, release).items():
        flag = known.get(f"--{name}", {})
        if value is True:
            found.append(f"--{name}")
        elif value is False:
            found += filter(None, [_negation(name, flag)])
        elif flag.get("append") and isinstance(value, (list, tuple)):
            found += [f"--{name}={as_text(item)}" for item in value]
        elif flag.get("nargs") == "+" or (not flag and isinstance(value, (list, tuple))):
            found += [f"--{name}", *(as_text(item) for item in value)]
        else:
            found.append(f"--{name}={as_text(value)}")
    return [argument.replace("$(", "$$(") for argument in found]


def file_options(options: Mapping[str, Any], release: VllmRelease | None = None) -> dict[str, Any]:
    """The flags as vLLM reads them from its `--config` file.

    It takes every list there for the values of one flag, so a list that is JSON becomes its text.
    Up to 0.22 it passes over `false`, so what is switched off stands there as its negation.

    Args:
        options: Values by the flags' names without dashes; those that are vLLM's default are
            left out.
        release: The vLLM that reads them. Default: the newest known one.
    """
    known = _known(release)
    found: dict[str, Any] = {}
    for name, value in differing(options, release).items():
        flag = known.get(f"--{name}", {})
        if value is False:
            negation = _negation(name, flag)
            found |= {negation.removeprefix("--"): True} if negation else {}
        elif isinstance(value, (list, tuple)) and flag and flag.get("nargs") != "+":
            found[name] = as_text(value)
        else:
            found[name] = plain(value)
    return found
