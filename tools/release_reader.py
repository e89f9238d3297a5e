"""Prints, as JSON, what an unpacked vLLM wheel knows: flags, variables, parsers, info labels.

Usage: python tools/release_reader.py <folder with vllm/>

Run by `release_data.py` in an environment that has pydantic and nothing else of vLLM's
dependencies. It builds the release's own argument parser and asks each flag's own type what it
takes, so that nothing has to be known about how a release defines its flags.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import json
import os
import re
import sys
import tempfile
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from release_hints import DEEPEST, dataclass_in, fields_of, literal
from release_standins import install

_REFUSED = object()
_WORDS = ("0", "1", "false", "true", "no", "yes")
_HOME = "/home/vllm"
_REMOVAL = re.compile(r"removed\s+in\s+v?(\d+(?:\.\d+)+)", re.IGNORECASE)


def _try(call: Callable[..., Any], *args: Any) -> Any:
    """What a call gives, or `_REFUSED`."""
    try:
        return call(*args)
    except Exception:  # noqa: BLE001  (every way to refuse counts)
        return _REFUSED


def _is(found: object, expected: object) -> bool:
    return type(found) is type(expected) and found == expected


def _kind(parse: Any) -> str:
    """The name of what a flag's type takes, found by asking it."""
    if parse in (None, str):
        return "str"
    if parse in (int, float):
        return str(parse.__name__)

    def gives(text: str, expected: object) -> bool:
        return _is(_try(parse, text), expected)

    # First in the list is what the next lines would take for something wider.
    found = (
        ("human-readable-int-or-auto", gives("1k", 1000) and _try(parse, "auto") is not _REFUSED),
        ("human-readable-int", gives("1k", 1000)),
        ("comma-list(int|str)", gives("a,1", ["a", 1])),
        ("json-or-str", gives("a", "a") and gives('{"a":1}', {"a": 1})),
        ("str(lower,-→_)", gives("A-b", "a_b")),
        ("str", gives("a", "a")),
        ("json", gives('{"a":1}', {"a": 1})),
        ("int", gives("1", 1)),
        ("float", gives("1.5", 1.5)),
    )
    return next((name for name, is_it in found if is_it), "json")


def _config_class(action: argparse.Action) -> type | None:
    """The config class that a flag's JSON becomes: the parsing closure holds it."""
    parse: Any = action.type
    seen: list[Any] = []
    while parse is not None and parse not in seen:
        seen.append(parse)
        cells = [cell.cell_contents for cell in getattr(parse, "__closure__", None) or ()]
        held = [*cells, *(getattr(parse, "__defaults__", None) or ())]
        for item in held:
            if isinstance(item, type) and dataclasses.is_dataclass(item):
                return item
        parse = next((item for item in held if callable(item)), None)
    return None


def _negations(action: argparse.Action, parser: argparse.ArgumentParser) -> list[str]:
    """The names that switch a boolean flag off, the one shown in help first."""
    if not isinstance(action, argparse.BooleanOptionalAction):
        return []
    shown = list(action.option_strings)
    hidden = [name for name, one in parser._option_string_actions.items() if one is action]  # noqa: SLF001
    negative = getattr(action, "negative_option_strings", None)
    if negative is None:
        negative = {name for name in shown if name.startswith("--no-")}
    return [name for name in dict.fromkeys([*shown, *hidden]) if name in negative]


def _optional(action: argparse.Action) -> dict[str, bool]:
    """Whether an empty text is nothing."""
    is_nothing = callable(action.type) and _try(action.type, "") is None
    return {"optional": True} if is_nothing and action.nargs is None else {}


