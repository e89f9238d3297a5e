"""Rules of the whole command line: E03, E04, E06 and E07."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vllm_constructs import require
from vllm_constructs.engine.conflicts import conflicts
from vllm_constructs.engine.flag_checks import unpinned_code
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.containers import release_of
from vllm_constructs.reading.edits import Removed
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import lists_flags, script
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.releases.behavior import numbers
from vllm_constructs.releases.environment import switch
from vllm_constructs.releases.release import catalog, releases

from .owners import given_flags, owner_of
from .probes import probes
from .rule import Edit, Fix, Found, put, remove, rule
from .starts import (
    MODULE,
    has_entrypoint,
    is_direct,
    module_place,
    repeated_serve,
    start,
    words_at,
)

_DEFAULT_MODEL = "Qwen/Qwen3-0.6B"
# Flags about what is deprecated, which are not deprecated themselves.
_NOT_DEPRECATED = ("allow-deprecated-quantization", "show-hidden-metrics-for-version")
_ONE_WORD = re.compile(r"vllm\s+serve\s|python3?\s+-m\s+vllm\.")
_INSTEAD = {
    "dcp-kv-cache-interleave-size": "use --cp-kv-cache-interleave-size",
    "disable-cascade-attn": "leave it out: it has no effect",
    "disable-log-requests": "leave it out: requests are not logged by default",
    "ir-op-priority": "leave it out",
    "log-config-file": "use --logging-config.pylogging_config_file",
    "mamba-cache-mode": "leave it out: --enable-prefix-caching decides",
    "task": "use --runner, and --convert for other than generative models",
}


@rule("E03", "warning", "a deprecated start or flag")
def deprecated(graph: Graph) -> Iterator[Found]:
    """A later release ends with an error instead of a warning."""
    for engine in graph.engines:
        if repeated_serve(engine):
            continue
        version = engine.release.version
        if version is not None and version < numbers(releases()[0]):
            # What is deprecated today was not yet then.
            continue
        if start(engine) == "module":
            yield _by_module(engine)
        elif start(engine) == "serve":
            yield from _model_flag(engine)
        if not engine.release.is_open:
            yield from _deprecated_flags(engine)


def _by_module(engine: Engine) -> Found:
    text = (
        f"starts the module {MODULE}, which is deprecated, and starts one API server whatever the "
        "flags say"
    )
    problem = Problem(text=f"the container {text}", advice="start `vllm serve`, the model first")
    path = module_place(engine)
    return Found(manifest=engine.manifest, path=path, problem=problem, fix=_served(engine))


def _served(engine: Engine) -> Fix | None:
    """`vllm serve` as the command, and the model as its first argument."""
    command, args = (strings(engine.container.get(key)) for key in ("command", "args"))
    words = range(len(engine.line_words))
    if command[1:] != ["-m", MODULE] or not all(is_direct(engine, at) for at in words):
        return None
    given = next((one for one in engine.line.given if one.flag == "model"), None)
    if given is None or not given.word.startswith("--"):
        return None
    edits = [Edit(path=(*engine.path, "command"), value=["vllm", "serve"])]
    edits.append(Edit(path=(*engine.path, "args"), value=_model_first(args, given.at)))
    return Fix(edits=tuple(edits), is_safe=False)


def _model_first(args: list[str], at: int) -> list[str]:
    """Arguments with the model, which the flag `--model` gives there, as the first one."""
    _, is_given, value = args[at].partition("=")
    if is_given:
        return [value, *args[:at], *args[at + 1 :]]
    return [args[at + 1], *args[:at], *args[at + 2 :]]


def _model_flag(engine: Engine) -> Iterator[Found]:
    given = [one for one in engine.line.given if one.flag == "model"]
    if len(given) != 1 or not given[0].word.startswith("--") or engine.is_in_file(given[0].at):
        return
    text = "is deprecated with `vllm serve`, which takes the model as its first argument"
    path = engine.word_place(given[0].at)
    yield Found(
        manifest=engine.manifest,
        path=path,
        problem=Problem(where="--model", text=text, advice="write the model first, without a flag"),
        fix=_with_model_first(engine, path, given[0].at),
    )


def _with_model_first(engine: Engine, path: Path, at: int) -> Fix | None:
    """The arguments with the model first; None where another word of `vllm serve` is not there."""
    args = strings(engine.container.get("args"))
    words = words_at(engine, at)
    first, place = engine.word_place(0), (*engine.path, "args")
    if path[:-1] != place or first != (*place, 0) or not all(is_direct(engine, i) for i in words):
        return None
    has_value = "=" in args[at]
    if len(words) != (1 if has_value else 2):
        return None
    if at:
        return put(place, _model_first(args, at), is_safe=True)
    return (
        put(path, args[0].partition("=")[2], is_safe=True)
        if has_value
        else remove(path, is_safe=True)
    )


def _deprecated_flags(engine: Engine) -> Iterator[Found]:
    flags = engine.release.catalog["flags"]
    for one in engine.line.given:
        name = one.flag or ""
        if name in _NOT_DEPRECATED or not flags.get(f"--{name}", {}).get("deprecated"):
            continue
        advice = _INSTEAD.get(name) or catalog()["removed"].get(f"--{name}", "leave it out")
        text = f"is deprecated in {engine.release.description}, and a later release rejects it"
        problem = Problem(where=f"--{name}", text=text, advice=escaped(advice))
        yield Found(manifest=engine.manifest, path=engine.word_place(one.at), problem=problem)


@rule("E04", "error", "`serve` twice, or no model")
def start_words(graph: Graph) -> Iterator[Found]:
    """The engine ends at once, or serves vLLM's default model instead of yours."""
    for engine in graph.engines:
        places = repeated_serve(engine)
        if places:
            yield _serve_twice(engine, places)
        elif engine.pod.is_whole and start(engine) == "module":
            yield from _ignored_model(engine)
        if engine.pod.is_whole and not places and _is_without_model(engine):
            yield _without_model(engine)
    for pod in graph.pods:
        for path, container in pod.containers:
            command = strings(container.get("command"))
            if command and _ONE_WORD.match(command[0]):
                yield _one_word(pod.manifest, path, command)
            elif command and (command[0] == "serve" or command[0].startswith("--")):
                release = release_of(str(container.get("image") or ""), None)[0]
                if has_entrypoint(release):
                    yield _flags_as_command(pod.manifest, path, command, container.get("args"))


