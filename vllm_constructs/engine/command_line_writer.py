"""Writer of flags: as the words of a `vllm serve` command line, or as its `--config` file.

The rules are those of vllm/utils/argparse_utils.py; `command_line_parser` is the inverse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vllm_constructs.releases.release import VllmRelease, catalog, releases

from .flag_types import plain

if TYPE_CHECKING:
    from vllm_constructs.releases.release import Flag


def as_text(value: Any) -> str:
    """One value for a command line: JSON compact and sorted, numbers as in Python."""
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(plain(value), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return str(plain(value))


def _known(release: VllmRelease | None) -> dict[str, Flag]:
    """The flags of a release."""
    return catalog()["flags"] if release is None else release.catalog["flags"]


def differing(options: Mapping[str, Any], release: VllmRelease | None = None) -> dict[str, Any]:
    """The flags without those that equal vLLM's defaults.

    If the image's release is unspecified, or newer than the newest known one, all flags are kept,
    since its defaults may differ.

    Args:
        options: Values by the flags' names without dashes.
        release: The vLLM that reads them. Default: the newest known one.
    """
    if release is not None and not release.is_certain:
        return dict(options)
    known = _known(release)
    return {
        name: value
        for name, value in options.items()
        if not _is_default(known.get(f"--{name}"), value)
    }


def _is_default(flag: Flag | None, value: Any) -> bool:
    if flag is None or "default" not in flag:
        return False
    default = flag["default"]
    # True == 1 in Python, but not in vLLM.
    same_kind = isinstance(default, bool) == isinstance(value, bool)
    return same_kind and bool(plain(value) == default)


def _negation(name: str, flag: Flag, release: VllmRelease | None) -> str:
    """The flag that switches a flag off; empty if the flag can only be left out.

    Of an image that may have any release, it is the first spelling that all shipped ones take.
    """
    if not flag:
        return f"--no-{name}"
    if release is not None and release.is_open:
        entries = [catalog(one)["flags"].get(f"--{name}") for one in releases()]
        taken = [set(_negations(entry)) for entry in entries if entry]
        common = (one for one in _negations(flag) if all(one in spellings for spellings in taken))
        return next(common, flag.get("negation", ""))
    return flag.get("negation", "")


def _negations(flag: Flag) -> list[str]:
    return [one for one in (flag.get("negation"), *flag.get("negations", ())) if one]


def arguments(
    options: Mapping[str, Any],
    release: VllmRelease | None = None,
    *,
    escape: Callable[[str], str] = lambda word: word.replace("$(", "$$("),
) -> list[str]:
    """The flags as arguments: `--flag=value`, Booleans bare or negated, lists in one flag.

    Args:
        options: Values by the flags' names without dashes; those that equal vLLM's defaults are
            left out.
        release: The vLLM that reads them. Default: the newest known one.
        escape: Escapes what kubelet would expand as a variable of the container. Default: all of
            it, `$(` as `$$(`.
    """
    known = _known(release)
    words: list[str] = []
    for name, value in differing(options, release).items():
        flag = known.get(f"--{name}", {})
        if value is True:
            words.append(f"--{name}")
        elif value is False:
            words += filter(None, [_negation(name, flag, release)])
        elif flag.get("append") and isinstance(value, (list, tuple)):
            words += [f"--{name}={as_text(item)}" for item in value]
        elif flag.get("nargs") == "+" or (not flag and isinstance(value, (list, tuple))):
            words += [f"--{name}", *(as_text(item) for item in value)]
        else:
            words.append(f"--{name}={as_text(value)}")
    return [escape(word) for word in words]


def file_options(options: Mapping[str, Any], release: VllmRelease | None = None) -> dict[str, Any]:
    """The flags for vLLM's `--config` file.

    vLLM reads every list there as the values of one flag, so a list that is JSON is written as a
    string. Up to 0.22 it ignores `false`, so a flag that is off is written as its negation.

    Args:
        options: Values by the flags' names without dashes; those that equal vLLM's defaults are
            left out.
        release: The vLLM that reads them. Default: the newest known one.
    """
    known = _known(release)
    written: dict[str, Any] = {}
    for name, value in differing(options, release).items():
        flag = known.get(f"--{name}", {})
        if value is False:
            negation = _negation(name, flag, release)
            written |= {negation.removeprefix("--"): True} if negation else {}
        elif isinstance(value, (list, tuple)) and flag and flag.get("nargs") != "+":
            written[name] = as_text(value)
        else:
            written[name] = plain(value)
    return written
