"""Which metrics each vLLM release exposes, from its data file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

from .release import DEFAULT_IMAGE, VllmRelease, catalog, releases

_SUFFIXES = ("_bucket", "_sum", "_count", "_total")
ROUTER = frozenset(
    f"vllm:{name}"
    for name in (
        "avg_decoding_length",
        "avg_itl",
        "avg_latency",
        "current_qps",
        "healthy_pods_total",
        "num_decoding_requests",
        "num_incoming_requests_total",
        "num_prefill_requests",
    )
)
"""Metrics of the vLLM production stack's router, which vLLM itself does not have."""
_SERIES = re.compile(r"(vllm:[A-Za-z0-9_:]+)(\s*\{([^}]*)\})?")
_MODEL = re.compile(r"(^|,)\s*model\s*[=!]")


def _metrics(release: str) -> Mapping[str, Any]:
    known = cast("Mapping[str, Any]", catalog(release))
    return cast("Mapping[str, Any]", known["metrics"])


def entries(name: str) -> list[dict[str, Any]]:
    """The entries of a metric in all shipped releases that have it, the newest first."""
    known = [_metrics(release) for release in reversed(releases())]
    return [one[name] for one in known if name in one]


def _checked(release: VllmRelease | None) -> VllmRelease:
    if release is None:
        return VllmRelease()
    allowed = f"a VllmRelease, such as VllmRelease({DEFAULT_IMAGE!r})"
    return require.instance("release", release, VllmRelease, allowed)


def entry(
    name: str, release: VllmRelease | None = None, *, query: str | None = None
) -> dict[str, Any]:
    """The entry of a metric; the error for an unknown name gives the replacement or nearest name.

    Args:
        name: Name as exposed.
        release: vLLM release of the image. Default: the newest that this library knows.
        query: The option whose query selects the metric, for the error. Default: the name is
            that of a `Metric`.

    Raises:
        VllmConstructsError: The release does not have the metric.
    """
    checked = _checked(release)
    known = cast("Mapping[str, Any]", checked.catalog)
    exposed: dict[str, dict[str, Any]] = known["metrics"]
    if name in exposed:
        return exposed[name]
    is_removed, advice = _advice(name, known, exposed)
    what = "is no longer a metric" if is_removed else "is not a metric"
    return refuse(
        Problem(
            where=query or "Metric.name",
            text=f"{'selects' if query else 'is'} {escaped(require.shown(name))}, which {what} of "
            f"{checked.description}",
            value=require.shown(name),
            advice=escaped(advice),
        )
    )


def _advice(name: str, known: Mapping[str, Any], exposed: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a metric was removed, and what to use instead of it."""
    replacement = known["removed_metrics"].get(name)
    if replacement:
        return True, replacement
    bare = next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name)
    near = next((one for one in (bare, f"{name}_total", f"vllm:{name}") if one in exposed), "")
    if near:
        return False, f"write {near!r}"
    other = next((one for one in releases() if name in _metrics(one)), None)
    return False, f"vLLM {other} has it" if other else require.nearest(name, exposed)


def is_exposed(name: str, kind: str, release: VllmRelease | None = None) -> bool:
    """Whether a release exposes a metric as it is, without a flag that brings it back."""
    metric = cast("Mapping[str, Any]", _checked(release).catalog)["metrics"].get(name, {})
    return metric.get("type") == kind and not metric.get("hidden")


def counts_errors(release: VllmRelease | None = None) -> bool:
    """Whether a release counts requests that end with `finished_reason="error"`."""
    return _checked(release).behaves("error-finish-reason")


def reads_engines(query: str) -> bool:
    """Whether PromQL reads metrics of vLLM's own pods, not only those of a router.

    Args:
        query: The PromQL.
    """
    return any(name not in ROUTER for name, _, _ in _SERIES.findall(query))


def check_query(where: str, query: str) -> None:
    """Reject PromQL with a metric that no release of vLLM has, or with a metric's label `model`.

    Args:
        where: The option that has the query.
        query: The PromQL.

    Raises:
        VllmConstructsError: Such a metric or label.
    """
    for name, _, selector in _SERIES.findall(query):
        if name.count(":") > 1:
            # A recording rule, which the user named.
            continue
        if name in ROUTER:
            continue
        bare = next((name.removesuffix(end) for end in _SUFFIXES[:3] if name.endswith(end)), name)
        if not entries(name) and not entries(bare):
            entry(name, query=where)
        if any(one["type"] == "histogram" for one in entries(name)):
            refuse(
                Problem(
                    where=where,
                    text=f"selects {name}, but no series of a histogram has that name",
                    value=require.shown(query),
                    advice=f"write {name}_bucket, {name}_sum or {name}_count",
                )
            )
        if _MODEL.search(selector):
            refuse(
                Problem(
                    where=where,
                    text=f"selects {name} by the label 'model', which vLLM does not set",
                    value=require.shown(query),
                    advice="write model_name",
                )
            )
