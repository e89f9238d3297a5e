"""Rules of single flags: E01, E02 and E08."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.engine import command_line_parser as command_lines
from vllm_constructs.engine.flag_checks import check_number, plugins_needed
from vllm_constructs.errors import Problem, VllmConstructsError, escaped
from vllm_constructs.reading.edits import Removed
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.positions import Text
from vllm_constructs.reading.repeated_keys import repeated_keys
from vllm_constructs.releases.release import VllmRelease, catalog, is_misspelled, releases

from .operator_lines import of_operators
from .owners import given_flags, owner_of
from .rule import Edit, Fix, Found, Level, put, rule
from .starts import has_known_start, is_direct, repeated_serve, start, words_at

if TYPE_CHECKING:
    from vllm_constructs.engine.command_line_parser import Given

_NEAR = re.compile(r"did you mean '([a-z0-9-]+)'\?")
_SPACE = re.compile(r"\s+")
_TRUTHS = {"true": True, "false": False, "True": True, "False": False}
# Where a plugin of a parser or connector may be found without a flag that names it.
_PLUGINS = ("PYTHONPATH", "VLLM_PLUGINS")


def _engines(graph: Graph) -> Iterator[Engine]:
    """The engines whose words vLLM's parser reads."""
    for engine in graph.engines:
        # A mirror of an image may have another entrypoint, which needs the word.
        is_read = engine.words[:1] != ["serve"] and not repeated_serve(engine)
        if is_read and has_known_start(engine):
            yield engine
    yield from of_operators(graph)


@rule("E01", "error", "a flag that this vLLM release does not have")
def unknown_flag(graph: Graph) -> Iterator[Found]:
    """The parser ends the engine before it starts."""
    for engine in _engines(graph):
        for one in engine.line.given:
            if one.problem is None or one.flag is not None or not one.word.startswith("-"):
                continue
            if _SPACE.search(one.word.partition("=")[0]):
                yield _one_word(engine, one)
                continue
            # A release that is newer than the data may have any flag.
            level = _level_of_flag(engine.release, one.word)
            if one.problem.kind != "not counted" and level is not None:
                yield Found(
                    manifest=engine.manifest,
                    path=engine.word_place(one.at),
                    problem=one.problem,
                    level=level,
                    fix=_without_flag(engine, one),
                )


def _one_word(engine: Engine, one: Given) -> Found:
    """A flag and its value in one word, which no release divides."""
    name, value = _SPACE.split(one.word, maxsplit=1)
    text = "is one word with a space in it, which vLLM does not divide into a flag and its value"
    path = engine.word_place(one.at)
    is_single = is_direct(engine, one.at) and not _SPACE.search(value)
    return Found(
        manifest=engine.manifest,
        path=path,
        problem=Problem(
            where=require.shown(one.word),
            text=text,
            advice=f"write {escaped(name)} and the value as two entries of the list",
        ),
        fix=put(path, f"{name}={value}", is_safe=True) if is_single else None,
    )


def _level_of_flag(release: VllmRelease, word: str) -> Level | None:
    """How certain it is that the release lacks a flag; None if an image may well have it."""
    if release.is_certain:
        return "error"
    if release.is_open:
        flag = word.partition("=")[0].partition(".")[0].replace("_", "-")
        if any(flag in catalog(name)["flags"] for name in releases()):
            return None
        known = release.catalog
        is_wrong = flag in known["removed"] or is_misspelled(flag, known["flags"])
        return "warning" if is_wrong else None
    return "warning"


def _without_flag(engine: Engine, one: Given) -> Fix | None:
    """The line with the right flag, or without one that has no effect any more."""
    problem = one.problem
    if problem is None or not is_direct(engine, one.at):
        return None
    near = _NEAR.search(problem.advice)
    if near is not None:
        place = engine.word_place(one.at)
        _, equals, value = str(engine.manifest.at(*place)).partition("=")
        return put(place, f"--{near[1]}{equals}{value}")
    if not problem.advice.startswith("leave it out"):
        return None
    return _without(engine, words_at(engine, one.at), is_safe=engine.release.is_certain)


def _without(engine: Engine, words: Sequence[int], *, is_safe: bool) -> Fix | None:
    """The line without some words; None if a script has them."""
    if not all(is_direct(engine, at) for at in words):
        return None
    places = [engine.word_place(at) for at in words]
    edits = tuple(Edit(path=place, value=Removed) for place in reversed(places))
    return Fix(edits=edits, is_safe=is_safe)


