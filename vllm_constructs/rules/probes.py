"""Rules of probes: P01 to P03, and P07."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import integer, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path

from .rule import Fix, Found, put, rule

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
# Before an engine serves, it imports, compiles and captures graphs, whatever the size of its model.
_SHORTEST = 60
_ENOUGH = 600
_LONGEST_NAME = 15
_HAIR_TRIGGER = 30
_ALWAYS_TRUE = re.compile(r"\s*(/bin/|/usr/bin/)?(true|:|echo\b[^|&;]*|exit 0)\s*;?\s*")
# vllm/entrypoints/serve/instrumentator and sagemaker; the supervisor of ranks has two more.
_PATHS = ("/health", "/ping", "/version", "/metrics", "/load", "/v1/models", "/ready", "/readyz")
# Of FastAPI, unless they are switched off.
_DOCS = ("/docs", "/openapi.json", "/redoc")


def budget(probe: Mapping[str, Any]) -> int:
    """Seconds after which a probe that never succeeds has failed.

    Args:
        probe: A probe, with the defaults of Kubernetes for what it lacks.
    """
    period, failures = integer(probe.get("periodSeconds"), 10), probe.get("failureThreshold")
    return integer(probe.get("initialDelaySeconds"), 0) + (period or 10) * (
        integer(failures, 3) or 3
    )


def probes(engine: Engine) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """The probes of an engine: name, path and probe.

    Args:
        engine: The engine.
    """
    for name in PROBES:
        probe = mapping(engine.container.get(name))
        if any(kind in probe for kind in HANDLERS):
            yield name, (*engine.path, name), probe


@rule("P01", "error", "no startup probe that lasts as long as the model loads")
def startup(graph: Graph) -> Iterator[Found]:
    """Liveness that begins before the model is loaded restarts the container for ever."""
    for engine in graph.engines:
        found = {name: (path, probe) for name, path, probe in probes(engine)}
        if "startupProbe" not in found:
            if engine.pod.is_whole and "livenessProbe" in found:
                yield _without_startup(engine, *found["livenessProbe"])
            continue
        path, probe = found["startupProbe"]
        successes = integer(probe.get("successThreshold"), 1)
        if successes > 1:
            text = f"is {successes}, and a startup probe ends with its first success"
            problem = Problem(where="successThreshold", text=text, advice="leave it out")
            yield Found(manifest=engine.manifest, path=(*path, "successThreshold"), problem=problem)
        if budget(probe) < _shortest(engine, budget(probe)) and _has_window(engine, probe):
            text = (
                f"gives up after {budget(probe)} seconds, and no engine loads this model, compiles "
                "and captures its graphs in that time, so the container is restarted for ever"
            )
            advice = "raise failureThreshold until it times periodSeconds exceeds the load time"
            problem = Problem(where="startupProbe", text=text, advice=advice)
            yield Found(manifest=engine.manifest, path=(*path, "failureThreshold"), problem=problem)


def _shortest(engine: Engine, given: int) -> int:
    """Seconds that no start of an engine is below; weights that are known take time to be read."""
    # Few budgets are so short that the size of the model matters.
    if given >= _ENOUGH or engine.model is None or "load-format" in engine.options:
        return _SHORTEST
    from vllm_constructs.memory import fit
    from vllm_constructs.workloads.availability import reading_time

    weights = fit.stored_weights(engine.model, None)
    return _SHORTEST + (0 if weights is None else reading_time(weights))


def _has_window(engine: Engine, probe: Mapping[str, Any]) -> bool:
    """Whether the window of a probe is known, since nothing else may give its fields."""
    return engine.pod.is_whole or {"failureThreshold", "periodSeconds"} <= {*probe}


def _without_startup(engine: Engine, path: Path, probe: dict[str, Any]) -> Found:
    seconds = budget(probe)
    text = (
        f"gives up after {seconds} seconds, and no startupProbe waits for the model: a load that "
        "takes longer is restarted for ever"
    )
    handler = {name: probe[name] for name in HANDLERS if name in probe}
    added = {**handler, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 180}
    advice = (
        "add a startupProbe whose failureThreshold times periodSeconds exceeds the load time, for "
        "example 180 times 10 seconds"
    )
    return Found(
        manifest=engine.manifest,
        path=path,
        problem=Problem(where="livenessProbe", text=text, advice=advice),
        fix=put((*engine.path, "startupProbe"), added),
    )


@rule("P02", "warning", "a liveness probe that restarts a busy engine")
def hair_trigger(graph: Graph) -> Iterator[Found]:
    """A restart loads the model again, for minutes."""
    for engine in graph.engines:
        for name, path, probe in probes(engine):
            seconds = integer(probe.get("timeoutSeconds"), 1)
            given = "timeoutSeconds" in probe
            is_known = given or engine.pod.is_whole
            if name == "livenessProbe" and is_known and 0 <= seconds <= 1:
                text = (
                    f"{'is ' + str(seconds) if given else 'is left out, which means 1'}: one "
                    "second is too short for an engine that is busy"
                )
                yield _of_timeout(engine, path, text, 10)
            elif seconds < 0:
                text = f"is {seconds}, and the API server rejects it"
                yield _of_timeout(engine, path, text, 5)
        liveness = mapping(engine.container.get("livenessProbe"))
        window = budget({**liveness, "initialDelaySeconds": 0})
        if liveness and window < _HAIR_TRIGGER and _has_window(engine, liveness):
            text = f"restarts the container after {window} seconds without an answer"
            advice = "let failureThreshold times periodSeconds be 30 seconds or more"
            problem = Problem(where="livenessProbe", text=text, advice=advice)
            path = (*engine.path, "livenessProbe", "failureThreshold")
            yield Found(manifest=engine.manifest, path=path, problem=problem)


def _of_timeout(engine: Engine, path: Path, text: str, right: int) -> Found:
    where = (*path, "timeoutSeconds")
    return Found(
        manifest=engine.manifest,
        path=where,
        problem=Problem(where=f"{path[-1]}.timeoutSeconds", text=text, advice="give 5 or more"),
        fix=put(where, right, is_safe=True),
    )


@rule("P03", "error", "a probe that the engine does not answer")
def unanswered(graph: Graph) -> Iterator[Found]:
    """A wrong port, path or scheme; `/v1/models` needs the API key."""
    for engine in graph.engines:
        if engine.is_headless:
            continue
        for name, path, probe in probes(engine):
            for kind in ("httpGet", "tcpSocket"):
                if kind in probe:
                    where = (*path, kind)
                    for field, problem, fix in _wrong(engine, name, kind, mapping(probe[kind])):
                        yield Found(
                            manifest=engine.manifest,
                            path=(*where, field),
                            problem=problem,
                            fix=fix and put((*where, field), fix),
                        )


def _wrong(
    engine: Engine, name: str, kind: str, handler: dict[str, Any]
) -> Iterator[tuple[str, Problem, Any]]:
    """The fields of a handler that are wrong, and their right values."""
    yield from _wrong_port(engine, f"{name}.{kind}.port", handler.get("port"))
    if kind != "httpGet":
        return
    path = _route(engine, str(handler.get("path") or "/"))
    where = f"{name}.httpGet"
    own = engine.port
    if path == "/v1/models" and (
        "api-key" in engine.options
        or "api-key" in engine.line.unread
        or "VLLM_API_KEY" in engine.env_paths
    ):
        text = "is /v1/models, which answers 401 without the API key"
        yield "path", Problem(where=f"{where}.path", text=text, advice="probe /health"), "/health"
    elif (
        path is not None
        and path not in (*_PATHS, *_DOCS)
        and own is not None
        and _number(engine, handler.get("port")) == own
    ):
        shown = escaped(require.shown(handler.get("path") or "/"))
        text = f"is {shown}, which vLLM does not have, so that the probe always fails"
        yield "path", Problem(where=f"{where}.path", text=text, advice="probe /health"), "/health"
    scheme = handler.get("scheme")
    has_tls = any(
        one in engine.options or one in engine.line.unread
        for one in ("ssl-certfile", "ssl-keyfile")
    )
    if scheme not in (None, "HTTP", "HTTPS"):
        text = f"is {escaped(require.shown(scheme))}"
        problem = Problem(where=f"{where}.scheme", text=text, allowed="'HTTP' or 'HTTPS'")
        yield "scheme", problem, "HTTPS" if has_tls else "HTTP"
    elif engine.is_line_whole and (scheme == "HTTPS") != has_tls:
        text = (
            "is HTTPS, but the engine has no --ssl-certfile and serves HTTP"
            if scheme == "HTTPS"
            else "is HTTP, but the engine has --ssl-certfile and serves HTTPS"
        )
        right = "HTTPS" if has_tls else "HTTP"
        yield "scheme", Problem(where=f"{where}.scheme", text=text, advice=f"give {right}"), right


def _route(engine: Engine, path: str) -> str | None:
    """What the server makes of a path; None if that is not known."""
    root = engine.flag("root-path", "")
    if {"root-path", "middleware"} & {*engine.line.unread} or "middleware" in engine.options:
        return None
    path = path.partition("?")[0]
    # Starlette takes the root path off, if it is there, and redirects paths with a slash behind.
    if isinstance(root, str) and root and path.startswith(root):
        path = path.removeprefix(root.rstrip("/"))
    return path.rstrip("/") or "/"


def _wrong_port(engine: Engine, where: str, port: object) -> Iterator[tuple[str, Problem, Any]]:
    number, own = _number(engine, port), engine.port
    shown = escaped(require.shown(port))
    if isinstance(port, str) and not port.isdecimal():
        # Of a port whose name Kubernetes refuses, H08 tells.
        is_whole = engine.pod.is_whole
        if (
            is_whole
            and number is None
            and all(len(name) <= _LONGEST_NAME for name in engine.pod.ports)
        ):
            text = f"is {shown}, which no port of the container has as its name"
            advice = require.nearest(port, sorted(engine.pod.ports)) or "give the port's name"
            yield "port", Problem(where=where, text=text, advice=advice), None
        return
    if number is None or not 1 <= number <= 65535:
        if port is not None:
            text = f"is {shown}, which is not a port"
            yield "port", Problem(where=where, text=text, advice="give the port of the API"), own
        return
    others = set(engine.pod.ports.values()) | _declared(engine)
    if own is not None and number != own and number not in others and _is_alone(engine):
        text = f"is {number}, but the engine listens on {own}"
        yield "port", Problem(where=where, text=text, advice=f"give {own}"), own


def _number(engine: Engine, port: object) -> int | None:
    if isinstance(port, int) and not isinstance(port, bool):
        return port
    text = str(port)
    return int(text) if text.isdecimal() else engine.pod.ports.get(text)


def _declared(engine: Engine) -> set[int]:
    return {
        integer(port.get("containerPort"), 0)
        for path, _ in engine.pod.containers
        for _, port in engine.manifest.each(*path, "ports")
    }


def _is_alone(engine: Engine) -> bool:
    """Whether no other container may listen, and the engine's own ranks have no ports."""
    return (
        len(engine.pod.containers) == 1
        and engine.is_line_whole
        and not any(name.startswith("data-parallel") for name in engine.options)
    )


@rule("P07", "error", "a probe that is always true")
def always_true(graph: Graph) -> Iterator[Found]:
    """Such a probe sends requests to a model that is still loading."""
    for engine in graph.engines:
        for name, path, probe in probes(engine):
            words = strings(mapping(probe.get("exec")).get("command"))
            script = words[-1] if words[1:2] and words[1].endswith("c") else " ".join(words)
            if "exec" in probe and _ALWAYS_TRUE.fullmatch(script):
                text = f"executes {escaped(require.shown(script))}, which always succeeds"
                advice = "ask the engine: httpGet with the path /health and the port of the API"
                problem = Problem(where=name, text=text, advice=advice)
                where = (*path, "exec", "command")
                yield Found(
                    manifest=engine.manifest,
                    path=where,
                    problem=problem,
                    fix=_health(engine, path, probe),
                )


def _health(engine: Engine, path: Path, probe: dict[str, Any]) -> Fix | None:
    if engine.port is None:
        return None
    right = {key: value for key, value in probe.items() if key not in HANDLERS}
    return put(path, {"httpGet": {"path": "/health", "port": engine.port}, **right})