def _flag(action: argparse.Action, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """What is to be known of one flag."""
    switches = (argparse._StoreTrueAction, argparse.BooleanOptionalAction)  # noqa: SLF001
    config = _config_class(action)
    kind = "bool" if isinstance(action, switches) else "json" if config else _kind(action.type)
    found: dict[str, Any] = {"type": kind, **_optional(action)}
    if config:
        found["class"] = config.__name__
        found["fields"] = fields_of(config)
    default = None if action.default is argparse.SUPPRESS else literal(action.default)
    if default is not None and not config:
        found["default"] = default
    if action.choices is not None:
        found["choices"] = [literal(choice) for choice in action.choices]
    elif isinstance(action.metavar, (list, tuple)):
        found["known"] = sorted(map(str, action.metavar))
    if action.nargs is not None and kind != "bool":
        found["nargs"] = str(action.nargs)
    if isinstance(action, argparse._AppendAction):  # noqa: SLF001
        found["append"] = True
    negations = _negations(action, parser)
    if negations:
        found["negation"] = negations[0]
        found["negations"] = negations[1:]
    names = [name for name in action.option_strings if name not in negations]
    found["aliases"] = names[1:] if names[0].startswith("--") else names[:-1]
    told = action.help or ""
    marked = getattr(action, "deprecated", False) or action in getattr(parser, "_deprecated", ())
    if marked or "deprecat" in told.lower():
        found["deprecated"] = True
        removal = _REMOVAL.search(told)
        if removal:
            found["removal"] = removal[1]
    return {key: value for key, value in found.items() if value != []} | (
        {"default": []} if found.get("default") == [] else {}
    )


def _known_values() -> dict[str, list[str]]:
    """Values that a release knows for flags that take any text, since plugins may add more."""
    layers = importlib.import_module("vllm.model_executor.layers.quantization")
    loaders = importlib.import_module("vllm.model_executor.model_loader")
    config = importlib.import_module("vllm.config.vllm")
    found = {
        "--quantization": getattr(layers, "QUANTIZATION_METHODS", ()),
        "--load-format": getattr(loaders, "_LOAD_FORMAT_TO_MODEL_LOADER", ()),
        # The parser takes any text, and the engine makes a number of it.
        "--optimization-level": [str(int(one)) for one in getattr(config, "OptimizationLevel", ())],
    }
    return {
        name: sorted(values)
        for name, values in found.items()
        if isinstance(values, (list, dict)) and all(isinstance(one, str) for one in values)
    }


def _flags(wheel: Path) -> dict[str, Any]:
    """Every flag of `vllm serve`, as its own parser has it."""
    path = next(
        one
        for one in sorted(wheel.glob("vllm/entrypoints/**/cli_args.py"))
        if "def make_arg_parser" in one.read_text(encoding="utf-8")
    )
    module = importlib.import_module(".".join(path.relative_to(wheel).with_suffix("").parts))
    utils = importlib.import_module("vllm.utils.argparse_utils")
    parser = module.make_arg_parser(utils.FlexibleArgumentParser())
    found = {}
    for action in parser._actions:  # noqa: SLF001
        names = [name for name in action.option_strings if name.startswith("--")]
        if names and "--help" not in names:
            found[names[0]] = _flag(action, parser)
    # Some flags take any JSON, of which the engine then makes a config class.
    held = typing.get_type_hints(importlib.import_module("vllm.config").VllmConfig)
    for name, one in found.items():
        made = dataclass_in(held.get(name.removeprefix("--").replace("-", "_")))
        if made and one["type"] == "json" and "class" not in one:
            one["class"] = made.__name__
            one["engine_fields"] = fields_of(made, DEEPEST)
    for name, known in _known_values().items():
        if name in found and "choices" not in found[name] and known:
            found[name]["known"] = known
    return found


def _with(name: str, value: str | None, read: Callable[[], Any]) -> Any:
    """What a variable's reader gives for a value."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
    try:
        return _try(read)
    finally:
        os.environ.pop(name, None)


def _declared(wheel: Path) -> dict[str, str]:
    """Each variable's type as `vllm/envs.py` declares it."""
    tree = ast.parse((wheel / "vllm" / "envs.py").read_text(encoding="utf-8"))
    blocks = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        ast.unparse(node.target): ast.unparse(node.annotation)
        for block in blocks
        for node in block.body
        if isinstance(node, ast.AnnAssign)
    }


