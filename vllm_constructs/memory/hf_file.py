"""A Hugging Face `config.json` as a file: reading it, and checking the values of its keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse


class HfFile:
    """One `config.json`, whose values come from its text model if it has several models.

    Args:
        raw: Content of the file.
        name: Name of the model, for sentences.
    """

    def __init__(self, raw: Mapping[str, Any], name: str) -> None:
        self.raw = raw
        self.name = name
        inner = raw.get("text_config") or raw.get("llm_config")
        self.text: Mapping[str, Any] = inner if isinstance(inner, Mapping) else raw
        kind = self.text.get("model_type", raw.get("model_type", ""))
        self.family = str(kind).removesuffix("_text")
        self.seen: set[str] = set()

    def get(self, *keys: str) -> Any:
        """The value of the first key that exists and is not null; all of them count as seen."""
        self.seen.update(keys)
        for key in keys:
            value = self.text.get(key)
            if value is not None:
                return value
        return None

    def size(self, *keys: str, least: int = 1, most: int = 2**40) -> int:
        """A required integer."""
        value = self.get(*keys)
        if value is None:
            also = f" (or {', '.join(map(repr, keys[1:]))})" if keys[1:] else ""
            refuse(
                f"the config.json of {self.name} has no {keys[0]!r}{also}, which the memory plan "
                "needs; give the whole file, or a ModelShape(...)."
            )
        return require.integer(f"{keys[0]} in the config.json of {self.name}", value, least, most)

    def optional(self, *keys: str) -> int:
        """An integer; 0 if it is missing."""
        return self.size(*keys, least=0) if self.get(*keys) is not None else 0

    def numbers(self, key: str) -> tuple[int, ...]:
        """A list of integers; empty if it is missing."""
        value = self.get(key)
        where = f"{key} in the config.json of {self.name}"
        items = () if value is None else require.items(where, value, "a list of integers")
        return tuple(require.integer(where, item, 0, 2**20) for item in items)

    def flag(self, key: str, default: bool = False) -> bool:  # noqa: FBT001, FBT002  # as dict.get
        """A Boolean; the default if it is missing or null."""
        value = self.get(key)
        return default if value is None else bool(value)

    def starts(self, families: tuple[str, ...]) -> bool:
        """Whether the name of the model's family begins with one of these."""
        return self.family.startswith(families)


def load(config: object) -> tuple[Mapping[str, Any], str]:
    """The content of a `config.json`, and the name of its folder; empty if there is none.

    Args:
        config: Path of the file or of its folder, or its content.

    Raises:
        VllmConstructsError: The file cannot be read, or is not a JSON object.
    """
    if isinstance(config, Mapping):
        return config, ""
    if not isinstance(config, (str, Path)):
        require.wrong("config", config, "the path of a config.json, or a dict of its content")
    path = Path(config)
    try:
        path = path / "config.json" if path.is_dir() else path
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        value = require.shown(str(config))
        refuse(
            Problem(
                where="config",
                text=f"is {escaped(value)}, which cannot be read ({type(error).__name__})",
                value=value,
                advice="give the path of a model's config.json",
            )
        )
    if not isinstance(content, dict):
        require.wrong("config", content, "a config.json with a JSON object")
    return content, path.parent.name
