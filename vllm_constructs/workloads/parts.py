"""Parts: sidecars, init containers, volumes, files and ports of a pod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.accelerators.kinds import Gpu
from vllm_constructs.errors import Problem, escaped, refuse
from vllm_constructs.frozen import FrozenDict

from . import container, storage
from .container import Container
from .env_sources import EnvFromSource, EnvVarSource
from .files import check_files
from .mounts import check_volumes, own_paths, rendered
from .pod_security import PodSecurity
from .storage import EphemeralCache, ExistingClaim
from .volumes import PULL_POLICIES, Volume

if TYPE_CHECKING:
    from vllm_constructs.releases.image import ImageFamily


# Resources of which pods with another accelerator have none.
_DEVICES = (
    "nvidia.com/gpu",
    "nvidia.com/mig-",
    "amd.com/gpu",
    "amd.com/cpx_",
    "amd.com/spx_",
    "gpu.intel.com/",
    "habana.ai/gaudi",
    "google.com/tpu",
)
_PROGRAMS = (
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/opt",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/var",
)


def checked(options: Mapping[str, Any], family: ImageFamily) -> dict[str, Any]:
    """The options of these parts, checked.

    Args:
        options: All options of the pod by their names.
        family: The family of the engine's image.

    Raises:
        VllmConstructsError: An invalid value, or a path, port, resource or name that is taken.
    """
    if options["image_pull_policy"] is not None:
        require.choice("image_pull_policy", options["image_pull_policy"], PULL_POLICIES)
    own = own_paths(options["security"], family)
    files = check_files(options["files"])
    for path in files:
        if path in own:
            text = "is a path at which something is mounted already"
            refuse(Problem(where=f"files[{path!r}]", text=text, advice="take another path"))
    resources = container.check_resources("resources", options["resources"])
    _check_devices(options["gpu"], resources)
    sidecars = container.check_containers("sidecars", options["sidecars"], [container.NAME])
    ports = container.check_ports("ports", options["ports"], {"http": options["port"]})
    used = {options["port"], *ports.values()}
    for one in sidecars:
        for name, port in one.ports.items():
            if name in ("http", *ports):
                where = f"sidecars[{one.name!r}].ports[{name!r}]"
                text = "has the name of a port of the engine, by which Services find it"
                refuse(Problem(where=where, text=text, advice="take another name"))
            if port in used:
                where = f"sidecars[{one.name!r}].ports[{name!r}]"
                text = f"is {port}, which another container of the pod listens on"
                refuse(Problem(where=where, text=text, advice="take another port"))
            used.add(port)
    taken = [container.NAME, *(one.name for one in sidecars)]
    return {
        "command": _command(options["command"]),
        "env_from": container.check_env_from("env_from", options["env_from"]),
        "files": files,
        "volumes": FrozenDict(_engine_volumes(options["volumes"], (*own, *files))),
        "ports": ports,
        "resources": resources,
        "sidecars": sidecars,
        "init_containers": container.check_containers(
            "init_containers", options["init_containers"], taken
        ),
    }


def _check_devices(gpu: Gpu, resources: Mapping[str, str]) -> None:
    """Reject devices beside those that the engine runs on."""
    for name in resources:
        if name == gpu.resource:
            text = "is set by {gpu}"
        elif name.startswith(_DEVICES):
            text = f"is a device beside {{gpu}}, which is {{{type(gpu).__name__}}}"
        else:
            continue
        refuse(Problem(where=f"resources[{name!r}]", text=text, advice="leave it out"))


def _command(value: object) -> tuple[str, ...]:
    """The command of the engine, behind which the library writes the model and its flags."""
    words = require.items("command", value, "a list of strings")
    if not words:
        require.wrong("command", value, "at least one word")
    is_script = str(words[0]).rpartition("/")[2] in ("sh", "bash", "dash")
    if "serve" in words[:-1] and not is_script:
        text = "has words behind 'serve', where the library writes the model and its flags"
        advice = "end it with 'serve', and give flags with {engine}"
        refuse(Problem(where="command", text=text, advice=advice))
    return container.check_words("command", words)


def _engine_volumes(value: object, taken: tuple[str, ...]) -> dict[str, Volume]:
    """The volumes of the engine, none of which hides the programs of its image."""
    found = check_volumes("volumes", value, taken)
    for path in found:
        if path in _PROGRAMS:
            text = "hides the programs of the image, vLLM among them"
            refuse(Problem(where=f"volumes[{path!r}]", text=text, advice="mount it elsewhere"))
    return found


class PodParts:
    """What follows from a pod's parts; `PodFacts` has the fields."""

    env: Mapping[str, str | EnvVarSource]
    env_from: tuple[EnvFromSource, ...]
    volumes: Mapping[str, Volume]
    files: Mapping[str, str | bytes]
    ports: Mapping[str, int]
    sidecars: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    cache: ExistingClaim | EphemeralCache
    gpu: Gpu
    security: PodSecurity

    @property
    def source(self) -> str:
        """What vLLM loads: the model by its name or path, or where its weights are instead."""
        raise NotImplementedError

    @property
    def plain_env(self) -> Mapping[str, str]:
        """The variables in `env` whose values are strings."""
        return {name: value for name, value in self.env.items() if isinstance(value, str)}

    def references(self) -> Iterator[tuple[str, object]]:
        """Volumes and sources of variables, which may refer to objects of one namespace."""
        yield from _references("", self)
        for option, one in self._beside():
            yield from _references(option, one)

    def _beside(self) -> list[tuple[str, Container]]:
        """The other containers, and how their options are named in sentences."""
        found = []
        for option in ("sidecars", "init_containers"):
            found += [(f"{option}[{one.name!r}].", one) for one in getattr(self, option)]
        return found

    @property
    def _volumes_used(self) -> list[tuple[str, Volume]]:
        """All volumes of the user, and how their options are named in sentences."""
        owners: list[tuple[str, PodParts | Container]] = [("", self), *self._beside()]
        return [
            (f"{option}volumes[{path!r}]", volume)
            for option, owner in owners
            for path, volume in owner.volumes.items()
        ]

    @property
    def can_be_shared(self) -> bool:
        """Whether pods on several nodes can mount its cache and its volumes."""
        return self.cache.can_be_shared and all(
            volume.can_be_shared for _, volume in self._volumes_used
        )

    @property
    def exclusive_claims(self) -> list[str]:
        """The claims that only one pod can mount."""
        found = [
            str(volume.source["persistentVolumeClaim"]["claimName"])
            for _, volume in self._volumes_used
            if volume.access == "ReadWriteOncePod"
        ]
        if isinstance(self.cache, ExistingClaim) and self.cache.access == "ReadWriteOncePod":
            found.append(self.cache.claim_name)
        return sorted(set(found))

    def check_sharing(self, where: str, replicas: int) -> None:
        """Reject volumes that the replicas cannot mount.

        Args:
            where: Name of the model, for the sentence.
            replicas: The largest number of replicas.

        Raises:
            VllmConstructsError: Only one node can mount a volume, and there may be several pods.
        """
        self._check_claim(where, replicas)
        downloads = not self.source.startswith("/") and "://" not in self.source
        storage.check_sharing(where, self.cache, replicas, downloads=downloads)
        for option, volume in self._volumes_used:
            if replicas > 1 and not volume.can_be_shared:
                refuse(
                    Problem(
                        where=where,
                        text=f"has up to {replicas} replicas, but {escaped(option)} is a claim "
                        f"that is {volume.access}, which pods on two nodes cannot mount",
                        advice="use storage with {access='ReadWriteMany'} or 'ReadOnlyMany', or "
                        "one replica",
                    )
                )

    def _check_claim(self, where: str, replicas: int) -> None:
        """Reject more pods than a shared device is divided for."""
        gpu = self.gpu
        if isinstance(gpu, DeviceClaim) and gpu.is_one and replicas > gpu.shared_by:
            refuse(
                Problem(
                    where=where,
                    text=f"has up to {replicas} replicas, but one claim for "
                    f"{gpu.shared_by} pod{'s' * (gpu.shared_by > 1)}",
                    advice=f"give {{DeviceClaim.shared_by={replicas}}}, or each pod a claim of its "
                    "own",
                )
            )

    @property
    def more_ports(self) -> list[int]:
        """Ports of the pod beside that of the API, sorted."""
        found = [*self.ports.values()]
        found += [port for one in self.sidecars for port in one.ports.values()]
        return sorted(found)

    @property
    def mounted(self) -> tuple[str, ...]:
        """The paths of the user's volumes and files."""
        return (*self.volumes, *self.files)

    @cached_property
    def pod_volumes(self) -> tuple[dict[str, Any], ...]:
        """The volumes of the user, each once; not the cache and others of the library."""
        mounts = [("volumes", path, one) for path, one in self.volumes.items()]
        for option, one in self._beside():
            mounts += [(f"{option}volumes", path, each) for path, each in one.volumes.items()]
        return tuple(rendered(mounts))


def _references(option: str, owner: PodParts | Container) -> Iterator[tuple[str, object]]:
    for path, volume in owner.volumes.items():
        yield f"{option}volumes[{path!r}]", volume
    for name, source in owner.env.items():
        if isinstance(source, EnvVarSource):
            yield f"{option}env[{name!r}]", source
    for each in owner.env_from:
        yield f"{option}env_from", each
