"""Answers: how long those of the engines behind a proxy may take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading import backends
from vllm_constructs.reading.backends import Backend
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.traffic.ingress_annotations import seconds

from .rule import Found, put

LONGEST = 300
"""Seconds of the longest answer of an engine that does not say: a few thousand tokens, after a
queue and a long prompt."""
_KEEP_ALIVE = "VLLM_HTTP_TIMEOUT_KEEP_ALIVE"
_NAMED = re.compile(r"vllm|lmstack")
_NO_ENGINE = re.compile(r"ui\b|web|dash|grafana|prom|metric|docs|console|admin")
# A flag of releases before 0.13.
_TASK = re.compile(r"--task[= ](embed|embedding|score|classify|reward)\b")
_POOLING = re.compile(r"embed|rerank|bge-|/e5-|gte-", re.IGNORECASE)


def longest_answer(engines: Sequence[Engine]) -> int:
    """Seconds of the longest answer of some engines.

    Args:
        engines: The engines; none if they are not in the manifests.
    """
    return max(map(_longest, engines), default=LONGEST)


def _longest(engine: Engine) -> int:
    if not engine.is_ours:
        return LONGEST
    # This library keeps connections ten seconds longer than the longest response takes, and at
    # least 75 seconds.
    kept = seconds(engine.env.get(_KEEP_ALIVE))
    return int(kept) - 10 if kept is not None and kept > 75 else 0


def _is_pooling(engine: Engine) -> bool:
    """Whether it answers at once, with numbers."""
    runner = engine.flag("runner")
    if runner is not None:
        return bool(runner == "pooling")
    words = " ".join(engine.words)
    return bool(_POOLING.search(engine.model or "") or _TASK.search(words))


def engines_of(graph: Graph, backend: Backend) -> list[Engine]:
    """The engines of a backend that are in the manifests.

    Args:
        graph: The graph.
        backend: The backend.
    """
    return [
        engine
        for pod in backends.pods_of_backend(graph, backend) or []
        for engine in graph.engines_of(pod.manifest)
        if engine.pod is pod
    ]


def generating(graph: Graph, found: Iterable[Backend]) -> list[Engine] | None:
    """The engines behind some backends that generate; None if it seems that none does.

    An empty list stands for some that are not in the manifests, such as those behind a router.

    Args:
        graph: The graph.
        found: The backends.
    """
    engines: list[Engine] = []
    seems = False
    for one in found:
        behind = engines_of(graph, one)
        engines += [engine for engine in behind if not _is_pooling(engine)]
        if not behind and not _NO_ENGINE.search(one.name):
            pods = backends.pods_of_backend(graph, one) or []
            images = [
                str(container.get("image")) for pod in pods for _, container in pod.containers
            ]
            seems |= any(map(_NAMED.search, images or [one.name]))
    return engines if engines or seems else None


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit of how long an answer may take.

    Args:
        manifest: The object that has it.
        path: The fields that lead to it.
        name: Its name.
        given: What it is, as a template.
        right: Its value for the longest answer.
    """

    manifest: Manifest
    path: Path
    name: str
    given: str
    right: Any


def too_short(limit: Limit, longest: int) -> Found:
    """A limit below the longest answer.

    Args:
        limit: The limit.
        longest: Seconds of the longest answer.
    """
    what = "" if longest == LONGEST else f", and an answer of this engine takes up to {longest}"
    text = (
        f"{limit.given}{what}: a long answer, or one that waits for its turn or for a long prompt, "
        "is cut off"
    )
    advice = f"give {escaped(str(limit.right))}, or what the longest answer takes"
    return Found(
        manifest=limit.manifest,
        path=limit.path,
        problem=Problem(where=limit.name, text=text, advice=advice),
        fix=put(limit.path, limit.right),
    )
