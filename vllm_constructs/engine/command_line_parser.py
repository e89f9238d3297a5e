"""Parser of a `vllm serve` command line, with the rules of vLLM's own parser.

The rules are those of vllm/utils/argparse_utils.py and of Python's argparse: `_` is `-`, a name
may be abbreviated if that is unambiguous, Booleans take no value, JSON may be written with dots,
and of a repeated flag the last one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, VllmConstructsError, escaped, refuse
from vllm_constructs.releases.release import VllmRelease, catalog, refuse_unknown

from .conflicts import conflict
from .engine_args import EngineArgs
from .flag_checks import on_release
from .flag_parsing import dotted, value_of
from .flag_types import check_value
from .reserved_flags import RESERVED
from .spelling import as_flags

if TYPE_CHECKING:
    from vllm_constructs.releases.release import Flag

_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+", re.ASCII)
_LEVEL = re.compile(r"-O=?(\d)")
_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")
# A variable of the container, in the notation of Kubernetes or of a shell.
_VARIABLE = re.compile(r"\$[({A-Za-z_@*]")
REST = "one of the arguments"
"""Stands for the flags that a word in a variable may give."""


@dataclass(frozen=True, kw_only=True)
class ParsedArgs:
    """The contents of a `vllm serve` command line.

    Args:
        engine: The flags that EngineArgs accepts.
        model: The model; None if it is left out.
        derived: The flags that this library derives from other options, by their names without
            dashes, such as `{"served-model-name": ["qwen"], "port": 8000}`. They are not in the
            `repr`, since an API key may be among them.
    """

    engine: EngineArgs
    model: str | None
    derived: Mapping[str, Any] = field(repr=False)


class Given(NamedTuple):
    """A word of a command line that is no value of another one.

    Attributes:
        at: Number of the word.
        word: The word.
        flag: Name of the flag without dashes, `model` for the model; None if the release has no
            such flag, and for a word that belongs to no flag.
        keys: Keys of the flag's JSON that follow a dot; empty for the flag itself.
        problem: Why vLLM's parser rejects the word or its value; None if it does not.
    """

    at: int
    word: str
    flag: str | None
    keys: str
    problem: Problem | None


@dataclass(kw_only=True)
class CommandLine:
    """A parsed command line, with the parts that could not be parsed.

    Args:
        model: The model; None if it is left out. Default None.
        options: Flags by their names without dashes, with values of their own types. Default: none.
        unread: Flags whose values are in a variable, with the reason. Default: none.
        problems: What vLLM's parser rejects. Default: none.
        given: The words that name flags or are the model, and those that are neither, in their
            order. Default: none.
    """

    model: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    unread: dict[str, Problem] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)


def parse_args(argv: Sequence[str], *, release: VllmRelease | None = None) -> ParsedArgs:
    """Parse the arguments of `vllm serve`.

    Args:
        argv: The arguments as in a manifest, so that `$$(` is `$(`: the model first, then flags.
            `vllm` and `serve` may precede it.
        release: The vLLM that reads them. Default: the newest known one.

    Raises:
        VllmConstructsError: The parser of that release rejects them, or vLLM does not start with
            them.
    """
    release = VllmRelease() if release is None else release
    words: list[str] = []
    for at, word in enumerate(require.items("argv", argv, "a list of strings")):
        if not isinstance(word, str):
            require.wrong(f"argv[{at}]", word, "a string")
        words.append(word.replace("$$(", "$("))
    for name in ("vllm", "serve"):
        if words[:1] == [name]:
            del words[0]
    line = read(words, release, has_variables=False)
    for problem in line.problems:
        raise VllmConstructsError(problem, as_flags)
    return parsed(line, release)


def read(words: Sequence[str], release: VllmRelease, *, has_variables: bool = True) -> CommandLine:
    """Parse what follows `vllm serve` as far as possible; the result has the problems.

    Args:
        words: Model and flags, as vLLM receives them.
        release: The vLLM that reads them.
        has_variables: Whether `$(NAME)` is a variable, whose value is not known. Default True.
    """
    return _Reader(release, has_variables=has_variables).read(words)


def parsed(line: CommandLine, release: VllmRelease, *, is_complete: bool = True) -> ParsedArgs:
    """A parsed command line, as EngineArgs and the flags that this library derives.

    Args:
        line: The parsed command line.
        release: The vLLM that reads it.
        is_complete: Whether vLLM has no other flags than these. Default: True; otherwise this
            library adds some, such as the tensor parallel size.

    Raises:
        VllmConstructsError: vLLM does not start with these flags.
    """
    given = {name.replace("-", "_"): value for name, value in line.options.items()}
    problem = conflict(given, is_complete=is_complete)
    if problem is not None:
        raise VllmConstructsError(problem, as_flags)
    if line.model is None and "served-model-name" in line.options and "config" not in line.options:
        refuse(
            Problem(
                where="--served-model-name",
                text="is given without a model, and vLLM does not start with that",
                advice="put the model first",
            )
        )
    typed = EngineArgs.keywords()
    derived: dict[str, Any] = {}
    keywords: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in sorted(line.options.items()):
        if name in RESERVED:
            derived[name] = value
        elif name.replace("-", "_") in typed:
            keywords[name.replace("-", "_")] = value
        else:
            extra[name] = value
    try:
        engine = EngineArgs(**keywords, extra=extra)
        engine.check(release)
    except VllmConstructsError as error:
        raise VllmConstructsError(error.problem, as_flags) from None
    return ParsedArgs(engine=engine, model=line.model, derived=derived)


def file_words(options: Mapping[str, Any], release: VllmRelease) -> list[str]:
    """The flags of vLLM's `--config` file as the words that vLLM makes of them.

    They go between the model and the other words of the command line, which take precedence.

    Args:
        options: The contents of the file.
        release: The vLLM that reads it.
    """
    words: list[str] = []
    negations = _Reader(release).spellings
    for key, value in options.items():
        if isinstance(value, bool):
            word = f"--{key}" if value else f"--no-{key}"
            # vLLM ignores `false` for a flag without a negation.
            words += [word] if value or word in negations else []
        elif isinstance(value, Mapping):
            words += [f"--{key}", json.dumps(value)]
        elif isinstance(value, list):
            words += [f"--{key}", *map(str, value)] if value else []
        else:
            words += [f"--{key}", str(value)]
    return words


@cache
def _known(release: str) -> tuple[Mapping[str, Flag], Mapping[str, tuple[str, bool]]]:
    """The flags of a release, and every spelling of one.

    Each spelling has its flag, and whether it switches the flag off.
    """
    flags = catalog(release)["flags"]
    spellings: dict[str, tuple[str, bool]] = {}
    for name, flag in flags.items():
        spellings[name] = (name, False)
        spellings |= dict.fromkeys(flag.get("aliases", ()), (name, False))
        negations = [flag.get("negation"), *flag.get("negations", ())]
        spellings |= {one: (name, True) for one in negations if one}
    return flags, spellings


class _Reader:
    """One pass over the words of a command line."""

    def __init__(self, release: VllmRelease, *, has_variables: bool = True) -> None:
        self.release = release
        self.has_variables = has_variables
        self.line = CommandLine()
        self.dotted: dict[str, dict[str, Any]] = {}
        self.flags, self.spellings = _known(release.known)
        # The flag that the current word names, and the keys behind its dot.
        self.named: tuple[str | None, str] = (None, "")

    def read(self, words: Sequence[str]) -> CommandLine:
        line, rest = self.line, list(words)
        while rest:
            at, word = len(words) - len(rest), rest.pop(0)
            self.named, problem = (None, ""), None
            try:
                self._word(word, rest)
            except VllmConstructsError as error:
                problem = error.problem
                line.problems.append(problem)
                # The values of an unknown flag belong to no other flag.
                while word.startswith("-") and "=" not in word and rest and not _is_flag(rest[0]):
                    rest.pop(0)
            line.given.append(Given(at, word, *self.named, problem))
        for key, parts in self.dotted.items():
            # vLLM appends them as a JSON value of their own, and of two values the last one counts.
            try:
                self._check(key, parts)
            except VllmConstructsError as error:
                line.problems.append(error.problem)
                first = next(i for i, one in enumerate(line.given) if one.flag == key and one.keys)
                line.given[first] = line.given[first]._replace(problem=error.problem)
            else:
                line.options[key] = parts
        model = line.options.pop("model", None)
        line.model = model if line.model is None else line.model
        return line

    def _word(self, word: str, rest: list[str]) -> None:
        """Parse a word, and take its values off the rest."""
        if not _is_flag(word):
            self._model(word)
            return
        word = f"-cc.{word[3:]}" if word.startswith("-O.") else word
        level = _LEVEL.fullmatch(word)
        text, is_given, value = (f"-O={level[1]}" if level else word).partition("=")
        text, _, path = text.partition(".")
        name, off = self._flag(text)
        key, flag = name.removeprefix("--"), self.flags[name]
        self.named = (key, path)
        if not path and (flag.get("type", "") == "bool" or off):
            if is_given:
                refuse(
                    Problem(
                        where=name,
                        text=f"takes no value, but {escaped(require.shown(word))} gives one",
                        value=require.shown(value),
                        advice="write the flag alone to switch it on, or its negation",
                    )
                )
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
            values = _take(require.shown(word) if path else name, rest, several=several)
        hidden = [one for one in values if self.has_variables and _VARIABLE.search(one)]
        if hidden:
            self.line.unread[key] = _unread(name, hidden[0])
        elif path:
            _update(self.dotted.setdefault(key, {}), _nested(name, path, values[0]))
        else:
            self._put(key, flag, [value_of(name, flag, one) for one in values])

    def _model(self, word: str) -> None:
        """Take a word that belongs to no flag: the model."""
        line, is_variable = self.line, self.has_variables and bool(_VARIABLE.search(word))
        if line.model is None:
            line.model = word
            self.named = ("model", "")
            if is_variable:
                line.unread["model"] = _unread("the model", word)
        elif is_variable:
            line.unread[REST] = _unread(REST, word)
        else:
            text = "belongs to no flag: the model comes first, and a Boolean flag takes no value"
            refuse(Problem(where=require.shown(word), text=text, advice="remove it"))

    def _put(self, key: str, flag: Flag, values: list[Any]) -> None:
        """Keep a flag's value; the last one counts, except for a flag that appends."""
        options = self.line.options
        value = values if flag.get("nargs") == "+" else values[0]
        if value is None:
            options.pop(key, None)
            return
        if flag.get("append") and key in options:
            before = options[key] if isinstance(options[key], list) else [options[key]]
            value = [*before, value]
        self._check(key, value)
        options[key] = value

    def _check(self, key: str, value: object) -> None:
        try:
            check_value(f"--{key}", self.flags[f"--{key}"], value)
        except VllmConstructsError as error:
            refuse(on_release(self.release, error.problem))

    def _flag(self, text: str) -> tuple[str, bool]:
        """The flag that a word names, and whether the word switches it off."""
        name = "--" + text[2:].replace("_", "-") if text.startswith("--") else text
        name = "--optimization-level" if name == "-O" else name
        if name in self.spellings:
            return self.spellings[name]
        if not name.startswith("--"):
            refuse(
                Problem(
                    where=require.shown(text),
                    text=f"is not a flag of {self.release.description}",
                    advice="write the flag in full, with two dashes",
                )
            )
        if name not in self.release.catalog["removed"]:
            options = sorted(one for one in self.spellings if one.startswith(name))
            if len(options) == 1:
                return self.spellings[options[0]]
            if options:
                refuse(
                    Problem(
                        where=require.shown(text),
                        text="is an ambiguous abbreviation",
                        allowed=require.one_of(options),
                    )
                )
        plain = name.removeprefix("--")
        where = name if _NAME.fullmatch(plain) else require.shown(name)
        if self.release.may_have(plain):
            refuse(
                Problem(
                    where=where,
                    text=(
                        f"may be a flag of vLLM {self.release.name}, but this library does not "
                        "know it"
                    ),
                    advice="leave it out, or set it in EngineArgs.extra of a Python app",
                    kind="not counted",
                )
            )
        return refuse_unknown(where, plain, self.release)


def _unread(where: str, value: str) -> Problem:
    text = f"is {escaped(require.shown(value))}, whose value is in none of the manifests"
    return Problem(where=where, text=text, value=require.shown(value), kind="not counted")


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-" and not _NEGATIVE.fullmatch(word)


def _take(name: str, rest: list[str], *, several: bool) -> list[str]:
    """Take the values of a flag off the words that follow it."""
    values: list[str] = []
    while rest and (several or not values):
        if _is_flag(rest[0]):
            break
        values.append(rest.pop(0))
    if not values:
        refuse(Problem(where=name, text="has no value", advice="give one after it"))
    return values


def _nested(name: str, path: str, text: str) -> dict[str, Any]:
    """The dict of `--flag.a.b value`; `b+` takes a list with commas."""
    value: Any = text.split(",") if path.endswith("+") else dotted(f"a number in {name}", text)
    for key in reversed(path.removesuffix("+").split(".")):
        value = {key: value}
    return dict(value)


def _update(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Merge into a dict: dicts are merged, lists are joined, other values are replaced."""
    for key, value in more.items():
        before = into.get(key)
        if isinstance(before, dict) and isinstance(value, Mapping):
            _update(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            into[key] = [*before, *value]
        else:
            into[key] = value
