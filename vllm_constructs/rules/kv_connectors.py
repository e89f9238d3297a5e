"""Rule of the configuration of connectors: X07."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_constructs.engine.conflicts import conflicts
from vllm_constructs.engine.flag_checks import plugins_needed
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.disaggregated import connectors
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import is_plain
from vllm_constructs.releases.behavior import numbers
from vllm_constructs.releases.release import built_in, releases

from .owners import given_flags, level_of, owner_of
from .rule import Found, rule

_CONFIG = "kv-transfer-config"
# What took the place of connectors that are gone.
_INSTEAD = {
    "LMCacheConnector": "LMCacheConnectorV1",
    "P2pNcclConnector": "NixlConnector",
    "PyNcclConnector": "NixlConnector",
    "SharedStorageConnector": "ExampleConnector",
}


@rule("X07", "error", "a connector that this release does not start with")
def refused(graph: Graph) -> Iterator[Found]:
    """The engine reads the keys and the name when it starts, and ends."""
    for engine in graph.engines:
        if not is_plain(engine):
            continue
        for problem in _refusals(engine):
            is_encoder = problem.where.startswith(("EngineArgs.ec_", "--ec-"))
            path = engine.flag_place("ec-transfer-config" if is_encoder else _CONFIG)
            level = level_of(engine)
            yield Found(manifest=engine.manifest, path=path, problem=problem, level=level)
        yield from _gone(engine)


def _refusals(engine: Engine) -> Iterator[Problem]:
    for problem in engine.line.problems:
        if owner_of(problem, "E02") == "X07":
            yield problem
    for problem in conflicts(given_flags(engine)):
        if owner_of(problem) == "X07":
            yield problem


def _gone(engine: Engine) -> Iterator[Found]:
    """Connectors that a release no longer has, or that an official image never had."""
    release = engine.release
    known = built_in(release.known, "kv_connectors")
    for one in connectors(engine):
        if one.name in known or "." in one.name or one.config.get("kv_connector_module_path"):
            continue
        older = [name for name in releases() if one.name in built_in(name, "kv_connectors")]
        problem = next(
            plugins_needed(release, {"kv_transfer_config": {"kv_connector": one.name}}), None
        )
        is_later = bool(older) and numbers(older[0]) > numbers(release.known)
        if problem is None or (release.version is None and not release.is_official):
            continue
        if older or one.name in _INSTEAD:
            state = "not yet" if is_later else "no longer"
            text = f"is {escaped(repr(one.name))}, {state} a connector of {release.description}"
            advice = f"use {_INSTEAD[one.name]}" if one.name in _INSTEAD else "use another one"
            advice += f"; vLLM {older[-1]} still had it" if older and not is_later else ""
            advice = f"vLLM {older[0]} has it: use a newer image" if is_later else advice
            problem = Problem(where=problem.where, text=text, advice=advice)
        elif not release.is_official:
            # A plugin of the image may have it.
            continue
        path = engine.flag_place(_CONFIG)
        level = level_of(engine)
        yield Found(manifest=engine.manifest, path=path, problem=problem, level=level)
