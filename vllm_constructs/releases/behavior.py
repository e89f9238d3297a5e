"""Changes of vLLM's behavior between releases that no flag, metric or variable shows."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, cast

Behavior: TypeAlias = Literal[
    "azure-streaming",
    "cuda-graph-estimate",
    "cuda-graphs-in-kv-budget",
    "cuda-graphs-in-kv-budget-of-second-runner",
    "error-finish-reason",
    "gpu-memory-utilization-0.92",
    "kv-offload-in-shared-memory",
    "kv-offload-tiers",
    "kv-offload-unlinked",
    "kv-offloading-size",
    "latent-block-of-backend",
    "lmcache-backend-is-client",
    "mxfp4-scales-twice",
    "mxfp4-width-of-128",
    "ray-in-image",
    "sampler-warmup-of-second-runner",
    "state-block-per-request",
    "top-k-in-triton",
    "volta-in-image",
]
Version: TypeAlias = tuple[int, int, int]


class _Entry(TypedDict):
    """One behavior in the data file; a range ends before its second release."""

    ranges: list[tuple[str | None, str | None]]
    what: str
    source: str


@cache
def behaviors() -> dict[Behavior, _Entry]:
    """All behaviors, read once and only when needed."""
    path = Path(__file__).parents[1] / "data" / "behavior.json"
    return cast("dict[Behavior, _Entry]", json.loads(path.read_text(encoding="utf-8")))


@cache
def numbers(release: str) -> Version:
    """Major, minor and patch of a release such as `0.33.0`."""
    major, minor, patch = release.split(".")
    return int(major), int(minor), int(patch)


def behaves(version: Version, behavior: Behavior) -> bool:
    """Whether a release has a behavior.

    Args:
        version: The release.
        behavior: Name of the behavior.
    """
    return any(
        (first is None or numbers(first) <= version) and (end is None or version < numbers(end))
        for first, end in behaviors()[behavior]["ranges"]
    )
