"""The spelling of a problem's options on a command line of `vllm serve`."""

from __future__ import annotations

import re

from vllm_constructs.errors import python
from vllm_constructs.releases.release import catalog

_EXTRA = re.compile(r"extra\['([a-z0-9-]+)'\](.*)", re.DOTALL)


def as_flags(option: str, value: str | None = None) -> str:
    """An option as a flag: `EngineArgs.max_num_seqs` is `--max-num-seqs`.

    Args:
        option: Its Python name. An option that is not a flag keeps Python's spelling.
        value: Its value as Python code. Default: None, which names the option only.
    """
    owner, _, name = option.partition(".")
    if not name:
        owner, name = "EngineArgs", owner
    extra = _EXTRA.fullmatch(name)
    name, bracket, rest = name.partition("[")
    flag = f"--{extra[1]}" if extra else f"--{name.replace('_', '-')}"
    if option == "EngineArgs":
        return "the command line"
    if owner != "EngineArgs" or not (extra or flag in catalog()["flags"]):
        return python(option, value)
    index = extra[2] if extra else bracket + rest
    given = "" if value in (None, "True") else f"={value.strip(chr(39)) if value else value}"
    return f"{flag}{index}{given}"
