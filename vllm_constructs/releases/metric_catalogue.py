"""Exposed: which metrics a vLLM release has, from its data file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from vllm_constructs import require
from vllm_constructs.errors import refuse

from .release import VllmRelease, catalogue, releases

if TYPE_CHECKING:
    from vllm_constructs.metrics.metric import Metric

_SUFFIXES = ("_bucket", "_sum", "_count", "_total")
_SERIES = re.compile(r"(vllm:[A-Za-z0-9_:]+)(\s*\{([^}]*)\})?")
_MODEL = re.compile(r"(^|,)\s*model\s*[=!]")


def _metrics(release: str) -> Mapping[str, Any]:
    known = cast("Mapping[str, Any]", catalogue(release))
    return cast("Mapping[str, Any]", known["metrics"])


def entries(name: str) -> list[dict[str, Any]]:
    """What each shipped release says of a metric, the newest first; nothing where it lacks it."""
    found = [_metrics(release) for release in reversed(releases())]
    return [one[name] for one in found if name in one]


def _checked(release: VllmRelease | None) -> VllmRelease:
    if release is None:
        return VllmRelease()
    return require.instance(
        "release", release, VllmRelease, "a VllmRelease, such as one of an image"
    )


def entry(name: str, release: VllmRelease | None = None) -> dict[str, Any]:
    """What the catalogue says of a metric; refused with the replacement or the nearest name."""
    found = _checked(release)
    known = [cast("Mapping[str, Any]", one) for one in reversed(found.catalogues)]
    exposed: dict[str, dict[str, Any]] = {}
    for one in reversed(known):
        exposed |= one["metrics"]
    if name in exposed:
        return exposed[name]
    say = next((one["removed_metrics"].get(name) for one in known), None)
    if say:
        refuse(f"{name!r} is no metric of {found.called} any more; {say}.")
    bare = next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name)
    near = next((one for one in (bare, f"{name}_total", f"vllm:{name}") if one in exposed), "")
    if near:
        refuse(f"{name!r} is not how {found.called} calls a metric; write it as {near!r}.")
    for other in releases():
        if name in _metrics(other):
            refuse(f"{name!r} is no metric of {found.called}; vLLM {other} has it.")
    hint = require.nearest(name, exposed)
    return refuse(f"{name!r} is no metric of {found.called}{f'; {hint}' if hint else '.'}")


def is_exposed(metric: Metric, release: VllmRelease | None = None) -> bool:
    """Whether a release exposes a metric as it is, without a flag that brings it back.

    A release between two whose data is shipped does so where both do.
    """
    known = [cast("Mapping[str, Any]", one)["metrics"] for one in _checked(release).catalogues]
    entries = [one.get(metric.name, {}) for one in known]
    return all(one.get("type") == metric.type and not one.get("hidden") for one in entries)


def counts_errors(release: VllmRelease | None = None) -> bool:
    """Whether a release counts requests that end with `finished_reason="error"`.

    Of the releases known here 0.12 alone does not (vllm/v1/engine/__init__.py).
    """
    version = _checked(release).version
    return version is None or version >= (0, 16, 0)


def check_query(where: str, query: str) -> None:
    """Refuse PromQL that asks for a metric that no release of vLLM has, or for its label `model`.

    Args:
        where: Name of the query, for the sentence.
        query: The PromQL.

    Raises:
        VllmConstructsError: Such a name or label.
    """
    for name, _, selector in _SERIES.findall(query):
        if name.count(":") > 1:
            # A recorded series, whose name is the user's.
            continue
        bare = next((name.removesuffix(end) for end in _SUFFIXES[:3] if name.endswith(end)), name)
        if not entries(name) and not entries(bare):
            entry(name)
        if any(one["type"] == "histogram" for one in entries(name)):
            refuse(
                f"{where} asks for {name}, a histogram that has no series of that name; ask for "
                f"{name}_bucket, {name}_sum or {name}_count."
            )
        if _MODEL.search(selector):
            refuse(
                f"{where} asks {name} for the label 'model', which vLLM does not set; write "
                "model_name."
            )
