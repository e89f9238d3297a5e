"""Generates the typed keywords of `EngineArgs` from the data of the newest release.

Usage: python tools/release_flags.py

It writes `vllm_constructs/engine/engine_args.py`, the class with a keyword for every flag that it
accepts, and `vllm_constructs/engine/json_flags.py`, the keys of flags that are JSON.
"""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1] / "vllm_constructs"

# The most common flags, in the order in which they are documented and rendered, with their
# documentation.
COMMON = {
    "max_model_len": (
        'Tokens of prompt and response together; `"auto"` takes what fits. Default: the model\'s '
        "own length."
    ),
    "gpu_memory_utilization": (
        "Share of the GPU's memory for the engine, above 0 and up to 1. Default: vLLM's 0.92; on a "
        "time-sliced GPU 0.9 of the slice's share."
    ),
    "dtype": "Data type of weights and activations.",
    "kv_cache_dtype": 'Data type of the KV cache, such as `"fp8"`.',
    "kv_cache_memory_bytes": "Bytes of KV cache per GPU, instead of a share.",
    "quantization": "Quantization method, where the checkpoint does not name it.",
    "load_format": 'How weights are read, such as `"safetensors"` or `"runai_streamer"`.',
    "revision": "Commit, tag or branch of the model repository.",
    "tokenizer": "Another tokenizer than the model's.",
    "trust_remote_code": (
        "Run code from the model's repository. Without `revision` a warning says that the code may "
        "change at any restart."
    ),
    "hf_overrides": "Changes to the model's `config.json`.",
    "runner": '`"generate"` or `"pooling"` (embeddings, ranking, classification).',
    "convert": "How a generative model is adapted for pooling.",
    "seed": "Seed of the sampler.",
    "enforce_eager": "No CUDA graphs: starts faster, responds slower.",
    "max_num_seqs": "Requests in one batch.",
    "max_num_batched_tokens": "Tokens in one batch; at least `max_num_seqs`.",
    "max_num_queued_reqs": "Requests that may wait; more are rejected with 503.",
    "enable_chunked_prefill": "On by default where supported.",
    "enable_prefix_caching": "On by default where supported.",
    "cpu_offload_gb": "GiB of weights per GPU kept in host memory.",
    "tensor_parallel_size": (
        "GPUs that split each layer. Default: the GPUs of the pod divided by the two sizes below."
    ),
    "pipeline_parallel_size": "GPUs that split the layers in stages. Default: 1.",
    "data_parallel_size": "Engines in one pod. Default: 1; more replicas are usually better.",
    "enable_expert_parallel": "Spread experts over the GPUs (mixture-of-experts models).",
    "distributed_executor_backend": "How the workers of a pod are started.",
    "enable_auto_tool_choice": "Let the model call tools; needs `tool_call_parser`.",
    "tool_call_parser": "Parser of the model's tool calls.",
    "reasoning_parser": "Parser of the model's reasoning.",
    "chat_template": "Path of a chat template, or the template.",
    "generation_config": '`"auto"` (the model\'s sampling defaults), `"vllm"` or a path.',
    "limit_mm_per_prompt": 'Most items per prompt and kind, such as `{"image": 2}`.',
    "enable_lora": "Serve LoRA adapters.",
    "max_loras": "LoRA adapters in one batch.",
    "max_lora_rank": "Highest LoRA rank.",
    "lora_modules": "Adapters loaded at start, each `name=path`.",
    "speculative_config": "Speculative decoding, as vLLM's JSON.",
    "compilation_config": "Compilation, as vLLM's JSON.",
    "structured_outputs_config": "Structured outputs, as vLLM's JSON.",
    "kv_transfer_config": "KV transfer connector, as vLLM's JSON.",
    "enable_log_requests": "Log each request.",
    "disable_log_stats": "Drop all vLLM metrics; rejected beside a scaler or monitor.",
}
# The two keywords that are not flags.
_OTHERS = {
    "extra": (
        "Any other flag by its name without `--`, checked against the release: `True` is the bare "
        "flag, `False` its negation, a list its values, a dict its JSON. Default: none."
    ),
    "delivery": (
        '`"args"` puts the flags into the container\'s args (default). `"config-map"` puts them '
        "into a ConfigMap that vLLM reads with `--config`; a change of it rolls the pods, through "
        "a checksum in the pod template."
    ),
}
_EXTRA = "Mapping[str, str | int | float | bool | Sequence[Json] | Mapping[str, Json]]"
_DELIVERY = 'Literal["args", "config-map"]'

