"""A Hugging Face `config.json` as a file: where its sizes stand, and what is said of bad ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import refuse


class HfFile:
    """One `config.json`, its text part in front, with a name for sentences."""

    def __init__(self, raw: Mapping[str, Any], name: str) -> None:
        self.raw = raw
        self.name = name
        inner = raw.get("text_config") or raw.get("llm_config")
        self.text: Mapping[str, Any] = inner if isinstance(inner, Mapping) else raw
        kind = self.text.get("model_type", raw.get("model_type", ""))
        self.family = str(kind).removesuffix("_text")

    def get(self, *keys: str) -> Any:
        """The first of the keys that is there and not null."""
        for key in keys:
            found = self.text.get(key)
            if found is not None:
                return found
        return None

    def size(self, *keys: str, least: int = 1, most: int = 2**40) -> int:
        """A whole number that has to be there."""
        found = self.get(*keys)
        if found is None:
            also = f" (or {', '.join(map(repr, keys[1:]))})" if keys[1:] else ""
            refuse(
                f"the config.json of {self.name} lacks {keys[0]!r}{also}, which its memory depends "
                "on; give the whole file, or a ModelShape."
            )
        return require.integer(f"{keys[0]} in the config.json of {self.name}", found, least, most)

    def optional(self, *keys: str) -> int:
        """A whole number, or 0."""
        return self.size(*keys, least=0) if self.get(*keys) is not None else 0

    def numbers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers, which may be missing."""
        found = self.get(key)
        where = f"{key} in the config.json of {self.name}"
        items = () if found is None else require.items(where, found, "a list of whole numbers")
        return tuple(require.integer(where, one, 0, 2**20) for one in items)

    def flag(self, key: str, default: bool = False) -> bool:  # noqa: FBT001, FBT002  # as dict.get
        """A boolean; null is the default."""
        found = self.get(key)
        return default if found is None else bool(found)

    def starts(self, families: tuple[str, ...]) -> bool:
        """Whether the model is of one of the families."""
        return self.family.startswith(families)


def load(config: object) -> tuple[Mapping[str, Any], str]:
    """What stands in a config, and a name for it."""
    if isinstance(config, Mapping):
        return config, ""
    if not isinstance(config, (str, Path)):
        require.wrong("the config", config, "a path of a config.json, or a dict of what is in it")
    path = Path(config)
    try:
        path = path / "config.json" if path.is_dir() else path
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        refuse(
            f"the config {require.shown(str(config))} cannot be read ({type(error).__name__}); "
            "give the path of a model's config.json."
        )
    if not isinstance(found, dict):
        require.wrong("the config", found, "a config.json that holds an object")
    return found, path.parent.name