@rule("E02", "error", "a value that a flag does not take")
def wrong_value(graph: Graph) -> Iterator[Found]:
    """The parser, or the engine behind it, ends before it starts."""
    for engine in graph.engines:
        yield from _no_strings(engine.manifest, engine.path, engine.container)
    for engine in _engines(graph):
        wrong = {one.flag for one in engine.line.given if one.problem is not None}
        for one in engine.line.given:
            is_value = one.flag is not None or not one.word.startswith("-")
            if one.problem is None or not is_value or not _is_text(engine, one):
                continue
            if owner_of(one.problem, "E02") != "E02":
                continue
            level = _level_of_value(engine, one)
            if level is not None:
                yield Found(
                    manifest=engine.manifest,
                    path=engine.word_place(one.at),
                    problem=_assumed(engine.release, one.problem),
                    level=level,
                    fix=_switch(engine, one),
                )
        yield from _numbers(engine, wrong)
        yield from _plugins(engine)


def _no_strings(manifest: Manifest, path: Path, container: dict[str, Any]) -> Iterator[Found]:
    """Words that are no strings, which the API server rejects."""
    for field in ("command", "args"):
        for i, word in enumerate(items(container.get(field))):
            if not isinstance(word, str):
                shown = escaped(require.shown(word))
                text = f"is {shown}, no string, and the API server rejects the object"
                is_number = isinstance(word, (int, float)) and not isinstance(word, bool)
                where = (*path, field, i)
                yield Found(
                    manifest=manifest,
                    path=where,
                    problem=Problem(
                        where=f"a word of {field}", text=text, advice="write it in quotes"
                    ),
                    fix=put(where, str(word), is_safe=True) if is_number else None,
                )


def _is_text(engine: Engine, one: Given) -> bool:
    """Whether a word and its values are strings, and no part of what a shell puts there."""
    if one.flag is None and command_lines.REST in engine.line.unread:
        return False
    places = (engine.word_place(at) for at in words_at(engine, one.at))
    return all(isinstance(engine.manifest.at(*place), str) for place in places)


def _level_of_value(engine: Engine, one: Given) -> Level | None:
    """How certain it is that the release rejects a value; None if an image may well take it."""
    release = engine.release
    if release.is_certain:
        return "error"
    if release.version is not None:
        # Other releases have other types and choices.
        return None
    if not release.is_open:
        return "warning"
    words = ["model", *(engine.line_words[at] for at in words_at(engine, one.at))]
    known = (VllmRelease(f"vllm/vllm-openai:v{name}") for name in releases())
    is_wrong = all(command_lines.read(words, release).problems for release in known)
    return "warning" if is_wrong else None


def _assumed(release: VllmRelease, problem: Problem) -> Problem:
    """A problem, with the release that is assumed where the image does not specify it."""
    if release.version is not None or "assumed" in problem.text:
        return problem
    text = problem.text or f"is {escaped(problem.value)}"
    return replace(problem, text=f"{text} on {release.description}")


def _switch(engine: Engine, one: Given) -> Fix | None:
    """A Boolean flag as vLLM takes it, where a value follows it."""
    name, _, value = one.word.partition("=")
    first: Given | None = one
    if one.flag is None:
        first = next((other for other in engine.line.given if other.at == one.at - 1), None)
        name, value = "" if first is None else first.word, one.word
    is_on = _TRUTHS.get(value)
    if first is None or first.flag is None or is_on is None:
        return None
    flag = engine.release.catalog["flags"][f"--{first.flag}"]
    right = name if is_on else flag.get("negation")
    words = range(first.at, one.at + 1)
    is_plain = flag.get("type") == "bool" and name.replace("_", "-") == f"--{first.flag}"
    if right is None or not is_plain or not all(is_direct(engine, at) for at in words):
        return None
    places = [engine.word_place(at) for at in words]
    edits = [Edit(path=place, value=Removed) for place in places[1:]]
    edits.append(Edit(path=places[0], value=right))
    return Fix(edits=tuple(edits), is_safe=engine.release.is_certain)


def _numbers(engine: Engine, wrong: set[str | None]) -> Iterator[Found]:
    """Numbers that the parser takes and the engine does not."""
    for name, value in engine.options.items():
        if name in wrong:
            continue
        try:
            check_number(name.replace("-", "_"), value)
        except VllmConstructsError as error:
            if owner_of(error.problem, "E02") == "E02":
                yield Found(
                    manifest=engine.manifest,
                    path=engine.flag_place(name),
                    problem=_assumed(engine.release, error.problem),
                    level="error" if engine.release.is_certain else "warning",
                )