# A number that other checks compare, so it is an integer only; and a numeric level, which vLLM's
# parser accepts as a string.
_PLAIN = {"max_num_batched_tokens": "int", "optimization_level": "Literal[0, 1, 2, 3]"}
_KINDS = {
    "bool": "bool",
    "int": "int",
    "float": "float",
    "str": "str",
    "human-readable-int": "int | str",
    "human-readable-int-or-auto": 'int | Literal["auto"]',
    "comma-list(int|str)": "int | str",
    "json-or-str": "Mapping[str, Json] | str",
    "any": "Json",
    "dict": "Mapping[str, Json]",
}
# What the types are called, one value and several.
_SIZE = ('an integer, or `"32k"`',)
_WORDS: dict[str, tuple[str, ...]] = {
    "bool": ("a Boolean",),
    "int": ("an integer", "integers"),
    "float": ("a number", "numbers"),
    "human-readable-int": _SIZE,
    "human-readable-int-or-auto": _SIZE,
    "json": ("JSON",),
    "json-or-str": ("JSON or a string",),
    "comma-list(int|str)": ("an integer, or a string of integers with commas",),
}
_HEAD = '''"""{what}

Generated by `make release-data` from data/vllm-{release}.json; change tools/release_flags.py.
"""
'''


def fields_of(flag: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a flag's JSON; empty if the release does not define them."""
    return flag.get("fields") or flag.get("engine_fields") or {}


def _literal(options: list[Any]) -> str:
    return f"Literal[{', '.join(json.dumps(one) for one in options if one is not None)}]"


def _single(one: Mapping[str, Any], kind: str) -> str:
    """The type of one value."""
    name = _KINDS.get(kind)
    if name is None:
        inner = re.fullmatch(r"list\[(.+)\]", kind)
        name = f"Sequence[{_types({}, inner[1])}]" if inner else "str"
    if one.get("items"):
        return f"Sequence[{_literal(one['items'])}]"
    if one.get("choices"):
        return _literal(one["choices"])
    if one.get("known"):
        # Any other name may be a plugin's; the known ones are for completion in an editor.
        return f"{_literal(one['known'])} | {name}"
    return name


def _types(one: Mapping[str, Any], kind: str) -> str:
    """The type of one key of JSON, with alternatives."""
    parts = re.split(r"\|(?![^\[]*\])", kind)
    named = [part for part in parts if part != "null"]
    if one.get("known"):
        # Numbers or names of an enum, so there are no others.
        types = [_literal(one["known"])]
    elif one.get("open"):
        # Any other name may be a class of the user's.
        types = [_literal(one["open"]), *(_KINDS[part] for part in named)]
    else:
        types = [_single(one, part) for part in named]
    return " | ".join([*types, *(["None"] if "null" in parts else [])])


def keyword_type(name: str, flag: Mapping[str, Any], parsers: Mapping[str, list[str]]) -> str:
    """The type of a flag's keyword, without None."""
    kind = flag["type"]
    if name in _PLAIN:
        return _PLAIN[name]
    if name in parsers:
        return f"{_literal(parsers[name])} | str"
    if fields_of(flag):
        return f"configs.{flag['class']}"
    if kind == "json":
        is_list = isinstance(flag.get("default"), list)
        return "Sequence[str]" if is_list else "Mapping[str, Json]"
    single = _single(flag, kind)
    if flag.get("nargs"):
        return f"Sequence[{single}]"
    return f"{single} | Sequence[{single}]" if flag.get("append") else single


def _default(flag: Mapping[str, Any]) -> str:
    """The sentence of the flag's default; empty if it is long or not known."""
    if "default" not in flag:
        return ""
    value = flag["default"]
    if isinstance(value, bool):
        return f" Default: {value}."
    text = json.dumps(value)
    if value in ("", [], {}) or len(text) > 26:
        return ""
    return f" Default: `{text}`."


def sentence(flag: Mapping[str, Any]) -> str:
    """The values of a flag, in one line."""
    kind = flag["type"]
    what = _WORDS.get(kind, ("a string", "strings"))
    if fields_of(flag):
        what = (f"JSON with the keys of `{flag['class']}`",)
    elif kind == "json" and isinstance(flag.get("default"), list):
        what = ("a list of strings",)
    elif flag.get("choices"):
        options = [f"`{json.dumps(one)}`" for one in flag["choices"] if one is not None]
        names = f"one of {len(options)} names"
        if len(options) < 4 and len("".join(options)) < 40:
            names = " or ".join(filter(None, [", ".join(options[:-1]), options[-1]]))
        what = (names, names)
    values = f"a list of {what[-1]}" if flag.get("nargs") else what[0]
    if flag.get("append"):
        values = "a string, or a list of strings"
    end = " Deprecated in vLLM." if flag.get("deprecated") else ""
    return f"{values[0].upper()}{values[1:]}.{_default(flag)}{end}"


def _camel(text: str) -> str:
    return "".join(part.capitalize() for part in text.split("_"))


def _config(name: str, what: str, fields: Mapping[str, Any], done: dict[str, str]) -> None:
    """Add the class of one flag's JSON, after the classes that it refers to."""
    lines = []
    for key, one in fields.items():
        if one.get("internal"):
            continue
        if one.get("fields"):
            inner = f"{name}{_camel(key)}"
            _config(inner, f"`{key}` in {what}", one["fields"], done)
            kind = f"{inner} | None" if "null" in one["type"].split("|") else inner
        else:
            kind = _types(one, one["type"])
        lines.append(f"    {key}: {kind}")
    body = "\n".join(lines)
    done[name] = f'class {name}(TypedDict, total=False):\n    """{what[0].upper()}{what[1:]}."""\n'
    done[name] += f"\n{body}\n"


def configs(release: str, flags: Mapping[str, Any]) -> str:
    """The text of `json_flags.py`."""
    done: dict[str, str] = {}
    for name, flag in flags.items():
        if fields_of(flag):
            _config(flag["class"], f"the JSON of `--{name}`", fields_of(flag), done)
    head = _HEAD.format(what="The keys of the flags of EngineArgs that are JSON.", release=release)
    return (
        f"{head}\n# ruff: noqa: PYI051  # literals beside `str` are for completion\n\n"
        "from __future__ import annotations\n\n"
        "from collections.abc import Mapping, Sequence\n"
        "from typing import Literal, TypedDict\n\n"
        "from .flag_types import Json\n\n\n" + "\n\n".join(done.values())
    )


def _documented(name: str, text: str) -> str:
    """The entry of a keyword in a docstring."""
    return textwrap.fill(
        f"{name}: {text}", 100, initial_indent=" " * 8, subsequent_indent=" " * 12, **_WHOLE_WORDS
    )


_WHOLE_WORDS: Any = {"break_long_words": False, "break_on_hyphens": False}


def engine_args(release: str, flags: Mapping[str, Any], parsers: Mapping[str, list[str]]) -> str:
    """The text of `engine_args.py`."""
    named = {name.replace("-", "_"): flag for name, flag in flags.items()}
    others = {name: sentence(named[name]) for name in sorted(set(named) - set(COMMON))}
    # A default that does not fit on the line is left out.
    short = {
        name: text if len(name) + len(text) <= 90 else text.partition(" Default:")[0]
        for name, text in others.items()
    }
    documented = COMMON | short | _OTHERS
    args = "\n".join(_documented(name, text) for name, text in documented.items())
    types = {
        name: f"{keyword_type(name, named[name], parsers)} | None" for name in (*COMMON, *others)
    }
    fields = "\n".join(f"    {name}: {kind} = None" for name, kind in types.items())
    parameters = "\n".join(f"        {name}: {kind} = None," for name, kind in types.items())
    head = _HEAD.format(
        what=f"EngineArgs: the flags of `vllm serve` {release}, as keywords.",
        release=release,
    )
    return f'''{head}
# ruff: noqa: PYI051  # literals beside `str` are for completion

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Literal, Never

from vllm_constructs.dataclass import dataclass
from vllm_constructs.frozen import FrozenDict

from .flag_checks import CheckedFlags

if TYPE_CHECKING:
    from . import json_flags as configs
    from .flag_types import Json


# `__init__` is written here, since `dataclass` would compile the same one at each start.
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class EngineArgs(CheckedFlags):
    """Flags of `vllm serve`; a flag that is left out has vLLM's own default.

    The value of a flag is checked against the vLLM release in the image. What this library derives
    (model, served name, port, shutdown timeout, tensor parallelism) is specified elsewhere.

    Args:
{args}

    Raises:
        VllmConstructsError: A flag that the release does not have, a value that it rejects, or
            flags that contradict each other.
    """

    # Not annotated, since it would be a field of the dataclass.
    _COMMON = {len(COMMON)}

{fields}
    extra: {_EXTRA} = field(
        default_factory=FrozenDict
    )
    delivery: {_DELIVERY} = "args"

    def __init__(
        self,
        *,
{parameters}
        extra: {_EXTRA} | None = None,
        delivery: {_DELIVERY} = "args",
        **unknown: Never,
    ) -> None:
        """Check the flags, and keep immutable copies of their values."""
        given = dict(locals())
        del given["self"], given["unknown"]
        self._keep(given, unknown)
'''


def made(release: str) -> dict[str, str]:
    """The text of both modules for a release, by their paths."""
    data = json.loads((PACKAGE / "data" / f"vllm-{release}.json").read_text(encoding="utf-8"))
    reserved = runpy.run_path(str(PACKAGE / "engine" / "reserved_flags.py"))["RESERVED"]
    flags = {
        name.removeprefix("--"): flag
        for name, flag in sorted(data["flags"].items())
        if name.removeprefix("--") not in reserved
    }
    flags["kv-transfer-config"]["fields"]["kv_connector"]["open"] = data["kv_connectors"]
    parsers = {
        "tool_call_parser": data["tool_call_parsers"],
        "reasoning_parser": data["reasoning_parsers"],
    }
    texts = {
        "engine/engine_args.py": engine_args(release, flags, parsers),
        "engine/json_flags.py": configs(release, flags),
    }
    return {name: _formatted(text) for name, text in texts.items()}


def _formatted(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", "x.py", "-"]
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def newest() -> str:
    """The newest release with a data file."""
    releases = (path.stem.removeprefix("vllm-") for path in (PACKAGE / "data").glob("vllm-*.json"))
    return max(releases, key=lambda release: tuple(map(int, release.split("."))))


def main() -> None:
    """Write both modules."""
    for name, text in made(newest()).items():
        (PACKAGE / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.splitlines())} lines; look at the difference.")


if __name__ == "__main__":
    main()
