"""Rules of rollout deadline, grace period and drain: P04 to P06."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs.errors import Problem
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import integer, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.groups import is_plain

from .probes import budget
from .rule import Found, put, rule

_GRACE = 30
"""Seconds that Kubernetes gives a pod by default."""
_DEADLINE = 600
"""Seconds that Kubernetes gives a rollout by default."""
_CLEAN_UP = 5
_LONG_PAUSE = 30
"""Seconds of a pause in which most requests end, since the engine works on until it is over."""
# In a script, alone or before what drains.
_SLEEP = re.compile(r"\bsleep\s+(\d+)([smh]?)\b")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
# How often a loop sleeps is not known.
_LOOP = re.compile(r"\b(for|until|while)\b")


def pre_stop(container: Mapping[str, Any]) -> tuple[int, int] | None:
    """Seconds of a container's preStop hook: of its pause, and of its wait for requests at most.

    None if it has none, or what it executes does not tell.

    Args:
        container: The container.
    """
    hook = mapping(container, "lifecycle", "preStop")
    if "sleep" in hook:
        return integer(mapping(hook["sleep"]).get("seconds"), 0), 0
    words = strings(mapping(hook.get("exec")).get("command"))
    if words[1:2] == ["-c"] and len(words) == 6 and "end_engine" in words[2]:
        # The hook of this library: port, pause and seconds.
        pause, seconds = words[4], words[5]
        return (int(pause), int(seconds)) if pause.isdecimal() and seconds.isdecimal() else None
    script = " ".join(words)
    found = None if _LOOP.search(script) else _SLEEP.search(script)
    return (int(found[1]) * _UNITS[found[2]], 0) if found else None


def _has_pre_stop(engine: Engine) -> bool:
    return bool(mapping(engine.container, "lifecycle", "preStop"))


@rule("P04", "error", "a rollout that fails before the model is loaded")
def deadline(graph: Graph) -> Iterator[Found]:
    """The Deployment reports a failure, and a tool that waits for it rolls back."""
    for engine in graph.engines:
        manifest = engine.manifest
        if manifest.kind != "Deployment":
            continue
        seconds = integer(manifest.spec.get("progressDeadlineSeconds"), _DEADLINE)
        ready = integer(manifest.spec.get("minReadySeconds"), 0)
        startup = mapping(engine.container.get("startupProbe"))
        least = budget(startup) if startup else 0
        given = "progressDeadlineSeconds" in manifest.spec
        if not given and engine.pod.is_patch:
            continue
        what = f"is {seconds}" if given else f"is left out, which means {seconds} seconds"
        path = ("spec", "progressDeadlineSeconds")
        if seconds < least:
            text = f"{what}, less than the {least} seconds that the startupProbe allows"
            problem = Problem(
                where="progressDeadlineSeconds",
                text=text,
                advice=f"give more than {least}, with time for the pull of the image",
            )
            fix = put(path, least + _DEADLINE, is_safe=True)
            yield Found(manifest=manifest, path=path, problem=problem, fix=fix)
        elif ready >= seconds:
            text = f"{what}, which has to be more than minReadySeconds ({ready})"
            problem = Problem(where="progressDeadlineSeconds", text=text, advice="raise it")
            yield Found(manifest=manifest, path=path, problem=problem)


@rule("P05", "error", "a grace period that ends before the drain")
def grace(graph: Graph) -> Iterator[Found]:
    """The kubelet kills the engine, and its requests are lost."""
    for engine in graph.engines:
        if not engine.pod.is_whole:
            continue
        spec = engine.pod.spec
        seconds = integer(spec.get("terminationGracePeriodSeconds"), _GRACE)
        pause, wait = pre_stop(engine.container) or (0, 0)
        shutdown = engine.flag("shutdown-timeout", 0)
        shutdown = shutdown if isinstance(shutdown, int) else 0
        needed = pause + wait + shutdown
        if needed and seconds < needed + (_CLEAN_UP if shutdown or wait else 1):
            given = "terminationGracePeriodSeconds" in spec
            what = f"is {seconds}" if given else f"is left out, which means {seconds} seconds"
            parts = [f"preStop takes {pause + wait}"] if pause + wait else []
            parts += [f"--shutdown-timeout {shutdown}"] if shutdown else []
            text = f"{what}, but {' and '.join(parts)}, so that the kubelet ends the drain"
            path = (*engine.pod.path, "terminationGracePeriodSeconds")
            right = needed + 15
            advice = f"give {right} or more: the sum, and 15 seconds for the processes to end"
            problem = Problem(where="terminationGracePeriodSeconds", text=text, advice=advice)
            yield Found(
                manifest=engine.manifest,
                path=path,
                problem=problem,
                fix=put(path, right, is_safe=True),
            )


@rule("P06", "warning", "an engine that does not drain")
def drain(graph: Graph) -> Iterator[Found]:
    """By default vLLM ends its requests when Kubernetes stops the pod."""
    for engine in graph.engines:
        if not engine.pod.is_whole or engine.manifest.kind in ("Job", "CronJob"):
            continue
        # Headless workers get no requests, and a script may start such ones.
        if engine.is_headless or (engine.pod.role == "worker" and not is_plain(engine)):
            continue
        found = pre_stop(engine.container)
        waits = engine.flag("shutdown-timeout", 0) or (
            found is not None and (found[1] or found[0] >= _LONG_PAUSE)
        )
        is_known = "shutdown-timeout" not in engine.line.unread and engine.is_line_whole
        # What a hook of somebody else does is not known.
        if _has_pre_stop(engine) and found is None:
            continue
        missing = [] if _has_pre_stop(engine) else ["no preStop hook waits for load balancers"]
        has_flag = "--shutdown-timeout" in engine.release.catalog["flags"]
        if not waits and is_known:
            missing.append(
                "no --shutdown-timeout waits for the requests that run"
                if has_flag
                else "nothing waits for the requests that run"
            )
        if missing:
            text = f"{' and '.join(missing)}: requests are lost at each rollout and scale-down"
            advice = (
                "add a preStop hook that sleeps 15 seconds, --shutdown-timeout for the longest "
                "request, and their sum with 15 more as terminationGracePeriodSeconds"
                if has_flag
                else f"add a preStop hook that sleeps for the longest request, since "
                f"{engine.release.description} has no --shutdown-timeout, and its seconds with 15 "
                "more as terminationGracePeriodSeconds"
            )
            path = (*engine.path, "lifecycle", "preStop")
            yield Found(
                manifest=engine.manifest,
                path=path,
                problem=Problem(text=text, advice=advice),
            )