def _serve_twice(engine: Engine, places: tuple[Path, ...]) -> Found:
    first, *others = places
    words = "vllm serve" if others else "serve"
    by = "command" if strings(engine.container.get("command")) else "entrypoint of the image"
    text = f"repeats `{words}`, which the {by} has already, so that vLLM rejects the arguments"
    problem = Problem(where=str(first[-2]), text=text, advice="begin with the model")
    edits = tuple(Edit(path=place, value=Removed) for place in reversed(places))
    fix = Fix(edits=edits, is_safe=engine.release.is_official)
    return Found(manifest=engine.manifest, path=first, problem=problem, fix=fix)


def _ignored_model(engine: Engine) -> Iterator[Found]:
    """A model without `--model`, which the module does not read."""
    given = [one for one in engine.line.given if one.flag == "model"]
    if not given or given[0].word.startswith("-") or "model" in engine.line.unread:
        return
    if engine.is_in_file(given[0].at) or not is_direct(engine, given[0].at):
        return
    shown = escaped(require.shown(given[0].word))
    by = f"the module {MODULE}"
    if not strings(engine.container.get("command")):
        by += f", with which the image of vLLM {engine.release.name} starts,"
    text = f"is {shown} without --model, but {by} takes it by that flag only"
    place = engine.word_place(given[0].at)
    word = f"--model={engine.manifest.at(*place)}"
    problem = Problem(where="the model", text=text, advice=f"write {escaped(require.shown(word))}")
    yield Found(manifest=engine.manifest, path=place, problem=problem, fix=put(place, word))


def _is_without_model(engine: Engine) -> bool:
    """Whether no model is given, as far as nothing else may add one."""
    line = engine.line
    if line.model is not None or not engine.is_line_whole or "help" in line.options:
        return False
    if not isinstance(engine.container.get("args", []), list):
        return False
    if any(one.flag is None and "mod" in one.word for one in line.given):
        # Misspelt, or one word with its value.
        return False
    if not strings(engine.container.get("command")):
        # An image of one's own may have a model in its entrypoint.
        return has_entrypoint(engine.release)
    # The input of `xargs` is not known.
    return "xargs" not in script(engine.container)


