"""Additions: what the value of one option of a pod adds to its other options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.engine_args import EngineArgs
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict, frozen

from .container import Container
from .env_sources import EnvVarSource
from .pod_variables import check_env
from .volumes import Volume

if TYPE_CHECKING:
    from vllm_constructs.accelerators.kinds import Gpu
    from vllm_constructs.releases.release import VllmRelease

    from .storage import CacheVolume


class AddedPod(Protocol):
    """The parts of a pod on which additions depend."""

    @property
    def model(self) -> str:
        """The model."""
        ...

    @property
    def gpu(self) -> Gpu:
        """Accelerator of the pod."""
        ...

    @property
    def image(self) -> str:
        """Image of the engine."""
        ...

    @property
    def engine(self) -> EngineArgs:
        """Flags of the engine."""
        ...

    @property
    def cache(self) -> CacheVolume:
        """The volume for weights."""
        ...

    @property
    def env(self) -> Mapping[str, str | EnvVarSource]:
        """Variables of the engine's container."""
        ...

    @property
    def release(self) -> VllmRelease:
        """The vLLM release in the image."""
        ...


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What an option adds to flags, variables, volumes and containers.

    Args:
        option: Name of the option, for error sentences.
        engine: Flags of the engine by their Python names. Default: none.
        excludes: Flags of the engine that would change what is added. Default: none.
        env: Variables of the engine's container. Default: none.
        volumes: Volumes by the paths where the engine's container mounts them. Default: none.
        init_containers: Containers that run before the engine starts. Default: none.
        labels: Labels of the model's objects and pods. Default: none.
        addresses: Addresses that the pod connects to, beside those in flags and variables. Default:
            none.
        source: What vLLM loads instead of the model's name: a path or a URL. Default: the name.
    """

    option: str
    engine: Mapping[str, Any] = field(default_factory=dict)
    excludes: tuple[str, ...] = ()
    env: Mapping[str, str | EnvVarSource] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    init_containers: tuple[Container, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    source: str | None = None


def merged(options: Mapping[str, Any], additions: Iterable[Additions]) -> dict[str, Any]:
    """The options of a pod to which something is added, with their new values.

    An option may already have what is added, so a pod can be made again from its own options.

    Args:
        options: All options of the pod by their names, checked.
        additions: What is added.

    Raises:
        VllmConstructsError: An option has a value of its own where something is added.
    """
    found: dict[str, Any] = {}
    for one in additions:
        current = {**options, **found}
        # Parts of the values may come from the user.
        check_env(one.option, one.env)
        for name in one.excludes:
            if current["engine"].get(name) is not None:
                _refuse(f"EngineArgs.{name}", one.option, "contradicts")
        if one.engine:
            found["engine"] = _with_flags(current["engine"], one)
        for name, spelled in (("env", "env"), ("volumes", "volumes")):
            own: Mapping[str, Any] = getattr(one, name)
            if own:
                _check(spelled, current[name], own, one.option)
                found[name] = FrozenDict(dict(sorted({**current[name], **own}.items())))
        if one.init_containers:
            names = [item.name for item in one.init_containers]
            others = [item for item in current["init_containers"] if item.name not in names]
            for item in current["init_containers"]:
                if item.name in names and item not in one.init_containers:
                    _refuse(f"init_containers[{item.name!r}]", one.option)
            found["init_containers"] = (*one.init_containers, *others)
    return found


def _with_flags(engine: EngineArgs, one: Additions) -> EngineArgs:
    given = vars(engine)
    _check("EngineArgs", given, one.engine, one.option)
    return type(engine)(**{**given, **one.engine})


def _check(where: str, current: Mapping[str, Any], own: Mapping[str, Any], option: str) -> None:
    """Reject a value that differs from what is added in its place."""
    for name, value in own.items():
        if not _extends(current.get(name), frozen(value)):
            _refuse(f"{where}.{name}" if where == "EngineArgs" else f"{where}[{name!r}]", option)


def _extends(current: object, value: object) -> bool:
    """Whether a value keeps all of the current one: it is equal, or has more keys."""
    if isinstance(current, Mapping) and isinstance(value, Mapping):
        return current.items() <= value.items()
    return current is None or current == value


def _refuse(where: str, option: str, verb: str = "is set by") -> None:
    refuse(Problem(where=where, text=f"{verb} {{{option}}}", advice="leave one of them out"))
