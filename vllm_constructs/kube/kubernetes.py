"""Kubernetes: the release of the cluster that the manifests are for."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Protocol

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, VllmConstructsError

from . import names

OLDEST, NEWEST = (1, 27), (1, 37)
CONTEXT = f"{names.PREFIX}/kubernetes"
_RELEASE = re.compile(r"v?1\.(\d{1,3})(\.\d{1,3})?", re.ASCII)


class _Node(Protocol):
    def set_context(self, key: str, value: object, /) -> None: ...


class _HasNode(Protocol):
    @property
    def node(self) -> _Node: ...


@dataclass(frozen=True)
class Kubernetes:
    """The Kubernetes release that the manifests have to be valid for.

    Set it once, on the App or a Chart, before anything is added to it:
    `Kubernetes("1.34").set_on(app)`. Fields that are newer than the target are left out.

    Args:
        release: Minor release, from `1.27` (default) to `1.37`. The default is the oldest one
            supported, so that the manifests are valid on every cluster; give yours to get the
            fields that were added later, such as the native preStop sleep of 1.30.

    Raises:
        VllmConstructsError: The release is not one that this library knows.
    """

    release: str = field(default="1.27")

    def __post_init__(self) -> None:
        match = _RELEASE.fullmatch(self.release) if isinstance(self.release, str) else None
        if not match or not OLDEST[1] <= int(match[1]) <= NEWEST[1]:
            require.wrong("Kubernetes.release", self.release, "a release from '1.27' to '1.37'")

    @property
    def minor(self) -> int:
        """The number after `1.`."""
        return int(self.release.lstrip("v").split(".")[1])

    @property
    def has_sleep_action(self) -> bool:
        """Whether `lifecycle.preStop.sleep` works: beta and on by default since 1.30 (KEP-3960)."""
        return self.minor >= 30

    @property
    def has_native_sidecars(self) -> bool:
        """Whether init containers may run on as sidecars: on by default since 1.29 (KEP-753)."""
        return self.minor >= 29

    def set_on(self, scope: _HasNode) -> None:
        """Make this the target of `scope` (an App or a Chart) and of all constructs in it.

        It is stored as construct context, which `constructs` accepts only before the first child
        is added.

        Raises:
            VllmConstructsError: The scope is not a construct, or already has children.
        """
        node = getattr(scope, "node", None)
        if node is None:
            require.wrong("Kubernetes.set_on scope", scope, "an App or a Chart")
        try:
            node.set_context(CONTEXT, self.release)
        except RuntimeError as error:
            raise VllmConstructsError(
                Problem(
                    where=f"Kubernetes({self.release!r}).set_on",
                    text=(
                        "is called after the first child was added, and existing children were "
                        "made for another release"
                    ),
                    advice="call it directly after App() or Chart()",
                )
            ) from error