def _plugins(engine: Engine) -> Iterator[Found]:
    """Names that only a plugin adds, if there is one."""
    release = engine.release
    if release.is_open or (release.version is not None and not release.is_certain):
        return
    for problem in plugins_needed(release, given_flags(engine)):
        if owner_of(problem, "E02") != "E02":
            continue
        # An official image has no plugins, unless something adds them before the start.
        is_bare = is_direct(engine, 0) and not {*engine.env, *engine.env_paths} & {*_PLUGINS}
        is_wrong = is_bare and release.is_certain and release.is_official
        name = problem.where.removeprefix("EngineArgs.").partition("[")[0].replace("_", "-")
        yield Found(
            manifest=engine.manifest,
            path=engine.flag_place(name),
            problem=problem,
            level="error" if is_wrong else "warning",
        )


@rule("E08", "warning", "the same flag twice")
def repeated(graph: Graph) -> Iterator[Found]:
    """Of two values the last one counts, and nobody sees that the first one does not."""
    for engine in _engines(graph):
        yield from _in_file(engine)
        flags = engine.release.catalog["flags"]
        found: dict[str, list[Given]] = defaultdict(list)
        for one in engine.line.given:
            # What a config file gives, the command line replaces on purpose.
            if one.flag is not None and not engine.is_in_file(one.at):
                found[one.flag].append(one)
        for name, given in found.items():
            whole = [one for one in given if not one.keys]
            flag = flags.get(f"--{name}", {})
            if name == "model":
                is_known = "model" not in engine.line.unread and start(engine) == "serve"
                if len(whole) > 1 and is_known:
                    yield _two_models(engine, whole[-1])
            elif len(whole) > 1 and not flag.get("append"):
                is_list = flag.get("nargs") == "+"
                yield _twice(engine, name, whole, is_list=is_list)
            elif whole and len(given) > len(whole):
                yield _whole_and_keys(engine, name, whole[0])


def _in_file(engine: Engine) -> Iterator[Found]:
    """Flags that the config file has again, as the same key or by another of their names."""
    if engine.config_text is None or engine.config_file is None:
        return
    found: dict[str, str] = {}
    for one in repeated_keys(Text(engine.config_text, 0)):
        key, *inner = map(str, one.path)
        what = f"has {require.shown('.'.join(inner))} again" if inner else "is there again"
        found[key.replace("_", "-")] = f"{what} in the --config file, in {one.where}"
    named: dict[str, list[Given]] = defaultdict(list)
    for given in engine.line.given:
        if given.flag is not None and not given.keys and engine.is_in_file(given.at):
            named[given.flag].append(given)
    for flag, several in named.items():
        if len(several) > 1:
            found.setdefault(flag, "is in the --config file by several of its names")
    for key, text in found.items():
        problem = Problem(
            where=escaped(f"--{key}"),
            text=escaped(f"{text}, and vLLM takes the last one only"),
            advice="leave the others out",
        )
        path = engine.flag_place("config")
        yield Found(manifest=engine.manifest, path=path, problem=problem)


def _two_models(engine: Engine, one: Given) -> Found:
    text = "is given as the first argument and by --model, and vLLM rejects the second one"
    problem = Problem(where="the model", text=text, advice="leave --model out")
    path = engine.word_place(one.at)
    return Found(manifest=engine.manifest, path=path, problem=problem, level="error")


def _twice(engine: Engine, name: str, given: list[Given], *, is_list: bool) -> Found:
    count = "twice" if len(given) == 2 else f"{len(given)} times"
    text = f"is given {count}, and vLLM takes the last one only"
    advice = f"put all values behind one --{name}" if is_list else "leave the others out"
    if not is_list and len(given) == 2:
        advice = "leave one out"
    words = [at for one in given[:-1] for at in words_at(engine, one.at)]
    fix = None if is_list else _without(engine, words, is_safe=True)
    return Found(
        manifest=engine.manifest,
        path=engine.word_place(given[0].at),
        problem=Problem(where=f"--{name}", text=text, advice=advice),
        fix=fix,
    )


def _whole_and_keys(engine: Engine, name: str, one: Given) -> Found:
    text = "is given as JSON and by its keys, and vLLM takes the keys only"
    problem = Problem(where=f"--{name}", text=text, advice="put all keys into the JSON")
    return Found(manifest=engine.manifest, path=engine.word_place(one.at), problem=problem)
