"""The command line of `vllm serve`, read as its own parser reads it.

The rules are those of vllm/utils/argparse_utils.py and of Python's argparse: `_` is `-`, a name
may be cut where that is unambiguous, booleans take no value, JSON may be written with dots, and
of a flag that is repeated the last one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import _check, contradictions
from .derived_flags import DERIVED
from .engine import EngineArgs
from .errors import refuse
from .flag_values import check_value
from .release import VllmRelease

if TYPE_CHECKING:
    from .release import Flag

_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kKmMgGtT])", re.ASCII)
_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_LEVEL = re.compile(r"-O\.?=?(\d)")


@dataclass(frozen=True, kw_only=True)
class ParsedArgs:
    """What a command line of `vllm serve` says.

    Args:
        engine: The flags that a user gives.
        model: The model; None where it is left out.
        derived: The flags that this library derives from other facts, by their names without
            dashes, such as `{"served-model-name": ["qwen"], "port": 8000}`.
    """

    engine: EngineArgs
    model: str | None
    derived: Mapping[str, Any]


def parse_args(argv: Sequence[str], *, release: VllmRelease | None = None) -> ParsedArgs:
    """Read the arguments of `vllm serve`.

    Args:
        argv: The arguments as a manifest has them, so that `$$(` is `$(`: the model first, then
            flags. `vllm` and `serve` may stand before it.
        release: The vLLM that reads them. Default: the newest known one.

    Raises:
        VllmConstructsError: The parser of that release refuses them, or vLLM does not start with
            them.
    """
    release = VllmRelease() if release is None else release
    words = _check.items("argv", argv, "a list of texts")
    texts = [one if isinstance(one, str) else _check.wrong("argv", one, "texts") for one in words]
    texts = [one.replace("$$(", "$(") for one in texts]
    for word in ("vllm", "serve"):
        if texts[:1] == [word]:
            del texts[0]
    model = texts.pop(0) if texts and not texts[0].startswith("-") else None
    found = _Reader(release).read(texts)
    model = found.pop("model", None) if model is None else model
    contradictions.check({name.replace("-", "_"): one for name, one in found.items()}, dashed=True)
    derived = {name: found.pop(name) for name in sorted(found) if name in DERIVED}
    keywords = EngineArgs.__init__.__kwdefaults__ or {}
    given: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in found.items():
        python = name.replace("-", "_")
        if python in keywords:
            given[python] = value
        else:
            extra[name] = value
    engine = EngineArgs(**given, extra=extra)
    engine.check(release)
    return ParsedArgs(engine=engine, model=model, derived=derived)


class _Reader:
    """One pass over the arguments."""

    def __init__(self, release: VllmRelease) -> None:
        self.release = release
        self.flags: dict[str, Flag] = {}
        for known in reversed(release.catalogues):
            self.flags |= known["flags"]
        # Every spelling, with its flag and whether it switches the flag off.
        self.spellings: dict[str, tuple[str, bool]] = {}
        for name, flag in self.flags.items():
            self.spellings[name] = (name, False)
            self.spellings |= dict.fromkeys(flag.get("aliases", ()), (name, False))
            negations = [flag.get("negation"), *flag.get("negations", ())]
            self.spellings |= {one: (name, True) for one in negations if one}

    def read(self, texts: list[str]) -> dict[str, Any]:
        """Values by the flags' names without dashes."""
        found: dict[str, Any] = {}
        dotted: dict[str, dict[str, Any]] = {}
        rest = list(texts)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-") or word == "-":
                refuse(
                    f"{_check.shown(word)} belongs to no flag: the model stands first, and a "
                    "boolean flag takes no value; take it out."
                )
            level = _LEVEL.fullmatch(word)
            if level:
                word = f"-O={level[1]}"
            text, is_given, value = word.partition("=")
            text, _, path = text.partition(".")
            name, off = self._flag(text)
            key, flag = name.removeprefix("--"), self.flags[name]
            if path:
                values = [value] if is_given else _take(word, rest, several=False)
                _set(dotted.setdefault(key, {}), path, values[0], name)
                continue
            if flag.get("type", "") == "bool" or off:
                if is_given:
                    refuse(f"{name} is a switch, and {_check.shown(word)} gives it a value; {_ON}.")
                found[key] = not off
                continue
            several = flag.get("nargs") == "+"
            optional = flag.get("nargs") == "?"
            if is_given:
                values = [value]
            elif optional and (not rest or rest[0].startswith("-")):
                values = [""]
            else:
                values = _take(name, rest, several=several)
            self._put(found, key, flag, [_value(name, flag, one) for one in values])
        for key, parts in dotted.items():
            # What is written with dots stands beside what is written as JSON.
            whole = found.get(key)
            found[key] = _merged(whole, parts) if isinstance(whole, dict) else parts
            check_value(f"--{key}", self.flags[f"--{key}"], found[key])
        return found

    def _put(self, found: dict[str, Any], key: str, flag: Flag, values: list[Any]) -> None:
        """Keep a flag's value; the last one counts, but such flags as add to each other."""
        value = values if flag.get("nargs") == "+" else values[0]
        if value is None:
            found.pop(key, None)
            return
        if flag.get("append") and key in found:
            before = found[key] if isinstance(found[key], list) else [found[key]]
            value = [*before, value]
        check_value(f"--{key}", flag, value)
        found[key] = value

    def _flag(self, text: str) -> tuple[str, bool]:
        """The flag that a word names, and whether it switches it off."""
        name = "--" + text[2:].replace("_", "-") if text.startswith("--") else text
        name = "--optimization-level" if name == "-O" else name
        if name in self.spellings:
            return self.spellings[name]
        plain = name.removeprefix("--")
        if name.startswith("--") and name not in self.release.catalogues[-1]["removed"]:
            options = sorted(one for one in self.spellings if one.startswith(name))
            if len(options) == 1:
                return self.spellings[options[0]]
            if options:
                refuse(f"{_check.shown(text)} may be {_check.one_of(options)}; write it out.")
        if not name.startswith("--"):
            refuse(f"{_check.shown(text)} is no flag of {self.release.called}; write it out.")
        unknown = self.release.flag("The command line", plain)
        if unknown:
            return name, False
        return refuse(
            f"The command line names {plain!r}, which {self.release.called} may have, but this "
            "library does not know; give it in EngineArgs.extra."
        )


