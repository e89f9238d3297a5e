"""Ports of pods: which names they have, and on which numbers something may listen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import integer, strings
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.reading.pods import Pod

from .rule import Found, put

# A script that starts more than the engine.
_OTHERS = re.compile(r"[;&\n]|\bray\b")


def named(pods: Iterable[Pod], name: str) -> bool:
    """Whether any of some pods has a port of a name, or has containers that are not here.

    Args:
        pods: The pods.
        name: The name.
    """
    return any(name in pod.ports or not pod.is_whole for pod in pods)


def unnamed(manifest: Manifest, where: Path, field: str, name: str, pods: Iterable[Pod]) -> Found:
    """A name that is none of the ports of the pods behind a field.

    Args:
        manifest: The object with the field.
        where: The fields that lead to it.
        field: What it is called.
        name: The name.
        pods: The pods.
    """
    is_monitor = manifest.kind.endswith(("Monitor", "Monitoring"))
    effect = "nothing is scraped" if is_monitor else "nothing is sent to them"
    names = sorted({one for pod in pods for one in pod.ports})
    titles = sorted({pod.manifest.title for pod in pods})
    more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
    text = (
        f"is {require.shown(name)}, and the pods of {titles[0]}{more} have no port of that name, "
        f"so that {effect}"
    )
    fix, advice = None, require.nearest(name, names)
    if len(names) == 1:
        fix, advice = put(where, names[0]), f"give {names[0]!r}"
    elif not advice:
        advice = f"give {require.one_of(names)}" if names else "name the container's port so"
    problem = Problem(where=field, text=escaped(text), advice=escaped(advice))
    return Found(manifest=manifest, path=where, problem=problem, fix=fix)


def silent(number: int, pods: list[Pod], engines: Mapping[int, list[Engine]]) -> list[Engine]:
    """The engines of pods in which nothing listens on a number; none if something may.

    Args:
        number: The number.
        pods: The pods.
        engines: The engines by the `id` of their pod.
    """
    found = [engine for pod in pods for engine in engines.get(id(pod), ())]
    if not number or not found or len(found) != len(pods) or not all(map(_is_alone, found)):
        return []
    is_told = any(number == engine.port or _mentions(engine, number) for engine in found)
    return [] if is_told else found


def _is_alone(engine: Engine) -> bool:
    """Whether the engine is all that listens in its pods, on one port that is known."""
    return (
        engine.pod.is_whole
        and len(engine.pod.containers) == 1
        and engine.is_line_whole
        and engine.port is not None
        and not engine.is_headless
        and not any(name.startswith("data-parallel") for name in engine.options)
        and not any(map(_OTHERS.search, strings(engine.container.get("command"))))
        and not any(map(_OTHERS.search, strings(engine.container.get("args"))))
    )


def _mentions(engine: Engine, number: int) -> bool:
    """Whether the container names a port in any way."""
    ports = [
        integer(port.get("containerPort"), 0)
        for _, port in engine.manifest.each(*engine.path, "ports")
    ]
    words = [*strings(engine.container.get("command")), *strings(engine.container.get("args"))]
    words += [str(value) for value in engine.env.values()]
    return number in ports or any(re.search(rf"\b{number}\b", word) for word in words)