def _without_model(engine: Engine) -> Found:
    text = f"name no model, so that vLLM loads its default, {_DEFAULT_MODEL}"
    if "served-model-name" in engine.options and start(engine) == "serve":
        text = "name no model, and vLLM does not start with --served-model-name alone"
    problem = Problem(where="the arguments", text=text, advice="put the model first")
    return Found(manifest=engine.manifest, path=engine.flag_place(), problem=problem)


def _one_word(manifest: Manifest, path: Path, command: list[str]) -> Found:
    text = "begins with a word that has spaces in it, and no program has that name"
    advice = "write each word as an entry of its own, or start a shell"
    where = (*path, "command")
    return Found(
        manifest=manifest,
        path=(*where, 0),
        problem=Problem(where="command", text=text, advice=advice),
        fix=put(where, [*command[0].split(), *command[1:]]),
    )


def _flags_as_command(manifest: Manifest, path: Path, command: list[str], args: object) -> Found:
    shown = escaped(require.shown(command[0]))
    text = f"begins with {shown}, which is no program, in place of the image's entrypoint"
    words = command[1:] if command[0] == "serve" else command
    edits = (
        Edit(path=(*path, "args"), value=[*words, *strings(args)]),
        Edit(path=(*path, "command"), value=Removed),
    )
    return Found(
        manifest=manifest,
        path=(*path, "command"),
        problem=Problem(where="command", text=text, advice="move the flags to args"),
        fix=Fix(edits=edits, is_safe=True),
    )


@rule("E06", "error", "flags that contradict each other")
def contradiction(graph: Graph) -> Iterator[Found]:
    """VLLM checks them when it starts, and ends."""
    for engine in graph.engines:
        if not engine.pod.is_whole:
            continue
        yield from _headless(engine)
        if not engine.is_line_whole:
            continue
        for problem in conflicts(given_flags(engine), is_complete=True, has_nodes=True):
            if owner_of(problem) != "E06":
                continue
            name = problem.where.rpartition(".")[2].replace("_", "-")
            is_certain = engine.release.is_certain
            yield Found(
                manifest=engine.manifest,
                path=engine.flag_place(name),
                problem=problem,
                level="error" if is_certain else "warning",
            )


def _headless(engine: Engine) -> Iterator[Found]:
    """A probe that asks a server that is not there; in groups it has a rule of its own."""
    kinds = ("httpGet", "tcpSocket", "grpc")
    asked = [name for name, _, probe in probes(engine) if any(kind in probe for kind in kinds)]
    if engine.is_headless and not engine.pod.role and asked and len(engine.pod.containers) == 1:
        text = f"starts no server, but {' and '.join(asked)} asks one"
        if len(asked) > 1:
            text = f"starts no server, but {', '.join(asked[:-1])} and {asked[-1]} ask one"
        advice = "leave --headless out, or the probes where another node serves the requests"
        yield Found(
            manifest=engine.manifest,
            path=engine.flag_place("headless"),
            problem=Problem(where="--headless", text=text, advice=advice),
        )


@rule("E07", "warning", "code of the model that is not pinned")
def remote_code(graph: Graph) -> Iterator[Found]:
    """Whoever can write to the model's repository runs code in the cluster."""
    for engine in graph.engines:
        given = given_flags(engine)
        if given.get("revision") == "main":
            # The branch that is the default.
            del given["revision"]
        problem = unpinned_code(given)
        model = engine.line.model
        if problem is None or not lists_flags(engine) or model is None:
            continue
        if "model" in engine.line.unread or "revision" in engine.line.unread:
            continue
        # Files that are mounted, or in a bucket, change by other means.
        is_repository = not model.startswith((".", "/", "~")) and "://" not in model
        if is_repository and not switch(engine.env, "HF_HUB_OFFLINE"):
            path = engine.flag_place("trust-remote-code")
            yield Found(manifest=engine.manifest, path=path, problem=problem)
