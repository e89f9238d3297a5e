"""The arithmetic of rollouts."""

from typing import Any

import pytest

from vllm_constructs.reading.rolling import count, surge, unavailable


def rolling(**numbers: Any) -> dict[str, Any]:
    """A strategy with numbers of its own."""
    return {"type": "RollingUpdate", "rollingUpdate": numbers}


@pytest.mark.parametrize(
    ("strategy", "replicas", "expected"),
    [
        ({}, 1, (1, 0)),
        ({}, 3, (1, 0)),
        ({}, 4, (1, 1)),
        ({}, 10, (3, 2)),
        ({"type": "Recreate"}, 3, (0, 3)),
        (rolling(maxSurge=0, maxUnavailable=1), 3, (0, 1)),
        (rolling(maxSurge=1, maxUnavailable=0), 3, (1, 0)),
        (rolling(maxSurge=0), 1, (0, 1)),
        (rolling(maxSurge="0%", maxUnavailable="10%"), 3, (0, 1)),
        (rolling(maxSurge=0, maxUnavailable=5), 2, (0, 2)),
        (rolling(maxSurge="100%", maxUnavailable="100%"), 3, (3, 3)),
        (rolling(maxSurge="many", maxUnavailable=[1]), 3, (0, 1)),
        (rolling(maxSurge=None, maxUnavailable=None), 3, (1, 0)),
        ({"rollingUpdate": "25%"}, 3, (1, 0)),
    ],
)
def test_numbers(strategy: dict[str, Any], replicas: int, expected: tuple[int, int]) -> None:
    """Pods more are rounded up, pods less down, and one of the two is never zero."""
    assert expected == (surge(strategy, replicas), unavailable(strategy, replicas))


@pytest.mark.parametrize("replicas", [0, 1])
def test_none(replicas: int) -> None:
    """A rollout takes no more pods away than there are."""
    assert replicas == unavailable(rolling(maxSurge=0, maxUnavailable=3), replicas)


@pytest.mark.parametrize("value", ["%", "-1", "1.5", "x%", True, {}, []])
def test_malformed(value: object) -> None:
    """What is neither a number nor a percentage stands for no number."""
    assert count(value, 3, 1, is_up=True) is None
