"""Availability: one number for loading and one for draining, and all that follows from them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import Drain, Rollout, Startup, VllmConstructsWarning
from vllm_constructs.workloads.availability import Budget, reading_time
from vllm_constructs.workloads.probes import PERIOD

SELECTOR = {"app.kubernetes.io/instance": "qwen", "app.kubernetes.io/name": "vllm"}


@settings(max_examples=200, deadline=None)
@given(strategies.startups())
def test_startup(startup: Startup) -> None:
    """Even the earliest last probe comes after the load time; the deadline is later still."""
    earliest = PERIOD * (startup.failure_threshold - 1)

    assert 0 <= earliest - startup.total < PERIOD
    assert startup.budget == earliest + PERIOD
    assert startup.progress_deadline > startup.budget


def test_startup_sum() -> None:
    """Minutes and seconds add up."""
    assert Startup(minutes=2, seconds=30).total == 150
    assert Startup().total == 15 * 60


@settings(max_examples=200, deadline=None)
@given(strategies.drains())
def test_drain(drain: Drain) -> None:
    """The grace period has room for the pause, the drain and the workers' end."""
    assert drain.grace_period >= drain.pre_stop + drain.seconds + 15


@settings(max_examples=200, deadline=None)
@given(spare=st.integers(0, 40), gpus=st.integers(1, 16), shared=st.booleans())
def test_rollout(*, spare: int, gpus: int, shared: bool) -> None:
    """A new pod comes first only where its GPUs are spare and the cache can be mounted twice."""
    rollout = Rollout(spare_gpus=spare)

    strategy = rollout.strategy(gpus=gpus, can_share_cache=shared)

    surge = rollout.surge(gpus=gpus, can_share_cache=shared)
    assert surge == (1 if shared and spare >= gpus else 0)
    if shared:
        limits = {"maxSurge": surge, "maxUnavailable": 1 - surge}
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": limits}
    else:
        assert strategy == {"type": "Recreate"}


@settings(max_examples=50, deadline=None)
@given(
    number=st.one_of(st.none(), st.integers(1, 1000)), least=st.booleans(), name=strategies.names()
)
def test_budget(*, number: int | None, least: bool, name: str) -> None:
    """A budget is one that all releases take, and it never holds up a drain of broken pods."""
    budget = Budget(min_available=number) if least else Budget(max_unavailable=number)

    manifest = budget.manifest(name, SELECTOR)

    assert validate(strategies.in_namespace(manifest)) == []
    spec = manifest["spec"]
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert spec["selector"] == {"matchLabels": SELECTOR}
    wanted = {"minAvailable": number} if least and number else {"maxUnavailable": number or 1}
    kept = {key: spec[key] for key in ("minAvailable", "maxUnavailable") if key in spec}
    assert wanted == kept


@settings(max_examples=200, deadline=None)
@given(
    number=st.integers(1, 8),
    replicas=st.integers(1, 8),
    least=st.booleans(),
    more=st.integers(0, 3),
    scaler=st.sampled_from([None, "HpaScaler", "ReplicaRange"]),
)
def test_budget_against_replicas(
    *, number: int, replicas: int, least: bool, more: int, scaler: str | None
) -> None:
    """What is accepted lets a pod go, and keeps one of as many as a scaler may bring."""
    most = replicas + more if scaler else replicas
    budget = Budget(min_available=number) if least else Budget(max_unavailable=number)
    lets_go = replicas - number if least else number
    protects = least or lets_go < most

    if lets_go > 0 and protects:
        budget.check("DisruptionBudget", replicas, scaler=scaler, most=most)
    else:
        strategies.refusal(
            lambda: budget.check("DisruptionBudget", replicas, scaler=scaler, most=most)
        )


def check_budget(replicas: int, *, scaler: str | None = None, **numbers: Any) -> None:
    """Check a budget as a construct does."""
    Budget(**numbers).check("DisruptionBudget 'x'", replicas, scaler=scaler)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: Startup(minutes=0), ("Startup is 0 seconds", "30 seconds to 24 hours in total")),
    (lambda: Startup(minutes=15, seconds=86400), ("Startup is 87300 seconds", "24 hours")),
    (lambda: Startup(minutes=-1), ("Startup.minutes is -1", "minutes from 0")),
    (lambda: Startup(minutes="15m"), ("'15m'", "minutes", "unit out")),  # type: ignore[arg-type]  # the mistake
    (lambda: Startup(minutes=1.5), ("1.5", "an integer")),  # type: ignore[arg-type]  # the mistake
    (lambda: Startup(seconds=float("nan")), ("nan", "seconds")),  # type: ignore[arg-type]  # the mistake
    (lambda: Drain(seconds=-1), ("Drain.seconds is -1", "from 0 to 86400")),
    (lambda: Drain(seconds="90s"), ("'90s'", "leave the unit out")),  # type: ignore[arg-type]  # the mistake
    (lambda: Drain(seconds=9, pre_stop=0), ("Drain.pre_stop is 0", "from 1")),
    (lambda: Rollout(spare_gpus=-1), ("Rollout.spare_gpus is -1", "GPUs from 0")),
    (lambda: Rollout(spare_gpus=True), ("True", "an integer")),
    (
        lambda: Budget(min_available=1, max_unavailable=1),
        ("both min_available and", "accepts one", "leave min_available out"),
    ),
    (lambda: Budget(min_available=0), ("min_available is 0", "from 1")),
    (lambda: Budget(max_unavailable=0), ("max_unavailable is 0", "from 1")),
    (lambda: Budget(max_unavailable=1).manifest("A_b", {}), ("'A_b'", "'a-b'")),
    (
        lambda: check_budget(2, min_available=2),
        (
            "keeps 2 of at least 2 pods (replicas)",
            "lower min_available, raise replicas, give max_unavailable=1, or",
            "make a scaler with a higher minimum before the budget.",
        ),
    ),
    (
        lambda: check_budget(1, min_available=1, scaler="HpaScaler"),
        (
            "keeps 1",
            "never be drained",
            "raise HpaScaler.min_replicas, or give max_unavailable=1.",
        ),
    ),
    (
        lambda: check_budget(1),
        ("eviction of 1 of 1", "raise replicas to at least 2", "leave the budget out"),
    ),
    (lambda: check_budget(3, max_unavailable=3), ("eviction of 3 of 3", "at least 4")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is refused with the number, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_startup_speed() -> None:
    """Weights that take longer than the startup at the given speed are rejected."""
    weights = 131 * 2**30
    Startup(minutes=60, mb_per_second=100).check("m", weights)
    sentence = strategies.refusal(lambda: Startup(mb_per_second=100).check("m", weights))

    assert sentence == (
        "Startup of m is 900 seconds, but its weights of 131.0 GiB take 1407 seconds at the "
        "Startup.mb_per_second of 100; give minutes=29 or more, which leaves 5 minutes for "
        "compilation."
    )
    Startup(minutes=29, mb_per_second=100).check("m", weights)
    assert "1000000" in strategies.refusal(lambda: Startup(mb_per_second=0))


def test_startup_without_speed() -> None:
    """Without a speed, only what no storage does is warned about."""
    Startup(seconds=60).check("m", 131 * 2**30)
    with pytest.warns(VllmConstructsWarning, match="31 seconds at 5000 MB/s, faster than most"):
        Startup(seconds=30).check("m", 151 * 10**9)


def test_reading_time() -> None:
    """The time in which weights are read, rounded up, at a given speed or at the fastest."""
    assert 3 == reading_time(2_500_000, mb_per_second=1)
    assert 27 == reading_time(131_000_000_000)
