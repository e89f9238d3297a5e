"""Parts: what a pod has beside its engine, and what a user adds to the engine's container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict

from . import container
from .files import check_files
from .mounts import check_volumes, own_paths
from .volumes import PULL_POLICIES

if TYPE_CHECKING:
    from vllm_constructs.releases.image import ImageFamily


def checked(options: Mapping[str, Any], family: ImageFamily) -> dict[str, Any]:
    """The options of a pod that add to it, as the pod keeps them.

    Args:
        options: All options of the pod by their names.
        family: The family of the engine's image.

    Raises:
        VllmConstructsError: An invalid value, or a path, port, resource or name that is taken.
    """
    if options["image_pull_policy"] is not None:
        require.choice("image_pull_policy", options["image_pull_policy"], PULL_POLICIES)
    words = require.items("command", options["command"], "a list of strings")
    if not words:
        require.wrong("command", options["command"], "at least one word")
    own = own_paths(options["security"], family)
    files = check_files(options["files"])
    for path in files:
        if path in own:
            text = "is a path at which something is mounted already"
            refuse(Problem(where=f"files[{path!r}]", text=text, advice="take another path"))
    resources = container.check_resources("resources", options["resources"])
    if options["gpu"].resource in resources:
        where = f"resources[{options['gpu'].resource!r}]"
        refuse(Problem(where=where, text="is set by {gpu}", advice="leave it out"))
    sidecars = container.check_containers("sidecars", options["sidecars"], [container.NAME])
    taken = [container.NAME, *(one.name for one in sidecars)]
    return {
        "command": tuple(container.check_word("command", word) for word in words),
        "env_from": container.check_env_from("env_from", options["env_from"]),
        "files": files,
        "volumes": FrozenDict(check_volumes("volumes", options["volumes"], (*own, *files))),
        "ports": container.check_ports("ports", options["ports"], {"http": options["port"]}),
        "resources": resources,
        "sidecars": sidecars,
        "init_containers": container.check_containers(
            "init_containers", options["init_containers"], taken
        ),
    }
