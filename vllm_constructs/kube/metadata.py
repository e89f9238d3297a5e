"""Metadata: the labels and annotations that a user adds to objects of this library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vllm_constructs.errors import Problem, refuse

from . import names


def mark(
    owner: str,
    manifests: Iterable[dict[str, Any]],
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> None:
    """Add labels and annotations to manifests.

    Args:
        owner: Name of the class that has the options.
        manifests: The manifests and pod templates, which are changed.
        labels: The labels. Default: none.
        annotations: The annotations. Default: none.

    Raises:
        VllmConstructsError: An invalid key or value, or a key that the library sets.
    """
    given = {
        "labels": names.label_map(f"{owner}.labels", {} if labels is None else labels),
        "annotations": names.annotation_map(
            f"{owner}.annotations", {} if annotations is None else annotations
        ),
    }
    for manifest in manifests:
        for field, more in given.items():
            own = manifest.get("metadata", {}).get(field, {})
            for key in more:
                if key in own or key.startswith(f"{names.PREFIX}/"):
                    text = "is set by this library"
                    where = f"{owner}.{field}[{key!r}]"
                    refuse(Problem(where=where, text=text, advice="leave it out"))
            if more:
                # Manifests may share their metadata.
                manifest["metadata"] = {**manifest.get("metadata", {}), field: {**own, **more}}
