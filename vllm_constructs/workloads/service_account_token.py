"""ServiceAccountToken: a token of the pod's ServiceAccount, as a file."""

from __future__ import annotations

from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass

from .paths import ITEM_PATH


@dataclass(frozen=True, kw_only=True)
class ServiceAccountToken:
    """A token of the pod's ServiceAccount for one audience, as a file of a projected volume.

    Args:
        audience: Who accepts the token. Default: the API server.
        path: Its file in the volume. Default: `token`.
        expiration: Seconds after which the kubelet has renewed it, at least 600. Default: 3600.

    Raises:
        VllmConstructsError: An invalid path, or a time below 600 seconds.
    """

    audience: str | None = None
    path: str = "token"
    expiration: int = 3600

    def __post_init__(self) -> None:
        if self.audience is not None:
            require.text("ServiceAccountToken.audience", self.audience)
        allowed = "a relative path without '..'"
        require.matching("ServiceAccountToken.path", self.path, ITEM_PATH, allowed)
        where = "ServiceAccountToken.expiration"
        require.integer(where, self.expiration, 600, 2**32, "seconds")

    def source(self) -> dict[str, Any]:
        """The source in a projected volume."""
        token: dict[str, Any] = {"path": self.path, "expirationSeconds": self.expiration}
        return token if self.audience is None else {"audience": self.audience, **token}
