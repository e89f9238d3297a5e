"""Scenarios: set-ups of real users, as apps, and what the manifests of such a user have to say.

Each folder has `main.py`, an app as the user would write it, and `expected.yaml`, the fields that
the set-up needs. A field whose value is null there has to be absent, and arguments may have others
beside them.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cdk8s
import pytest
import yaml

from tests.support import ALL_RELEASES, load_yaml

FOLDER = Path(__file__).parent
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/main.py"))
# By what entries of lists are found; other lists are compared as they are.
_KEYS = ("name", "mountPath", "containerPort", "key", "topologyKey", "ip")

Manifest = dict[str, Any]


def render(name: str, out: Path, patch: pytest.MonkeyPatch) -> list[Manifest]:
    """Run the app of a scenario in its own folder, and give what it renders.

    Args:
        name: Name of its folder.
        out: An empty folder.
        patch: Undoes what has to be changed for it.
    """

    class App(cdk8s.App):
        def __init__(self) -> None:
            super().__init__(outdir=str(out))

    patch.setattr(cdk8s, "App", App)
    patch.chdir(FOLDER / name)
    runpy.run_path("main.py", run_name="__main__")
    return [item for file in sorted(out.glob("*.yaml")) for item in load_yaml(file)]


def source(name: str) -> str:
    """The text of a scenario's app."""
    return (FOLDER / name / "main.py").read_text(encoding="utf-8")


def releases(name: str) -> list[str]:
    """The releases of Kubernetes for which a scenario is: its target and newer ones."""
    target = re.search(r'Kubernetes\("1\.(\d+)"\)', source(name))
    oldest = 0 if target is None else int(target[1])
    return [one for one in ALL_RELEASES if int(one.partition(".")[2]) >= oldest]


def expected(name: str) -> list[Manifest]:
    """What the manifests of a scenario have to say."""
    text = (FOLDER / name / "expected.yaml").read_text(encoding="utf-8")
    return [item for item in yaml.safe_load_all(text) if item]


def fields(value: Any) -> Iterator[Any]:
    """The values that `missing` compares."""
    if isinstance(value, dict):
        for item in value.values():
            yield from fields(item)
    elif isinstance(value, list):
        for item in value:
            yield from fields(item)
    else:
        yield value


def absent(wanted: list[Manifest], found: list[Manifest]) -> list[str]:
    """What the manifests do not say of what they have to.

    Args:
        wanted: Parts of manifests, each with kind and name.
        found: The manifests.
    """
    problems: list[str] = []
    for part in wanted:
        kind, name = part["kind"], part["metadata"]["name"]
        same = [one for one in found if (one["kind"], one["metadata"]["name"]) == (kind, name)]
        if len(same) == 1:
            problems += _differences(part, same[0], f"{kind}/{name}")
        else:
            problems.append(f"{kind}/{name}: {len(same)} objects")
    return problems


def _differences(wanted: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            yield f"{path}: {found!r} has no fields"
            return
        for key, value in wanted.items():
            if value is None:
                if key in found:
                    yield f"{path}.{key}: is {found[key]!r}"
            elif key not in found:
                yield f"{path}.{key}: is missing"
            else:
                yield from _differences(value, found[key], f"{path}.{key}")
    elif isinstance(wanted, list) and wanted and isinstance(wanted[0], dict):
        yield from _entries(wanted, found, path)
    elif path.endswith(".args") and isinstance(found, list):
        # Their order is the library's.
        yield from (f"{path}: has no {word!r}" for word in wanted if word not in found)
    elif wanted != found:
        yield f"{path}: is {found!r}, not {wanted!r}"


def _entries(wanted: list[Any], found: Any, path: str) -> Iterator[str]:
    """Entries are found by their key, or are any that has all fields."""
    entries = found if isinstance(found, list) else []
    for at, part in enumerate(wanted):
        key = next((one for one in _KEYS if one in part), None)
        same = [one for one in entries if key is None or one.get(key) == part[key]]
        tries = [list(_differences(part, one, f"{path}[{at}]")) for one in same]
        if not tries:
            yield f"{path}: has no entry like {part!r}"
        else:
            yield from min(tries, key=len)
