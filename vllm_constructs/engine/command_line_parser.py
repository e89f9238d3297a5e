"""Argv: the command line of `vllm serve`, read as its own parser reads it.

The rules are those of vllm/utils/argparse_utils.py and of Python's argparse: `_` is `-`, a name
may be cut where that is unambiguous, booleans take no value, JSON may be written with dots, and
of a flag that is repeated the last one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import VllmConstructsError, refuse
from vllm_constructs.releases.release import VllmRelease, refuse_unknown

from . import conflicts as contradictions
from .engine_args import EngineArgs
from .flag_parsing import dotted, value_of
from .flag_types import check_value
from .reserved_flags import DERIVED

if TYPE_CHECKING:
    from vllm_constructs.releases.release import Flag

_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)
_LEVEL = re.compile(r"-O=?(\d)")
# A variable of the container, as Kubernetes writes it, or of a shell.
_VARIABLE = re.compile(r"\$[({A-Za-z_]")
# How the checks of EngineArgs name a flag.
_KEYWORD = re.compile(r"\bEngineArgs\.(?!extra)([a-z0-9_]+)")
_ON = "write the flag alone to switch it on, or its negation"


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


@dataclass(kw_only=True)
class CommandLine:
    """What could be read of a command line, and what could not.

    Args:
        model: The model; None where it is left out.
        options: Flags by their names without dashes, with values of their own types.
        unread: Flags whose values are not on the line but in a variable, a sentence each.
        refusals: What vLLM's parser refuses, a sentence each.
    """

    model: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)


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
    words = require.items("argv", argv, "a list of texts")
    texts = [one if isinstance(one, str) else require.wrong("argv", one, "texts") for one in words]
    texts = [one.replace("$$(", "$(") for one in texts]
    for word in ("vllm", "serve"):
        if texts[:1] == [word]:
            del texts[0]
    line = read(texts, release, has_variables=False)
    for sentence in line.refusals:
        refuse(sentence)
    return parsed(line, release)


def read(words: Sequence[str], release: VllmRelease, *, has_variables: bool = True) -> CommandLine:
    """Read what follows `vllm serve` as far as it can be read, and refuse nothing.

    Args:
        words: Model and flags, as vLLM gets them.
        release: The vLLM that reads them.
        has_variables: Whether `$(NAME)` stands for something else. Default True.
    """
    return _Reader(release, has_variables=has_variables).read(words)


def parsed(line: CommandLine, release: VllmRelease) -> ParsedArgs:
    """What was read, as EngineArgs and what this library derives.

    Args:
        line: A command line that was read.
        release: The vLLM that reads it.

    Raises:
        VllmConstructsError: vLLM does not start with these flags.
    """
    given = {name.replace("-", "_"): value for name, value in line.options.items()}
    contradictions.check(given, dashed=True)
    if line.model is None and "served-model-name" in line.options and "config" not in line.options:
        refuse(
            "--served-model-name is given without a model, and vLLM does not start like that; put "
            "the model first."
        )
    typed = {one.name for one in fields(EngineArgs)}
    derived: dict[str, Any] = {}
    keywords: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in sorted(line.options.items()):
        if name in DERIVED:
            derived[name] = value
        elif name.replace("-", "_") in typed:
            keywords[name.replace("-", "_")] = value
        else:
            extra[name] = value
    try:
        engine = EngineArgs(**keywords, extra=extra)
        engine.check(release)
    except VllmConstructsError as error:
        sentence = _KEYWORD.sub(lambda one: f"--{one[1].replace('_', '-')}", str(error))
        raise VllmConstructsError(sentence) from None
    return ParsedArgs(engine=engine, model=line.model, derived=derived)


def file_words(options: Mapping[str, Any], release: VllmRelease) -> list[str]:
    """The flags of vLLM's `--config` file as the words that it makes of them.

    They go between the model and the other words of the command line, which so count more.

    Args:
        options: What stands in the file, as YAML has it.
        release: The vLLM that reads it.
    """
    found: list[str] = []
    negations = _Reader(release).spellings
    for key, value in options.items():
        if isinstance(value, bool):
            word = f"--{key}" if value else f"--no-{key}"
            # What has no negation is left out.
            found += [word] if value or word in negations else []
        elif isinstance(value, Mapping):
            found += [f"--{key}", json.dumps(value)]
        elif isinstance(value, list):
            found += [f"--{key}", *map(str, value)] if value else []
        else:
            found += [f"--{key}", str(value)]
    return found


class _Reader:
    """One pass over the arguments."""

    def __init__(self, release: VllmRelease, *, has_variables: bool = True) -> None:
        self.release = release
        self.has_variables = has_variables
        self.line = CommandLine()
        self.dotted: dict[str, dict[str, Any]] = {}
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

    def read(self, words: Sequence[str]) -> CommandLine:
        line, rest = self.line, list(words)
        while rest:
            word = rest.pop(0)
            try:
                self._word(word, rest)
            except VllmConstructsError as error:
                line.refusals.append(str(error))
                # The values of a flag that nobody knows are not taken for others.
                while word.startswith("-") and "=" not in word and rest and not _is_flag(rest[0]):
                    rest.pop(0)
        for key, parts in self.dotted.items():
            # vLLM puts them at the end, as JSON of their own, and of two the last one counts.
            try:
                check_value(f"--{key}", self.flags[f"--{key}"], parts)
            except VllmConstructsError as error:
                line.refusals.append(str(error))
            else:
                line.options[key] = parts
        model = line.options.pop("model", None)
        line.model = model if line.model is None else line.model
        return line

    def _word(self, word: str, rest: list[str]) -> None:
        """Read a word, and the values that belong to it off the rest."""
        if not _is_flag(word):
            if self.line.model is not None:
                refuse(
                    f"{require.shown(word)} belongs to no flag: the model stands first, and a "
                    "boolean flag takes no value; take it out."
                )
            self.line.model = word
            if self.has_variables and _VARIABLE.search(word):
                self.line.unread["model"] = (
                    f"the model is {require.shown(word)}, and its value is in none of the "
                    "manifests."
                )
            return
        word = f"-cc.{word[3:]}" if word.startswith("-O.") else word
        level = _LEVEL.fullmatch(word)
        text, is_given, value = (f"-O={level[1]}" if level else word).partition("=")
        text, _, path = text.partition(".")
        name, off = self._flag(text)
        key, flag = name.removeprefix("--"), self.flags[name]
        if not path and (flag.get("type", "") == "bool" or off):
            if is_given:
                refuse(f"{name} is a switch, and {require.shown(word)} gives it a value; {_ON}.")
            self.line.options[key] = not off
            return
        several = flag.get("nargs") == "+" and not path
        optional = flag.get("nargs") == "?" and not path
        if is_given:
            values = [value]
        elif optional and (not rest or _is_flag(rest[0])):
            self.line.options[key] = True
            return
        else:
            values = _take(word if path else name, rest, several=several)
        hidden = [one for one in values if self.has_variables and _VARIABLE.search(one)]
        if hidden:
            self.line.unread[key] = (
                f"{name} is {require.shown(hidden[0])}, and its value is in none of the manifests."
            )
        elif path:
            _update(self.dotted.setdefault(key, {}), _nested(path, values[0]))
        else:
            self._put(key, flag, [value_of(name, flag, one) for one in values])

    def _put(self, key: str, flag: Flag, values: list[Any]) -> None:
        """Keep a flag's value; the last one counts, but such flags as add to each other."""
        found = self.line.options
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
        if not name.startswith("--"):
            refuse(f"{require.shown(text)} is no flag of {self.release.called}; write it out.")
        if name not in self.release.catalogues[-1]["removed"]:
            options = sorted(one for one in self.spellings if one.startswith(name))
            if len(options) == 1:
                return self.spellings[options[0]]
            if options:
                refuse(f"{require.shown(text)} may be {require.one_of(options)}; write it out.")
        plain = name.removeprefix("--")
        if self.release.may_have(plain):
            refuse(
                f"The command line names {plain!r}, which {self.release.said} may have, but this "
                "library does not know; give it in EngineArgs.extra."
            )
        return refuse_unknown("The command line", plain, self.release)


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-" and not _NEGATIVE.fullmatch(word)


def _take(name: str, rest: list[str], *, several: bool) -> list[str]:
    """Take the values of a flag off what follows it."""
    found: list[str] = []
    while rest and (several or not found):
        if _is_flag(rest[0]):
            break
        found.append(rest.pop(0))
    if not found:
        refuse(f"{name} has no value; give one after it.")
    return found


def _nested(path: str, text: str) -> dict[str, Any]:
    """What `--flag.a.b value` says; `b+` takes a list with commas."""
    value: Any = text.split(",") if path.endswith("+") else dotted(text)
    for key in reversed(path.removesuffix("+").split(".")):
        value = {key: value}
    return dict(value)


def _update(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put more into what stands there: dicts grow, lists add up, the last of all else counts."""
    for key, value in more.items():
        before = into.get(key)
        if isinstance(before, dict) and isinstance(value, Mapping):
            _update(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            into[key] = [*before, *value]
        else:
            into[key] = value
