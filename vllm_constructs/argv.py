"""Argv: what a command line of `vllm serve` says about memory.

Only what a memory plan reads is taken over; all other flags are known by how many values they
take, and passed over.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from . import _check
from .engine import EngineArgs
from .errors import VllmConstructsError, refuse
from .memory_options import amount
from .release import Flag, catalogue

# What a plan reads, and what makes one impossible.
_READ = frozenset(
    (
        "async-scheduling",
        "block-size",
        "compilation-config",
        "cpu-offload-gb",
        "cpu-offload-params",
        "cudagraph-capture-sizes",
        "data-parallel-size",
        "decode-context-parallel-size",
        "disable-hybrid-kv-cache-manager",
        "dtype",
        "enable-chunked-prefill",
        "enable-expert-parallel",
        "enable-lora",
        "enable-prefix-caching",
        "enforce-eager",
        "gpu-memory-utilization",
        "hf-config-path",
        "hf-overrides",
        "kv-cache-dtype",
        "kv-cache-memory-bytes",
        "mamba-ssm-cache-dtype",
        "max-cudagraph-capture-size",
        "max-lora-rank",
        "max-loras",
        "max-model-len",
        "max-num-batched-tokens",
        "max-num-seqs",
        "offload-backend",
        "offload-group-size",
        "offload-num-in-group",
        "offload-params",
        "optimization-level",
        "pipeline-parallel-size",
        "prefill-context-parallel-size",
        "quantization",
        "runner",
        "speculative-config",
        "tensor-parallel-size",
    )
)
# A variable of the container, as Kubernetes writes it, or of a shell.
_VARIABLE = re.compile(r"\$[({A-Za-z_]")
_SHELLS = ("sh", "bash", "dash")


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """What was found on a command line.

    Args:
        model: The model, where it is named.
        config: Path of the file of more flags, where one is given.
        options: The flags that a plan reads, by name without dashes, with their values.
        problems: Flags that a plan reads whose values cannot be read, a sentence each.
        unread: What else could not be read, a sentence each.
    """

    model: str | None
    config: str | None
    options: Mapping[str, Any]
    problems: tuple[str, ...]
    unread: tuple[str, ...]


def command_line(tokens: Sequence[str]) -> CommandLine:
    """Read what follows `vllm serve`.

    Args:
        tokens: Model and flags, as the container's `args` have them.
    """
    flags, negations, aliases = _spellings()
    found: dict[str, Any] = {}
    problems: list[str] = []
    unread: list[str] = []
    model: str | None = None
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if not token.startswith("-") or token == "-":
            if model is None:
                model = token
            else:
                unread.append(f"{_check.shown(token)} belongs to no flag.")
            continue
        name, equals, value = token.partition("=")
        name = "--" + name[2:].replace("_", "-") if name.startswith("--") else name
        if name in negations:
            found[negations[name]] = False
            continue
        name = aliases.get(name, name)
        known = flags.get(name)
        if known is None:
            unread.append(f"{_check.shown(name)} is no flag that this library knows.")
            if not equals:
                _values(rest, "*")
        elif known.get("type") == "bool" and not equals:
            found[name.removeprefix("--")] = True
        else:
            texts = [value] if equals else _values(rest, known.get("nargs", ""))
            try:
                found[name.removeprefix("--")] = _converted(name, known, texts)
            except VllmConstructsError as error:
                problems.append(str(error))
    model = model or found.pop("model", None)
    if model is not None and _VARIABLE.search(model):
        problems.append(f"the model is {model!r}, and its value is in none of the manifests.")
    config = found.pop("config", None)
    return CommandLine(
        model=model,
        config=config,
        options={name: value for name, value in found.items() if name in _READ},
        problems=tuple(problems),
        unread=tuple(unread),
    )


def file_options(options: Mapping[str, Any]) -> CommandLine:
    """Read the flags of vLLM's `--config` file, as YAML has them.

    Args:
        options: What stands in the file.
    """
    tokens: list[str] = []
    for key, value in options.items():
        if isinstance(value, bool):
            # vLLM takes false for a flag that is left out.
            tokens += [f"--{key}"] if value else []
        elif isinstance(value, Mapping):
            tokens.append(f"--{key}={json.dumps(value)}")
        elif isinstance(value, list):
            tokens += [f"--{key}", *map(str, value)]
        else:
            tokens.append(f"--{key}={value}")
    return command_line(tokens)


def engine_of(options: Mapping[str, Any]) -> EngineArgs:
    """The options as EngineArgs.

    Args:
        options: Flags by their names without dashes, with typed values.

    Raises:
        VllmConstructsError: A value that vLLM does not take.
    """
    typed = {item.name for item in fields(EngineArgs)}
    keywords: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in options.items():
        key = name.replace("-", "_")
        if key in typed:
            keywords[key] = value
        else:
            extra[name] = value
    return EngineArgs(**keywords, extra=extra)


def after_serve(command: Sequence[str], args: Sequence[str]) -> list[str] | None:
    """What follows `vllm serve` in a container's `command` and `args`; None where nothing does.

    Without a command it is the image that starts vLLM, and `args` are all that follows.

    Args:
        command: The container's `command`, which may be empty.
        args: Its `args`.
    """
    if not command:
        return list(args)
    tokens = [*command, *args]
    if tokens[0].rpartition("/")[2] in _SHELLS:
        script = next(
            (later for one, later in pairwise(tokens) if one.startswith("-") and one.endswith("c")),
            "",
        )
        try:
            tokens = shlex.split(script.replace("\\\n", " "), comments=True)
        except ValueError:
            return None
    for at, token in enumerate(tokens):
        if token == "vllm.entrypoints.openai.api_server" or (
            token == "serve" and at and tokens[at - 1].rpartition("/")[2] == "vllm"
        ):
            return tokens[at + 1 :]
    return None


def _spellings() -> tuple[dict[str, Flag], dict[str, str], dict[str, str]]:
    """All flags; what negates one; and other spellings of one."""
    flags = catalogue()["flags"]
    negations: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for name, item in flags.items():
        negations |= dict.fromkeys(_negations(item), name.removeprefix("--"))
        aliases |= dict.fromkeys(item.get("aliases", ()), name)
    return flags, negations, aliases


def _negations(item: Mapping[str, Any]) -> list[str]:
    return [one for one in (item.get("negation"), *item.get("negations", ())) if one]


def _values(rest: list[str], nargs: str) -> list[str]:
    """Take a flag's values off the rest: one, or with `nargs` all up to the next flag."""
    if not nargs:
        return [rest.pop(0)] if rest else []
    found: list[str] = []
    while rest and not rest[0].startswith("-"):
        found.append(rest.pop(0))
    return found


def _converted(name: str, known: Mapping[str, Any], texts: list[str]) -> Any:
    """A flag's value in its own type."""
    if name.removeprefix("--") not in _READ:
        return texts[0] if texts else None
    if not texts:
        refuse(f"{name} has no value; give one.")
    kind = str(known.get("type", "str"))
    values = [_typed(name, kind, one) for one in texts]
    return values if known.get("nargs") in ("+", "*") else values[0]


def _typed(name: str, kind: str, text: str) -> Any:
    if _VARIABLE.search(text):
        refuse(f"{name} is {_check.shown(text)}, and its value is in none of the manifests.")
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind.startswith("json"):
            return json.loads(text)
    except ValueError:
        allowed = {"int": "a whole number", "float": "a number"}.get(kind, "JSON")
        _check.wrong(name, text, allowed)
    if kind == "human-readable-int-or-auto" and text in ("auto", "-1"):
        return "auto"
    if kind.startswith("human-readable-int"):
        return amount(name, int(text) if text.isdecimal() else text)
    return text
