"""Mounts: what is mounted where in the containers of a pod."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse

from . import storage
from .paths import check_path
from .volumes import Volume

if TYPE_CHECKING:
    from vllm_constructs.releases.image import ImageFamily

    from .pod_security import PodSecurity

SHARED_MEMORY = "/dev/shm"  # noqa: S108  # not a temporary file
TEMPORARY = "/tmp"  # noqa: S108  # the path of a volume
CONFIG_PATH = "/etc/vllm/engine.yaml"
"""The file from which vLLM reads its flags, with `EngineArgs(delivery="config-map")`."""


def writable_paths(security: PodSecurity, family: ImageFamily) -> dict[str, str]:
    """Folders that the engine writes to and may not be allowed to, by the names of volumes.

    Args:
        security: The security of the pod.
        family: The family of the engine's image.
    """
    found = {}
    if not security.is_root or security.read_only_root:
        found["home"] = "/root" if security.is_root else family.home
    if security.read_only_root:
        found["tmp"] = TEMPORARY
    return found


def own_paths(security: PodSecurity, family: ImageFamily) -> list[str]:
    """The paths where the library mounts something.

    Args:
        security: The security of the pod.
        family: The family of the engine's image.
    """
    writable = writable_paths(security, family)
    return [SHARED_MEMORY, storage.MOUNT_PATH, CONFIG_PATH, *writable.values()]


def check_volumes(where: str, value: object, taken: Iterable[str]) -> dict[str, Volume]:
    """Volumes by the paths where a container mounts them, sorted by path.

    Args:
        where: Name of the option.
        value: The value of the option.
        taken: Paths at which something is mounted already.

    Raises:
        VllmConstructsError: Anything but Volumes by absolute paths, or a path that is taken.
    """
    allowed = "a dict of paths and volumes, such as {'/etc/ca': Volume.from_config_map('ca')}"
    if not isinstance(value, Mapping):
        require.wrong(where, value, allowed)
    found: dict[str, Volume] = {}
    for path, volume in value.items():
        mounted = check_path(f"a key of {where}", path)
        require.instance(
            f"{where}[{path!r}]", volume, Volume, "a Volume, made by a Volume.from_..."
        )
        if mounted in (*taken, *found):
            text = "is a path at which something is mounted already"
            refuse(Problem(where=f"{where}[{path!r}]", text=text, advice="take another path"))
        found[mounted] = volume
    return dict(sorted(found.items()))


def rendered(volumes: Iterable[tuple[str, str, Volume]]) -> list[dict[str, Any]]:
    """The entries of `volumes` of a pod, each once.

    Args:
        volumes: The option, the path and the volume of each mount.

    Raises:
        VllmConstructsError: Two different volumes have one name.
    """
    found: dict[str, dict[str, Any]] = {}
    for where, path, volume in volumes:
        entry = volume.entry(path)
        name = entry["name"]
        if found.setdefault(name, entry) != entry:
            refuse(
                Problem(
                    where=f"{where}[{path!r}]",
                    text=f"is the volume {name!r}, and another volume of the pod has that name",
                    value=repr(name),
                    advice="give one of them another Volume.name",
                )
            )
    return list(found.values())
