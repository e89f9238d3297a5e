"""Behavior: what changed between releases, and that the data holds all of it."""

from itertools import pairwise
from typing import get_args

import pytest

from vllm_constructs import VllmRelease
from vllm_constructs.releases.behavior import Behavior, Version, behaves, behaviors, numbers
from vllm_constructs.releases.release import NEWEST, catalog, releases

OLDEST_VERSION: Version = (0, 0, 0)
NEWEST_VERSION: Version = (9999, 9999, 9999)
BEHAVIORS: tuple[Behavior, ...] = get_args(Behavior)
RANGES = [
    (behavior, first, end)
    for behavior in BEHAVIORS
    for first, end in behaviors()[behavior]["ranges"]
]


def before(release: str) -> Version:
    """Return the last release that may come before another one."""
    major, minor, patch = numbers(release)
    if patch:
        return major, minor, patch - 1
    return (major, minor - 1, 9999) if minor else (major - 1, 9999, 9999)


def test_names() -> None:
    """Every behavior that code may ask for is in the data, and the other way round."""
    assert set(BEHAVIORS) == set(behaviors())
    assert sorted(BEHAVIORS) == list(BEHAVIORS) == list(behaviors())


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_entries(behavior: Behavior) -> None:
    """Each entry says what the behavior is and where that was read."""
    entry = behaviors()[behavior]

    assert {"ranges", "what", "source"} == set(entry)
    for text in (entry["what"], entry["source"]):
        assert isinstance(text, str)
        assert text.strip() == text != ""
    assert not entry["what"].endswith(".")


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_order(behavior: Behavior) -> None:
    """The ranges of a behavior are in order and apart, and each has a release in it."""
    ranges = [
        (OLDEST_VERSION if first is None else numbers(first), None if end is None else numbers(end))
        for first, end in behaviors()[behavior]["ranges"]
    ]

    assert ranges
    assert all(end is None or first < end for first, end in ranges)
    for (_, end), (first, _) in pairwise(ranges):
        assert end is not None
        assert end < first


@pytest.mark.parametrize(("behavior", "first", "end"), RANGES)
def test_boundaries(behavior: Behavior, first: str | None, end: str | None) -> None:
    """A range begins with its first release, and the one at its end is out of it."""
    if first is None:
        assert behaves(OLDEST_VERSION, behavior)
    else:
        assert behaves(numbers(first), behavior)
        assert not behaves(before(first), behavior)
    if end is None:
        assert behaves(NEWEST_VERSION, behavior)
    else:
        assert behaves(before(end), behavior)
        assert not behaves(numbers(end), behavior)


@pytest.mark.parametrize(
    ("behavior", "with_it", "without_it"),
    [
        ("cuda-graphs-in-kv-budget", ("0.20.0", "0.25.1", "0.33.0"), ("0.12.0", "0.19.1")),
        ("cuda-graphs-in-kv-budget-of-second-runner", ("0.29.0", "0.33.0"), ("0.12.0", "0.28.0")),
        ("error-finish-reason", ("0.13.0", "0.33.0"), ("0.12.0",)),
        ("gpu-memory-utilization-0.92", ("0.20.0", "0.33.0"), ("0.12.0", "0.19.1")),
        ("ray-in-image", ("0.12.0", "0.17.1"), ("0.18.0", "0.33.0")),
        ("latent-block-of-backend", ("0.18.0", "0.33.0"), ("0.12.0", "0.17.1")),
        ("mxfp4-scales-twice", ("0.12.0", "0.24.0"), ("0.25.0", "0.33.0")),
        ("mxfp4-width-of-128", ("0.27.0", "0.33.0"), ("0.12.0", "0.26.0")),
        ("sampler-warmup-of-second-runner", ("0.33.0",), ("0.29.0", "0.32.0")),
        ("state-block-per-request", ("0.20.0", "0.33.0"), ("0.12.0", "0.19.1")),
        ("top-k-in-triton", ("0.17.0", "0.33.0"), ("0.12.0", "0.16.0")),
        ("volta-in-image", ("0.12.0", "0.19.1"), ("0.20.0", "0.33.0")),
    ],
)
def test_releases(
    behavior: Behavior, with_it: tuple[str, ...], without_it: tuple[str, ...]
) -> None:
    """A release behaves as vLLM's source says, one between two shipped ones too."""
    for tag in with_it:
        assert VllmRelease(f"vllm:v{tag}").behaves(behavior), tag
    for tag in without_it:
        assert not VllmRelease(f"vllm:v{tag}").behaves(behavior), tag


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_release_that_is_not_said(behavior: Behavior) -> None:
    """An image that does not say its release behaves like the newest one."""
    expected = behaves(numbers(NEWEST), behavior)

    assert expected is VllmRelease("registry.example.com/llm-server:2.1.0").behaves(behavior)
    assert expected is VllmRelease().behaves(behavior)


def test_numbers() -> None:
    """Releases are compared by their numbers, not as text."""
    assert (0, 33, 0) == numbers("0.33.0")
    assert numbers("0.9.2") < numbers("0.10.0") < numbers("0.10.1") < numbers("1.0.0")


@pytest.mark.parametrize("tag", releases())
def test_agrees_with_catalogs(tag: str) -> None:
    """What a catalog shows too is the same in both: defaults, and flags that came."""
    release, known = VllmRelease(f"vllm:v{tag}"), catalog(tag)
    share = known["flags"]["--gpu-memory-utilization"]["default"]
    estimates = known["environment"].get("VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS", {})

    assert release.behaves("gpu-memory-utilization-0.92") is (share == 0.92)
    assert release.behaves("cuda-graphs-in-kv-budget") is bool(estimates.get("default"))
