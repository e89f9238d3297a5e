"""Options of `check`, with their defaults from `[tool.vllm-constructs]` of pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse

if TYPE_CHECKING:
    from vllm_constructs.reading.settings import Settings

TABLE = "tool.vllm-constructs"
FAIL_ON = ("error", "warning", "never")
_KEYS = ("fail-on", "gpu", "ignore", "kubernetes", "select", "vllm")


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """The options of `check`, given or by default.

    Args:
        format: Format of the report.
        fail_on: The level from which a finding fails the command, or `never`.
        select: Ids of rules or their beginnings; none selects all.
        ignore: Ids of rules or their beginnings.
        vllm: The vLLM release in images that do not tell; None for the newest known one.
        kubernetes: The release of the cluster; None if it is not known.
        gpu: The product of GPUs that manifests do not name; None if it is not known.
        fix: Whether files are mended.
    """

    format: str = "text"
    fail_on: str = "error"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    vllm: str | None = None
    kubernetes: str | None = None
    gpu: str | None = None
    fix: bool = False

    def settings(self) -> Settings:
        """What the manifests do not say.

        Raises:
            VllmConstructsError: A release is not one, or this library does not know it.
        """
        from vllm_constructs.kube.kubernetes import Kubernetes
        from vllm_constructs.reading.settings import Settings
        from vllm_constructs.releases.release import DEFAULT_IMAGE, VllmRelease

        if self.vllm is not None:
            VllmRelease(DEFAULT_IMAGE.partition(":")[0] + "@sha256:" + "0" * 64, vllm=self.vllm)
        cluster = None if self.kubernetes is None else Kubernetes(self.kubernetes)
        return Settings(vllm=self.vllm, kubernetes=cluster, gpu=self.gpu)


def with_defaults(options: Mapping[str, Any]) -> Defaults:
    """The options, with what pyproject.toml says of those that are not given.

    Args:
        options: The options of the verb.

    Raises:
        VllmConstructsError: The table of pyproject.toml has an unknown key or a wrong value.
    """
    table = _table(Path.cwd())
    for name in ("select", "ignore", "vllm", "kubernetes", "gpu", "fail_on"):
        value = options[name]
        if value is not None:
            table[name] = _ids(value.split(",")) if name in ("select", "ignore") else value
    return Defaults(format=options["format"], fix=options["fix"], **table)


def _ids(words: list[str]) -> tuple[str, ...]:
    return tuple(word.strip().upper() for word in words if word.strip())


def _table(folder: Path) -> dict[str, Any]:
    """The table of the nearest pyproject.toml that has one."""
    for parent in (folder, *folder.parents):
        file = parent / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            found = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            refuse(Problem(text=escaped(f"{file} cannot be read ({error})"), advice="correct it"))
        table = found.get("tool", {}).get("vllm-constructs")
        if table is not None:
            return _checked(table, file)
    return {}


def _checked(table: object, file: Path) -> dict[str, Any]:
    """The values of a table by their Python names; mistakes are rejected."""
    where = f"[{TABLE}] of {escaped(str(file))}"
    if not isinstance(table, dict):
        refuse(Problem(where=where, text="is not a table"))
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KEYS:
            text = f"has the key {escaped(require.shown(key))}, which is not an option"
            advice = require.nearest(key, _KEYS)
            refuse(Problem(where=where, text=text, allowed=require.one_of(_KEYS), advice=advice))
        name = f"{key} in {where}"
        if key in ("select", "ignore"):
            values[key] = _ids([str(one) for one in require.texts(name, value)])
        elif key == "fail-on":
            values["fail_on"] = require.choice(name, value, FAIL_ON)
        else:
            values[key] = require.text(name, value)
    return values
