"""Two versions of an object, for tests."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.cluster.kinds import SAMPLES, Path
from tests.cluster.variants import put, without
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.settings import Settings
from vllm_constructs.upgrade.compared import Compared
from vllm_constructs.upgrade.upgrade import Upgrade

Manifest = dict[str, Any]


class Missing:
    """Stands for a field that is left out."""


def sample(title: str, **more: Any) -> Manifest:
    """A copy of a sample, with other fields of its spec."""
    found = deepcopy(SAMPLES[title])
    found.setdefault("spec", {}).update(deepcopy(more))
    return found


def changed(old: Manifest, *path: str | int, to: Any) -> Manifest:
    """A copy with another value at a path, or without it."""
    where: Path = path
    return without(old, where) if to is Missing else put(old, where, to)


def live(manifest: Manifest, status: Manifest | None = None, **metadata: Any) -> Manifest:
    """An object as a cluster shows it."""
    found = deepcopy(manifest)
    own = found["metadata"]
    if "annotations" in metadata:
        metadata["annotations"] = {**own.get("annotations", {}), **metadata["annotations"]}
    own |= {"uid": "1", "resourceVersion": "1", **metadata}
    return {**found, "status": status or {}}


def compared(old: Manifest, new: Manifest) -> Compared:
    """An object before and after."""
    graphs = Graph([old]), Graph([new])
    return Compared(graphs[0].manifests[0], graphs[1].manifests[0], graphs)


def upgraded(
    old: Manifest | list[Manifest],
    new: Manifest | list[Manifest],
    settings: Settings | None = None,
) -> Upgrade:
    """What an apply of manifests would do."""
    sides = [one if isinstance(one, list) else [one] for one in (old, new)]
    return Upgrade(Graph(sides[0], settings), Graph(sides[1], settings))


def verdict(upgrade: Upgrade) -> str:
    """Whether something is refused, may be, or is changed."""
    if upgrade.refused:
        return "refused"
    if upgrade.doubtful:
        return "doubtful"
    return "nothing" if not any(one.changes for one in upgrade.compared) else "changed"
