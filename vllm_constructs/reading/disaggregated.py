"""Engines that compute prompts and answers apart: their sides, and which belong together."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from .engines import Engine
from .fields import items, mapping
from .groups import pods_of_pool

if TYPE_CHECKING:
    from .graph import Graph

Side: TypeAlias = Literal["prefill", "decode", ""]

_ROLES: dict[str, Side] = {"kv_producer": "prefill", "kv_consumer": "decode"}
_WORDS: dict[str, Side] = {
    "prefill": "prefill",
    "prefiller": "prefill",
    "decode": "decode",
    "decoder": "decode",
}
# Connectors between engines; with the role `kv_both` all others keep the cache of their own engine.
_BETWEEN = re.compile(r"Nixl\w*|MooncakeConnector|MoRIIOConnector|P2pNcclConnector|TPUConnector\w*")
# Objects whose roles are the sides.
_WITH_ROLES = ("DisaggregatedSet", "LLMInferenceService", "RoleSet", "StormService")
# What engines that belong together have in common.
_Key: TypeAlias = "Callable[[_Sided], Hashable]"


class Connector(NamedTuple):
    """A connector of an engine, alone or one of several.

    Attributes:
        name: Its name.
        role: Its role; empty if it is not given.
        config: The configuration that names it.
    """

    name: str
    role: str
    config: Mapping[str, Any]


class Pair(NamedTuple):
    """Two engines of which one takes the cache of the other.

    Attributes:
        prefill: The engine that computes prompts.
        decode: The engine that computes answers.
    """

    prefill: Engine
    decode: Engine


class _Sided(NamedTuple):
    engine: Engine
    side: Side


def transfer_config(engine: Engine) -> dict[str, Any]:
    """The configuration of an engine's connectors; empty if it has none, or it is not known.

    Args:
        engine: The engine.
    """
    return mapping(engine.flag("kv-transfer-config"))


def connectors(engine: Engine) -> Iterator[Connector]:
    """The connectors of an engine, those in another one included.

    Args:
        engine: The engine.
    """
    config = transfer_config(engine)
    role = str(config.get("kv_role") or "")
    if isinstance(config.get("kv_connector"), str):
        yield Connector(config["kv_connector"], role, config)
    for one in items(mapping(config.get("kv_connector_extra_config")).get("connectors")):
        inner = mapping(one)
        if isinstance(inner.get("kv_connector"), str):
            own = str(inner.get("kv_role") or role)
            yield Connector(inner["kv_connector"], own, inner)


def connectors_between(engine: Engine) -> list[Connector]:
    """The connectors of an engine to other engines.

    Args:
        engine: The engine.
    """
    return [one for one in connectors(engine) if _BETWEEN.fullmatch(one.name) or one.role in _ROLES]


def side_of(engine: Engine) -> Side:
    """What an engine computes for others; empty if it is no side, or that is not known.

    Args:
        engine: The engine.
    """
    between = connectors_between(engine)
    if not between:
        return ""
    for one in between:
        if one.role in _ROLES:
            return _ROLES[one.role]
    return _named_side(engine)


def _named_side(engine: Engine) -> Side:
    """The side that the role of a set, a label or the name of the object says."""
    manifest, path = engine.manifest, engine.pod.path
    if manifest.kind == "LLMInferenceService":
        if path[1:2] == ("prefill",):
            return "prefill"
        return "decode" if "prefill" in manifest.spec else ""
    if manifest.kind in _WITH_ROLES and "roles" in path:
        role = manifest.at(*path[: path.index("roles") + 2])
        found = _WORDS.get(str(mapping(role).get("name")), "")
        if found:
            return found
    labels: set[Side] = {
        _WORDS[str(value)] for value in engine.pod.labels.values() if str(value) in _WORDS
    }
    words: set[Side] = {_WORDS[word] for word in manifest.name.split("-") if word in _WORDS}
    for sides in (labels, words):
        if len(sides) == 1:
            return sides.pop()
    return ""


def pairs(graph: Graph) -> list[Pair]:
    """The engines that belong together: each side with at least one of the other.

    Args:
        graph: The manifests.
    """
    left = [
        _Sided(one, side)
        for one in graph.engines
        # The other nodes of an engine are as its first one.
        if not one.is_headless and (side := side_of(one))
    ]
    found: list[Pair] = []
    if not left:
        return found
    pools: dict[int, Hashable] = {}
    for pool in graph.of("InferencePool"):
        for pod in pods_of_pool(graph, pool):
            pools.setdefault(id(pod), (pool.namespace, pool.name))
    keys: tuple[_Key, ...] = (
        _by_set,
        lambda one: pools.get(id(one.engine.pod)),
        _by_name,
        _by_labels,
    )
    for key in keys:
        clusters: dict[Hashable, list[_Sided]] = {}
        for one in left:
            clusters.setdefault(key(one), []).append(one)
        for name, members in clusters.items():
            found += [] if name is None else _pairs(members)
        done = {id(one) for pair in found for one in pair}
        left = [one for one in left if id(one.engine) not in done]
    return found


def _pairs(members: list[_Sided]) -> Iterator[Pair]:
    """Each engine with the first one of the other side."""
    prefills = [one.engine for one in members if one.side == "prefill"]
    decodes = [one.engine for one in members if one.side == "decode"]
    if prefills and decodes:
        yield from (Pair(prefills[0], one) for one in decodes)
        yield from (Pair(one, decodes[0]) for one in prefills[1:])


def _by_set(one: _Sided) -> Hashable:
    manifest = one.engine.manifest
    return manifest.number if manifest.kind in _WITH_ROLES else None


def _by_name(one: _Sided) -> Hashable:
    manifest = one.engine.manifest
    words = manifest.name.split("-")
    rest = tuple(word for word in words if word not in _WORDS)
    return (manifest.namespace, rest) if len(rest) < len(words) else None


def _by_labels(one: _Sided) -> Hashable:
    pod = one.engine.pod
    rest = frozenset(
        (key, str(value)) for key, value in pod.labels.items() if str(value) not in _WORDS
    )
    return (pod.namespace, rest) if rest else None