_ON = "write the flag alone to switch it on, or its negation"


def _take(name: str, rest: list[str], *, several: bool) -> list[str]:
    """Take the values of a flag off what follows it."""
    found: list[str] = []
    while rest and (several or not found):
        if rest[0].startswith("-") and rest[0] != "-" and not _NEGATIVE.fullmatch(rest[0]):
            break
        found.append(rest.pop(0))
    if not found:
        refuse(f"{name} has no value; give one after it.")
    return found


def _set(into: dict[str, Any], path: str, text: str, name: str) -> None:
    """Put the value of `--flag.a.b value` in its place; `b+` adds to a list."""
    keys = path.split(".")
    for key in keys[:-1]:
        inner = into.setdefault(key.replace("-", "_"), {})
        if not isinstance(inner, dict):
            refuse(f"{name}.{path} needs a dict, but {key!r} is {_check.shown(inner)}.")
        into = inner
    last = keys[-1].replace("-", "_")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if last.endswith("+"):
        before = into.get(last[:-1], [])
        into[last[:-1]] = [*before, *(value if isinstance(value, list) else [value])]
    else:
        into[last] = value


def _merged(whole: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(whole)
    for key, value in more.items():
        before = found.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        found[key] = _merged(before, value) if both and before is not None else value
    return found


def _value(name: str, flag: Flag, text: str) -> Any:
    """A flag's text in the flag's own type; None where it is left out."""
    if text not in ("", "None") or text in flag.get("choices", ()):
        return _converted(name, flag.get("type", ""), text)
    # vLLM reads both as nothing where nothing is the default.
    if flag.get("default", "") != "":
        refuse(f"{name} has the value {text!r}; give one, or leave the flag out.")
    return None


def _converted(name: str, kind: str, text: str) -> Any:
    if kind.startswith("human-readable-int"):
        return _amount(name, kind, text)
    if kind == "json" or (kind == "json-or-str" and re.fullmatch(r"\s*\{.*\}\s*", text, re.DOTALL)):
        try:
            return json.loads(text)
        except ValueError:
            _check.wrong(name, text, "JSON", _hint(name, text))
    if kind.startswith("comma-list"):
        return int(text) if text.isdecimal() and text.isascii() else text
    if kind in ("int", "float"):
        return _number(name, kind, text)
    return text.lower().replace("-", "_") if kind.startswith("str(") else text


def _number(name: str, kind: str, text: str) -> int | float:
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        return _check.wrong(name, text, "a whole number" if kind == "int" else "a number")


def _hint(name: str, text: str) -> str:
    key, is_pair, value = text.partition("=")
    return f'write {name} {{"{key}": {value}}}' if is_pair and key.isidentifier() else ""


def _amount(name: str, kind: str, text: str) -> int | str:
    """A size: `32k` is 32,000 and `32K` is 32,768."""
    if kind.endswith("-or-auto") and text in ("auto", "-1"):
        return "auto"
    found = _SIZE.fullmatch(text)
    if found and found[2] in _UNITS:
        return int(Decimal(found[1]) * _UNITS[found[2]])
    if found and found[1].isdigit():
        return int(found[1]) * _BINARY[found[2]]
    try:
        return int(text)
    except ValueError:
        return _check.wrong(name, text, "a whole number, such as 32768, 32k or 32K")