def _type(name: str, declared: str, read: Callable[[], Any]) -> dict[str, Any]:
    """The type of a variable: as declared, else as its reader gives it."""
    plain = re.sub(r"\s*\|\s*None\b", "", declared)
    if plain.startswith("Optional["):
        plain = plain.removeprefix("Optional[").removesuffix("]")
    if plain.startswith("Literal["):
        options = ast.literal_eval(plain.removeprefix("Literal"))
        return {"type": "str", "choices": sorted(options)}
    if plain:
        return {"type": "json" if plain.startswith("dict") else plain.strip("'\"")}
    given = _with(name, "1", read)
    return {"type": type(given).__name__ if type(given) in (bool, int, float) else "str"}


def _variable(name: str, declared: str, read: Callable[[], Any]) -> dict[str, Any]:
    """What is to be known of one environment variable."""
    unset = _with(name, None, read)
    found = _type(name, declared, read)
    if found["type"] == "bool":
        answers = {word: _with(name, word, read) for word in _WORDS}
        if answers["true"] is _REFUSED and answers["0"] is not answers["1"]:
            found["syntax"] = "0/1"
        else:
            found["on"] = sorted(word for word, given in answers.items() if given is True)
    # Asked twice, since a name that is made up anew is no default.
    is_stable = unset is not _REFUSED and unset == _with(name, None, read)
    default = literal(unset) if is_stable else None
    if isinstance(default, str):
        default = default.replace(_HOME, "~")
    # A folder for temporary files is the machine's, not the release's.
    if default is not None and not str(default).startswith(tempfile.gettempdir()):
        found["default"] = default
    # Kubernetes sets <SERVICE>_PORT=tcp://... for every Service of the namespace.
    if name.startswith("VLLM") and name.endswith("_PORT"):
        is_broken = _with(name, "tcp://10.0.0.1:80", read) is _REFUSED
        if is_broken and _with(name, "80", read) == 80:
            found["service"] = name.removesuffix("_PORT").lower().replace("_", "-")
    return found


def _variables(wheel: Path) -> dict[str, Any]:
    """Every environment variable of the release."""
    envs = importlib.import_module("vllm.envs")
    declared = _declared(wheel)
    return {
        name: _variable(name, declared.get(name, ""), read)
        for name, read in envs.environment_variables.items()
    }


def _parsers(manager: str, modules: Iterable[str]) -> list[str]:
    """The names that a parser manager has registered."""
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        held = getattr(module, manager)
        if hasattr(held, "list_registered"):
            return sorted(held.list_registered())
    raise LookupError(manager)


def _kv_connectors() -> list[str]:
    """The names that `kv_connector` of `--kv-transfer-config` takes without a module of its own."""
    factory = importlib.import_module("vllm.distributed.kv_transfer.kv_connector.factory")
    return sorted(factory.KVConnectorFactory._registry)  # noqa: SLF001  # there is no other way


def _info_labels() -> list[str]:
    """The labels of `vllm:cache_config_info`, which are the fields of an object at run time."""
    config = importlib.import_module("vllm.config").CacheConfig()
    return sorted({*config.metrics_info(), "engine"})


def main() -> None:
    """Print what the wheel in the folder knows."""
    wheel = Path(sys.argv[1]).resolve()
    # Only with this argument does the release keep its help texts, which say what is deprecated.
    sys.argv = ["vllm", "--help"]
    os.environ["HOME"] = _HOME
    # Some defaults depend on the machine, up to a limit below this.
    os.cpu_count = lambda: 64
    install(wheel)
    found = {
        "flags": _flags(wheel),
        "environment": _variables(wheel),
        "tool_call_parsers": _parsers(
            "ToolParserManager", ("vllm.tool_parsers", "vllm.entrypoints.openai.tool_parsers")
        ),
        "reasoning_parsers": _parsers("ReasoningParserManager", ("vllm.reasoning",)),
        "kv_connectors": _kv_connectors(),
        "info_labels": _info_labels(),
    }
    print(json.dumps(found), file=sys.__stdout__)


if __name__ == "__main__":
    sys.stdout = sys.stderr
    main()
