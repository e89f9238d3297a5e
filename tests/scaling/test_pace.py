"""Pace: how fast replicas come and go, and the range that they stay in."""

import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from vllm_constructs import CronFloor, QueueDepth, ScalingPace
from vllm_constructs.scaling.pace import Replicas, check_pace, pace_for


@settings(max_examples=100, deadline=None)
@given(strategies.paces(), strategies.startups())
def test_pace(pace: ScalingPace, startup: Any) -> None:
    """A pod has time to load before the next is added, within what an HPA takes."""
    found = pace.behavior(startup.budget)

    up, down = found["scaleUp"], found["scaleDown"]
    period = up["policies"][0]["periodSeconds"]
    assert (pace.up_seconds or min(startup.budget, 1800)) == period
    assert pace.down_seconds == down["policies"][0]["periodSeconds"]
    windows = (up["stabilizationWindowSeconds"], down["stabilizationWindowSeconds"])
    assert (pace.up_window, pace.down_window) == windows
    is_default = pace.up_pods is pace.up_percent is None
    steps = {one["type"]: one["value"] for one in up["policies"]}
    assert (100 if is_default else pace.up_percent) == steps.get("Percent")
    assert pace.up_pods == steps.get("Pods")
    assert {period} == {one["periodSeconds"] for one in up["policies"]}
    assert [("Pods", pace.down_pods)] == [(one["type"], one["value"]) for one in down["policies"]]


def replicas_after(pace: ScalingPace, start: int, wanted: int) -> list[int]:
    """The replicas after each step, as an HPA computes them: the policy that adds most counts."""
    found = [start]
    while found[-1] < wanted:
        steps = {
            "Percent": lambda value: math.ceil(found[-1] * value / 100),
            "Pods": lambda value: value,
        }
        up = pace.behavior(900)["scaleUp"]["policies"]
        added = max(steps[one["type"]](one["value"]) for one in up)
        found.append(min(found[-1] + added, wanted))
    return found


def test_steps() -> None:
    """By default each step doubles; what is said by the user is what happens."""
    assert [2, 4, 8, 16, 20] == replicas_after(ScalingPace(), 2, 20)
    assert [1, 2, 4, 8] == replicas_after(ScalingPace(), 1, 8)
    assert [1, 3, 5, 7] == replicas_after(ScalingPace(up_pods=2), 1, 7)
    assert [4, 6, 9] == replicas_after(ScalingPace(up_percent=50), 4, 9)
    assert [1, 4, 8] == replicas_after(ScalingPace(up_pods=3, up_percent=100), 1, 8)


def test_guide() -> None:
    """The guide's own pace can be said."""
    pace = ScalingPace(
        up_pods=2, up_seconds=60, up_window=60, down_pods=1, down_seconds=120, down_window=300
    )
    assert {
        "scaleUp": {
            "stabilizationWindowSeconds": 60,
            "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
        },
    } == pace.behavior(900)


@pytest.mark.parametrize(
    ("lowest", "minimum", "maximum"), [(1, 1, 1), (1, 1, 1000), (0, 0, 1), (0, 7, 7)]
)
def test_replicas(lowest: int, minimum: int, maximum: int) -> None:
    """A range may be of one number, and begin at the lowest one that the scaler allows."""
    found = Replicas(scaler="KedaScaler", minimum=minimum, maximum=maximum, lowest=lowest)

    assert (minimum, maximum) == (found.minimum, found.maximum)


def test_pace_of_a_floor() -> None:
    """A floor's replicas come in one step, since its time is known."""
    floors = [
        CronFloor("Asia/Shanghai", "0 9 * * *", "0 22 * * *", replicas=replicas)
        for replicas in (3, 5)
    ]

    assert [2, 5] == replicas_after(pace_for(floors, 2), 2, 5)
    assert [2, 5, 10] == replicas_after(pace_for([QueueDepth(5), *floors], 2), 2, 10)
    assert [0, 5, 10] == replicas_after(pace_for(floors, 0), 0, 10)
    assert ScalingPace() == pace_for(floors, 9) == pace_for([], 2) == pace_for([QueueDepth(5)], 0)


def test_pace_of_a_low_floor() -> None:
    """A floor that doubling reaches in one step needs no more."""
    floor = CronFloor("Asia/Shanghai", "0 9 * * *", "0 22 * * *", replicas=4)

    assert ScalingPace() == pace_for([floor], 2)


def test_check() -> None:
    """A pace passes as it is."""
    pace = ScalingPace(up_pods=2)

    assert pace is check_pace("HpaScaler.pace", pace)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: ScalingPace(up_pods=0), ("ScalingPace.up_pods is 0", "pods from 1")),
    (lambda: ScalingPace(up_percent=0), ("ScalingPace.up_percent is 0", "percent from 1")),
    (lambda: ScalingPace(down_pods=1001), ("ScalingPace.down_pods is 1001", "to 1000")),
    (lambda: ScalingPace(up_seconds=1801), ("up_seconds is 1801", "to 1800")),
    (lambda: ScalingPace(down_seconds=0), ("down_seconds is 0", "seconds from 1")),
    (lambda: ScalingPace(up_window=3601), ("up_window is 3601", "to 3600")),
    (lambda: ScalingPace(down_window=-1), ("down_window is -1", "seconds from 0")),
    (
        lambda: Replicas(scaler="HpaScaler", minimum=5, maximum=2),
        ("HpaScaler.min_replicas is 5", "above max_replicas (2)", "swap"),
    ),
    (
        lambda: Replicas(scaler="HpaScaler", minimum=0, maximum=2),
        ("HpaScaler.min_replicas is 0", "from 1", "use KedaScaler"),
    ),
    (
        lambda: Replicas(scaler="KedaScaler", minimum=-1, maximum=2, lowest=0),
        ("KedaScaler.min_replicas is -1", "from 0"),
    ),
    (
        lambda: Replicas(scaler="KedaScaler", minimum=0, maximum=0, lowest=0),
        ("KedaScaler.max_replicas is 0", "from 1"),
    ),
    (
        lambda: check_pace("HpaScaler.pace", 60),
        ("HpaScaler.pace is 60", "expected ScalingPace(...)"),
    ),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What an HPA does not take is rejected with the value and what is allowed."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """A pace cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        ScalingPace().up_pods = 0  # type: ignore[misc]  # the point
