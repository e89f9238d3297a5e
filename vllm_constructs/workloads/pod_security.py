"""PodSecurity: the user of a pod's processes, and what they may do.

The default is what Pod Security "restricted" admits and vLLM's images support. Platforms that
choose the user themselves, and storage that belongs to another one, need something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse, warn

if TYPE_CHECKING:
    from vllm_constructs.releases.image import ImageFamily

_CAPABILITY = re.compile(r"(?!CAP_)[A-Z][A-Z_]{2,30}")
_USERS = ("image", "platform", "root")


@dataclass(frozen=True, kw_only=True)
class PodSecurity:
    """The user of the pod's processes, and what they may do.

    Args:
        user: Who runs the processes. `"image"` (default): user 2000 and group 0, for which vLLM's
            images are made. `"platform"`: the user, group and fsGroup that the platform sets, as
            OpenShift's `restricted-v2` does; it must have group 0. `"root"`: user 0, which Pod
            Security "restricted" rejects. A number: that user id, for storage that belongs to it.
        group: Group id, and fsGroup of the volumes; only with `"image"` or a number. Default: 0.
        capabilities: Capabilities to add, such as `IPC_LOCK` for RDMA, which only processes of
            root get. All others are dropped. Default: none. Only `NET_BIND_SERVICE` is admitted by
            "restricted".
        read_only_root: Whether the containers' root file systems are read-only. Default: False.
            With True, `/tmp` of all containers is one volume on the node's disk, and `HOME` of the
            engine another.

    Raises:
        VllmConstructsError: An unknown user, a group that the platform or root decides, or a
            malformed capability.
    """

    user: Literal["image", "platform", "root"] | int = "image"
    group: int | None = None
    capabilities: Sequence[str] = ()
    read_only_root: bool = False

    def __post_init__(self) -> None:
        self._check_user()
        if self.group is not None:
            require.integer("PodSecurity.group", self.group, 0, 2**31 - 1)
            if self.user in ("platform", "root"):
                refuse(
                    Problem(
                        where="PodSecurity.group",
                        text=f"is {self.group}, but {{user={self.user!r}}} leaves the group to "
                        + ("the platform" if self.user == "platform" else "the image"),
                        value=str(self.group),
                        advice="leave it out",
                    )
                )
        self._check_capabilities()
        require.boolean("PodSecurity.read_only_root", self.read_only_root)

    def _check_user(self) -> None:
        if isinstance(self.user, str) and self.user.isdecimal():
            allowed = "'image', 'platform', 'root' or a number"
            require.wrong("PodSecurity.user", self.user, allowed, "write it without quotes")
        elif isinstance(self.user, str):
            allowed = "'image', 'platform', 'root' or a user id"
            if self.user not in _USERS:
                near = require.nearest(self.user, _USERS)
                require.wrong("PodSecurity.user", self.user, allowed, near)
        elif self.user == 0 and not isinstance(self.user, bool):
            require.wrong("PodSecurity.user", self.user, "a user id above 0", "give 'root' for 0")
        else:
            require.integer("PodSecurity.user", self.user, 1, 2**31 - 1)

    def _check_capabilities(self) -> None:
        allowed = "a list of capabilities such as 'IPC_LOCK'"
        for name in require.items("PodSecurity.capabilities", self.capabilities, allowed):
            advice = ""
            if isinstance(name, str) and not _CAPABILITY.fullmatch(name.removeprefix("CAP_")):
                better = name.upper().removeprefix("CAP_").replace("-", "_")
                advice = f"write {better!r}" if _CAPABILITY.fullmatch(better) else ""
            elif isinstance(name, str) and name.startswith("CAP_"):
                advice = f"write {name.removeprefix('CAP_')!r}"
            if not isinstance(name, str) or advice or not _CAPABILITY.fullmatch(name):
                require.wrong("PodSecurity.capabilities", name, allowed, advice)
            if name == "SYS_ADMIN":
                text = "has SYS_ADMIN, with which Kubernetes does not forbid privilege escalation"
                refuse(Problem(where="PodSecurity.capabilities", text=text, advice="leave it out"))
        object.__setattr__(self, "capabilities", tuple(sorted(set(self.capabilities))))
        raised = "IPC_LOCK" in self.capabilities
        if self.capabilities and not self.is_root:
            ways = "leave it out" + (" and raise the limit of locked memory" * raised)
            ways += "" if self.user == "platform" else ", or give {user='root'}"
            warn(
                Problem(
                    where="PodSecurity.capabilities",
                    text=f"is {', '.join(self.capabilities)}, which only processes of root get: "
                    "Kubernetes has no ambient capabilities",
                    value=require.shown(self.capabilities),
                    advice=ways,
                )
            )

    @property
    def is_root(self) -> bool:
        """Whether the processes run as root."""
        return self.user == "root"

    def of_pod(self, family: ImageFamily) -> dict[str, Any]:
        """The pod's `securityContext`.

        Args:
            family: The family of the engine's image.
        """
        seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
        if self.user == "root":
            return {"runAsUser": 0, **seccomp}
        if self.user == "platform":
            return {"runAsNonRoot": True, **seccomp}
        user = family.user if self.user == "image" else self.user
        group = family.group if self.group is None else self.group
        return {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": group,
            "fsGroup": group,
            "fsGroupChangePolicy": "OnRootMismatch",
            **seccomp,
        }

    def of_container(self) -> dict[str, Any]:
        """The `securityContext` of each container."""
        capabilities: dict[str, Any] = {"drop": ["ALL"]}
        if self.capabilities:
            capabilities["add"] = list(self.capabilities)
        context = {"allowPrivilegeEscalation": False, "capabilities": capabilities}
        return context | ({"readOnlyRootFilesystem": True} if self.read_only_root else {})
