"""Container: another container of a pod, beside the engine or before it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.kube import names, quantity

from .credentials import check_words as check_clear_words
from .env_sources import EnvFromSource, EnvVarSource
from .mounts import TEMPORARY, check_volumes
from .pod_variables import check_env, env_entries
from .volumes import PULL_POLICIES, PullPolicy, Volume
from .workload import CONTAINER

if TYPE_CHECKING:
    from .pod_security import PodSecurity

NAME = CONTAINER

_IMAGE = re.compile(
    r"[\w./-]+(:\d+/[\w./-]+)?(:[\w][\w.-]{0,127}|(:[\w][\w.-]{0,127})?@\w+:[0-9a-fA-F]{32,})",
    re.ASCII,
)
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_RESOURCE = re.compile(
    r"(?!requests\.)(?=[^/]{1,240}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    r"/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?|hugepages-[1-9][0-9]*[KMG]i"
)


def check_ports(where: str, value: object, taken: Mapping[str, int]) -> FrozenDict:
    """Ports of a container by their names, sorted by name.

    Args:
        where: Name of the option.
        value: Its value.
        taken: Ports that the container has anyway.

    Raises:
        VllmConstructsError: An invalid name or number, or one that is taken.
    """
    if not isinstance(value, Mapping):
        require.wrong(where, value, "a dict of names and numbers, such as {'metrics': 9100}")
    found: dict[str, int] = {}
    for name, number in value.items():
        allowed = "at most 15 lower-case letters, digits and '-', at least one letter"
        require.matching(f"a key of {where}", name, _PORT_NAME, allowed)
        port = require.integer(f"{where}[{name!r}]", number, 1, 65535)
        if name in taken or port in (*taken.values(), *found.values()):
            text = f"is {port}, and the container has that name or number already"
            refuse(Problem(where=f"{where}[{name!r}]", text=text, advice="take another one"))
        found[name] = port
    return FrozenDict(dict(sorted(found.items())))


def port_entries(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """The entries of `ports`."""
    return [{"name": name, "containerPort": ports[name], "protocol": "TCP"} for name in ports]


def check_resources(where: str, value: object) -> FrozenDict:
    """Extended resources and huge pages, with their amounts as strings, sorted by name.

    Args:
        where: Name of the option.
        value: Its value.

    Raises:
        VllmConstructsError: A resource that has an option of its own, or an invalid amount.
    """
    if not isinstance(value, Mapping):
        require.wrong(where, value, "a dict of resources and amounts, such as {'rdma/ib': 1}")
    found: dict[str, str] = {}
    for name, amount in value.items():
        one = f"{where}[{require.shown(name)}]"
        if name in ("cpu", "memory", "ephemeral-storage"):
            advice = f"give {{{name}}}" if name != "ephemeral-storage" else "leave it out"
            refuse(Problem(where=one, text="is not an extended resource", advice=advice))
        if str(name).startswith("nvidia.com/") and where.startswith("Container."):
            text = "is a GPU, and those of the pod are the engine's"
            refuse(Problem(where=one, text=text, advice="leave it out"))
        allowed = "an extended resource such as 'rdma/ib', or 'hugepages-2Mi'"
        require.matching(f"a key of {where}", name, _RESOURCE, allowed)
        if "/" in name:
            is_digits = isinstance(amount, str) and amount.isdecimal() and len(amount) < 9
            whole = int(amount) if is_digits else amount
            found[name] = str(require.integer(one, whole, 1, 100_000))
        else:
            quantity.memory(one, amount)
            found[name] = str.__str__(amount)
    return FrozenDict(dict(sorted(found.items())))


@dataclass(frozen=True, kw_only=True)
class Container:
    """Another container of the pod.

    It has the securityContext of the engine's container, and requests little by default. It has no
    probes and no hooks; an `overlay=` of the model can add them.

    Args:
        name: Its name, which no other container of the pod has.
        image: Its image with a tag or digest.
        command: The command. Default: the image's entrypoint.
        args: Arguments. Default: those of the image.
        env: Variables: strings, and sources such as `EnvVarSource.from_secret(...)`. Default: none.
        env_from: Secrets and ConfigMaps whose keys are all variables. Default: none.
        ports: Ports by their names. Default: none.
        volumes: Volumes by the paths where it mounts them. A volume of the same name as one of the
            engine is the same volume. Default: none.
        cpu: CPU cores as request, or as (request, limit). Default: 100m and no limit.
        memory: Memory: one quantity for request and limit, or (request, limit). Default: 256Mi.
        resources: Extended resources, such as `{"rdma/ib": 1}`. Default: none.
        image_pull_policy: When the image is pulled. Default: Kubernetes' own.
        working_dir: Its working directory. Default: that of the image.

    Raises:
        VllmConstructsError: An invalid value.
    """

    name: str
    image: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str | EnvVarSource] = field(default_factory=FrozenDict)
    env_from: Sequence[EnvFromSource] = ()
    ports: Mapping[str, int] = field(default_factory=FrozenDict)
    volumes: Mapping[str, Volume] = field(default_factory=FrozenDict)
    cpu: str | tuple[str, str] = "100m"
    memory: str | tuple[str, str] = "256Mi"
    resources: Mapping[str, int | str] = field(default_factory=FrozenDict)
    image_pull_policy: PullPolicy | None = None
    working_dir: str | None = None

    def __post_init__(self) -> None:
        name = names.label("Container.name", self.name)
        if name == NAME:
            text = f"is {name!r}, the container of the engine"
            refuse(Problem(where="Container.name", text=text, advice="take another name"))
        allowed = "an image with a tag or digest, such as 'busybox:1.37.0'"
        require.matching("Container.image", self.image, _IMAGE, allowed)
        for option in ("command", "args"):
            where = f"Container.{option}"
            words = require.items(where, getattr(self, option), "a list of strings")
            self._keep(option, check_words(where, words))
        self._keep("env", check_env("Container.env", self.env))
        self._keep("env_from", check_env_from("Container.env_from", self.env_from))
        self._keep("ports", check_ports("Container.ports", self.ports, {}))
        self._keep("volumes", FrozenDict(check_volumes("Container.volumes", self.volumes, ())))
        for option in ("cpu", "memory"):
            value = getattr(self, option)
            pair = quantity.pair(f"Container.{option}", value)
            self._keep(option, str.__str__(value) if isinstance(value, str) else pair)
        self._keep("resources", check_resources("Container.resources", self.resources))
        if self.image_pull_policy is not None:
            where = "Container.image_pull_policy"
            require.choice(where, self.image_pull_policy, PULL_POLICIES)
        if self.working_dir is not None:
            require.text("Container.working_dir", self.working_dir)

    def _keep(self, option: str, value: object) -> None:
        object.__setattr__(self, option, value)

    def manifest(self, security: PodSecurity) -> dict[str, Any]:
        """The entry of `containers` or `initContainers`.

        Args:
            security: The security of the pod.
        """
        cpu, cpu_limit = (self.cpu, None) if isinstance(self.cpu, str) else self.cpu
        memory, limit = (self.memory,) * 2 if isinstance(self.memory, str) else self.memory
        limits = {"memory": limit} if cpu_limit is None else {"cpu": cpu_limit, "memory": limit}
        extended = dict(self.resources)
        entry: dict[str, Any] = {"name": self.name, "image": self.image}
        optional = {
            "imagePullPolicy": self.image_pull_policy,
            "command": list(self.command),
            "args": list(self.args),
            "workingDir": self.working_dir,
            "env": env_entries(self.env, is_open=bool(self.env_from)),
            "envFrom": [source.manifest() for source in self.env_from],
            "ports": port_entries(self.ports),
        }
        entry |= {key: value for key, value in optional.items() if value}
        entry["resources"] = {
            "limits": limits | extended,
            "requests": {"cpu": cpu, "memory": memory} | extended,
        }
        entry["securityContext"] = security.of_container()
        mounts = [one.mount(path) for path, one in self.volumes.items()]
        if security.read_only_root and TEMPORARY not in self.volumes:
            mounts.append({"name": "tmp", "mountPath": TEMPORARY})
        return entry | ({"volumeMounts": mounts} if mounts else {})


def check_words(where: str, words: Sequence[object]) -> tuple[str, ...]:
    """The words of a command line, which may have any characters but control characters.

    Args:
        where: Name of the option.
        words: The words.

    Raises:
        VllmConstructsError: No string, or a credential, which is not shown.
    """
    found: list[str] = []
    for word in words:
        if not isinstance(word, str):
            require.wrong(where, word, "a list of strings")
        found.append(str.__str__(word))
    check_clear_words(where, found)
    for word in found:
        if require.has_control(word):
            require.wrong(where, word, "strings without control characters")
    return tuple(found)


def check_env_from(where: str, value: object) -> tuple[EnvFromSource, ...]:
    """Sources of all variables at once.

    Args:
        where: Name of the option.
        value: Its value.
    """
    allowed = "a list of EnvFromSource.from_secret(...) and others"
    return require.instances(where, value, EnvFromSource, allowed)


def check_containers(where: str, value: object, taken: Sequence[str]) -> tuple[Container, ...]:
    """Containers of a pod, each of another name.

    Args:
        where: Name of the option.
        value: Its value.
        taken: Names that the pod has already.

    Raises:
        VllmConstructsError: A wrong type, or a name that is taken.
    """
    allowed = "a list of Container(...)"
    found: list[Container] = []
    for one in require.instances(where, value, Container, allowed):
        if one.name in [*taken, *(other.name for other in found)]:
            text = f"has a container {one.name!r}, and the pod has one of that name already"
            refuse(Problem(where=where, text=text, advice="give one of them another name"))
        found.append(one)
    return tuple(found)
