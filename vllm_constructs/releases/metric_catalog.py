"""Which metrics each vLLM release exposes, from its data file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, cast

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

from .release import DEFAULT_IMAGE, VllmRelease, catalog, releases

_SUFFIXES = ("_bucket", "_sum", "_count", "_total")
_PARTS = ("_bucket", "_sum", "_count", "_created")
_OWN_LABELS = ("engine", "model_name")
# What people take for the label with the served name.
_FOR_MODEL_NAME = ("model", "model_id", "modelname", "served_model_name")
ROUTER = frozenset(
    f"vllm:{name}"
    for name in (
        "avg_decoding_length",
        "avg_itl",
        "avg_latency",
        "current_qps",
        "healthy_pods_total",
        "input_tokens_total",
        "num_decoding_requests",
        "num_incoming_requests_total",
        "num_prefill_requests",
        "output_tokens_total",
        "request_errors_total",
    )
)
"""Metrics of the vLLM production stack's router, which vLLM itself does not have."""
_SERIES = re.compile(r"(?<![\w:])(vllm:[A-Za-z0-9_:]+)(\s*\{([^}]*)\})?")
_MODEL = re.compile(r"(^|,)\s*model\s*[=!]")


def metrics_of(release: str) -> Mapping[str, Any]:
    """The entries of all metrics of a release, by name."""
    known = cast("Mapping[str, Any]", catalog(release))
    return cast("Mapping[str, Any]", known["metrics"])


def entries(name: str) -> list[dict[str, Any]]:
    """The entries of a metric in all shipped releases that have it, the newest first."""
    known = [metrics_of(release) for release in reversed(releases())]
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
    exposed = cast("Mapping[str, dict[str, Any]]", metrics_of(checked.known))
    if name in exposed:
        return exposed[name]
    where = query or "Metric.name"
    return refuse(_unknown(where, name, checked, verb="selects" if query else "is"))


def _unknown(where: str, name: str, release: VllmRelease, verb: str) -> Problem:
    """What is wrong with a metric that a release does not have."""
    is_removed, advice = _advice(name, release.known)
    what = "is no longer a metric" if is_removed else "is not a metric"
    return Problem(
        where=where,
        text=f"{verb} {escaped(require.shown(name))}, which {what} of {release.description}",
        value=require.shown(name),
        advice=escaped(advice),
    )


@lru_cache(maxsize=256)
def _advice(name: str, release: str) -> tuple[bool, str]:
    """Whether a metric was removed, and what to use instead of it."""
    known = cast("Mapping[str, Any]", catalog(release))
    exposed = known["metrics"]
    bare = next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name)
    replacement = known["removed_metrics"].get(name) or known["removed_metrics"].get(bare)
    if replacement:
        return True, replacement
    near = next((one for one in (bare, f"{name}_total", f"vllm:{name}") if one in exposed), "")
    if near:
        return False, f"write {near!r}"
    other = next((one for one in releases() if {name, bare} & metrics_of(one).keys()), None)
    return False, f"vLLM {other} has it" if other else require.nearest(name, exposed)


def was_exposed(name: str) -> bool:
    """Whether some release, shipped or older, exposed series of a name.

    Args:
        name: The name in a query, or the name of a metric.
    """
    removed = cast("Mapping[str, Any]", catalog())["removed_metrics"]
    return any(entries(one) or one in removed for one in (name, *_bases(name)))


@cache
def all_series() -> tuple[str, ...]:
    """The names of all series that the shipped releases expose."""
    found: set[str] = set()
    for release in releases():
        for name, one in metrics_of(release).items():
            parts = [f"{name}{end}" for end in _PARTS[:3]]
            found |= {*parts} if one["type"] == "histogram" else {name}
    return tuple(sorted(found))


def label_problem(where: str, name: str, label: str, release: VllmRelease | None) -> Problem | None:
    """Why no series of a metric has a label; None if they have it, or a scraper may set it.

    Args:
        where: The option or field whose query selects by it.
        name: The name in the query.
        label: The label.
        release: vLLM release of the image; None for any that this library knows.
    """
    known = [one for base in (name, *_bases(name)) for one in _entries(base, release)]
    labels = {one for entry in known for one in entry["labels"]} if known else {*_OWN_LABELS}
    is_open = any(entry.get("more_labels") for entry in known)
    is_vllms = label in _OWN_LABELS or label in _FOR_MODEL_NAME
    if label in labels or is_open or not is_vllms:
        return None
    instead = "write model_name" if "model_name" in labels else "leave it out"
    return Problem(
        where=where,
        text=escaped(f"selects {name} by the label {label!r}, which vLLM does not set"),
        value=require.shown(name),
        advice=instead if label != "engine" else "leave it out",
    )


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


def series_problem(
    where: str,
    name: str,
    release: VllmRelease | None = None,
    *,
    verb: str = "selects",
    has_hidden: bool = True,
) -> Problem | None:
    """Why vLLM has no series of a name; None if it has them.

    Args:
        where: The option or field whose query selects them.
        name: The name in the query.
        release: vLLM release of the image. Default: any that this library knows.
        verb: What the field does with the name. Default: it selects it.
        has_hidden: Whether the engine also exposes what its release hides. Default: True.
    """
    found = _entries(name, release)
    of_parts = ("counter", "histogram") if name.endswith("_created") else ("histogram",)
    whole = [entry for base in _bases(name) for entry in _entries(base, release)]
    exposed = [one for one in whole if one["type"] in of_parts] or found
    if not exposed:
        return _unknown(where, name, _checked(release), verb)
    if exposed is found and all(one["type"] == "histogram" for one in found):
        text, advice = "no series of a histogram has that name", _parts(name)
    elif all(one.get("hidden") for one in exposed) and not has_hidden:
        text, advice = "vLLM hides it", "give {EngineArgs.show_hidden_metrics_for_version}"
    else:
        return None
    return Problem(
        where=where,
        text=f"{verb} {escaped(name)}, but {text}",
        value=require.shown(name),
        advice=advice,
    )


def _entries(name: str, release: VllmRelease | None) -> list[dict[str, Any]]:
    if release is None:
        return entries(name)
    exposed = metrics_of(release.known)
    return [exposed[name]] if name in exposed else []


def _bases(name: str) -> list[str]:
    """The metrics that a series of this name may be a part of."""
    bare = next((name.removesuffix(end) for end in _PARTS if name.endswith(end)), None)
    if bare is None:
        return []
    return [bare, f"{bare}_total"] if name.endswith("_created") else [bare]


def _parts(name: str) -> str:
    return escaped(f"write {name}_bucket, {name}_sum or {name}_count")


def check_query(where: str, query: str) -> None:
    """Reject PromQL with a metric that no release of vLLM has, or with a metric's label `model`.

    Args:
        where: The option that has the query.
        query: The PromQL.

    Raises:
        VllmConstructsError: Such a metric or label.
    """
    for name, _, selector in _SERIES.findall(query):
        # One with more colons is a recording rule, which the user named.
        if name.count(":") > 1 or name in ROUTER:
            continue
        problem = series_problem(where, name)
        if problem is None and _MODEL.search(selector):
            problem = label_problem(where, name, "model", None)
        if problem is not None:
            refuse(problem)
