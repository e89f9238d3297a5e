"""Paths in containers and volumes, as Kubernetes accepts them."""

from __future__ import annotations

import re

from vllm_constructs import require

SUB_PATH = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$))[^\x00-\x1f:\ud800-\udfff]{1,1024}")
"""A path inside of a volume, as Kubernetes accepts it."""
_PATH = re.compile(r"(?!.*/\.{0,2}/)(?!.*/\.{1,2}$)/[^\x00-\x1f:\ud800-\udfff]{1,1023}")
# Kubernetes keeps names that begin with two dots for itself.
ITEM_PATH = re.compile(rf"(?!\.\.){SUB_PATH.pattern}")


def check_path(where: str, path: object) -> str:
    """An absolute path in a container, without `..` and colons, which mounts do not allow.

    Args:
        where: Name of the option.
        path: The path.

    Raises:
        VllmConstructsError: Any other value.
    """
    allowed = "an absolute path such as '/etc/vllm', without '.', '..', '//' and ':'"
    return require.matching(where, path, _PATH, allowed).rstrip("/")
