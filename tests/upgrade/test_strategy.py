"""How many pods of a workload are replaced at a time."""

from typing import Any

import pytest

from vllm_constructs.upgrade.strategy import Strategy, strategy_of

from .both import compared
from .models import deployment, group, pod, workload


def found(manifest: dict[str, Any], count: int | None) -> Strategy:
    """The strategy of a workload."""
    return strategy_of(compared(manifest, {**manifest, "metadata": manifest["metadata"]}), count)


@pytest.mark.parametrize(
    ("strategy", "count", "expected"),
    [
        ({}, 1, ("RollingUpdate", 1, 0)),
        ({}, 10, ("RollingUpdate", 3, 2)),
        ({"rollingUpdate": {"maxSurge": 0}}, 3, ("RollingUpdate", 0, 1)),
        ({"type": "Recreate"}, 3, ("Recreate", 0, 3)),
    ],
)
def test_deployment(strategy: Any, count: int, expected: tuple[str, int, int]) -> None:
    """A Deployment, with the numbers that are there by default."""
    one = found(deployment(strategy=strategy), count)

    assert expected == (one.name, one.surge, one.unavailable)
    assert not one.held


def test_held() -> None:
    """Some do not roll now."""
    paused = deployment()
    paused["spec"]["paused"] = True

    assert "it is paused" == found(paused, 1).held
    assert "it has no pods" == found(deployment(), 0).held


@pytest.mark.parametrize(
    ("update", "count", "unavailable", "held"),
    [
        ({}, 3, 1, ""),
        ({"rollingUpdate": {"maxUnavailable": "50%"}}, 3, 2, ""),
        ({"rollingUpdate": {"partition": 2, "maxUnavailable": 3}}, 3, 1, ""),
        ({"rollingUpdate": {"partition": 3}}, 3, 0, "partition 3 leaves all of its pods"),
        ({"type": "OnDelete"}, 3, 0, "a pod is replaced when somebody deletes it"),
        ({}, 0, 0, "it has no pods"),
    ],
)
def test_stateful_set(update: Any, count: int, unavailable: int, held: str) -> None:
    """A StatefulSet, one by one from the last."""
    one = found(workload("StatefulSet", pod(), updateStrategy=update), count)

    assert unavailable == one.unavailable
    assert bool(held) == bool(one.held)
    assert one.held.startswith(held)


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({}, (0, 1)),
        ({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}, (1, 0)),
        ({"rollingUpdate": {"maxUnavailable": "10%"}}, (0, 0)),
    ],
)
def test_daemon_set(update: Any, expected: tuple[int, int]) -> None:
    """A DaemonSet, of which the number of pods is not known."""
    one = found(workload("DaemonSet", pod(), updateStrategy=update), None)

    assert expected == (one.surge, one.unavailable)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({}, (0, 1)),
        ({"maxSurge": 1, "maxUnavailable": 0}, (1, 0)),
        ({"maxUnavailable": "50%"}, (0, 1)),
        ({"maxSurge": "50%", "maxUnavailable": 5}, (2, 3)),
    ],
)
def test_groups(numbers: Any, expected: tuple[int, int]) -> None:
    """A LeaderWorkerSet, group by group."""
    manifest = group(replicas=3)
    manifest["spec"]["rolloutStrategy"] = {"rollingUpdateConfiguration": numbers}

    one = found(manifest, 3)

    assert ("RollingUpdate", *expected) == (one.name, one.surge, one.unavailable)
