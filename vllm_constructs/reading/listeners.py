"""The ports that the containers of a pod listen on: those of ranks, and of routing sidecars."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vllm_constructs.dataclass import dataclass

from .containers import environment, expanded
from .engines import Engine
from .fields import items, mapping, strings
from .groups import is_plain, lists_flags
from .manifest import Path
from .pods import Pod

MULTI_PORT = "data-parallel-multi-port-external-lb"
SUPERVISOR = "data-parallel-supervisor-port"
_SUPERVISOR_PORT = 9256
_IMAGE = re.compile(r"(routing|disagg|pd)-sidecar|pd-proxy")
_TARGETS = ("model-server-port", "vllm-port")
_FLAG = re.compile(r"--?([a-z][a-z-]*)(?:=(.*))?", re.DOTALL)
# The default of --port, and that of the target in the newest image of the router.
_PORT = 8000
_NEWEST = "llm-d-router-disagg-sidecar"
_NEWEST_TARGET = 8200


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """A container that gives requests to the engine beside it, after another one's prefill.

    Args:
        path: The fields that lead to it.
        port: Its first port; None if the manifest does not say.
        target: The first port of the engine; None if the manifest does not say.
        ranks: How many ports it has, each for one of the engine.
    """

    path: Path
    port: int | None
    target: int | None
    ranks: int | None

    @property
    def ports(self) -> tuple[int, ...] | None:
        """All of its ports; None if the manifest does not say."""
        if self.port is None or self.ranks is None:
            return None
        return tuple(range(self.port, self.port + self.ranks))


def routing_sidecar(engine: Engine) -> Sidecar | None:
    """The sidecar of llm-d that routes requests of an engine; None if its pod has none.

    Args:
        engine: The engine.
    """
    for path, container in engine.pod.containers:
        if container is engine.container:
            continue
        image = str(container.get("image"))
        env = environment(engine.pod.namespace, container, engine.graph.config_data)
        words = [
            expanded(word, env)
            for word in (*strings(container.get("command")), *strings(container.get("args")))
        ]
        flags = _flags(words)
        is_router = _IMAGE.search(image) or container.get("name") == "routing-proxy"
        if not is_router and not set(flags) & set(_TARGETS):
            continue
        default = _NEWEST_TARGET if _NEWEST in image else None
        target = next((flags[name] for name in _TARGETS if name in flags), default)
        has_file = any(name.startswith("configuration") for name in flags)
        return Sidecar(
            path=path,
            port=None if has_file else flags.get("port", _PORT),
            target=None if has_file else target,
            ranks=None if has_file else flags.get("data-parallel-size", 1),
        )
    return None


def _flags(words: Iterable[str]) -> dict[str, int | None]:
    """The flags of a command line with their numbers; None for other values."""
    found: dict[str, int | None] = {}
    name = ""
    for word in words:
        flag = _FLAG.fullmatch(word)
        if flag:
            name = flag[1]
            found[name] = _number(flag[2])
        elif name:
            found[name], name = _number(word), ""
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def rank_ports(engine: Engine) -> tuple[int, ...] | None:
    """The ports of an engine's API, one for each rank that has its own; None if not known.

    Args:
        engine: The engine.
    """
    if engine.is_headless or not is_plain(engine) or not lists_flags(engine):
        return None
    if engine.port is None:
        return None
    if engine.flag(MULTI_PORT) is not True:
        return (engine.port,)
    local = engine.flag("data-parallel-size-local")
    if not isinstance(local, int) or not 0 < local < 1024:
        return None
    return tuple(range(engine.port, engine.port + local))


def supervisor_port(engine: Engine) -> int | None:
    """The port of the supervisor of an engine's ranks; None if it has none, or it is not known.

    Args:
        engine: The engine.
    """
    if engine.flag(MULTI_PORT) is not True or SUPERVISOR in engine.line.unread:
        return None
    port = engine.flag(SUPERVISOR, _SUPERVISOR_PORT)
    return port if isinstance(port, int) else None


def declared_ports(pod: Pod, *, besides: object = None) -> set[int]:
    """The ports that the containers of a pod list.

    Args:
        pod: The pod.
        besides: A container whose ports do not count. Default: none.
    """
    return {
        port["containerPort"]
        for _, container in pod.containers
        if container is not besides
        for port in map(mapping, items(container.get("ports")))
        if isinstance(port.get("containerPort"), int)
    }


def pool_ports(spec: object) -> tuple[int, ...]:
    """The ports of an InferencePool; none if they are not numbers.

    Args:
        spec: The `spec` of the pool; older ones have one port.
    """
    fields = mapping(spec)
    old = fields.get("targetPortNumber")
    numbers = [mapping(one).get("number") for one in items(fields.get("targetPorts"))] or [old]
    found = tuple(one for one in numbers if isinstance(one, int))
    return found if len(found) == len(numbers) else ()
