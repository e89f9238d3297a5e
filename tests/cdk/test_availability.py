import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    CACHE,
    PROMETHEUS,
    Keywords,
    chart,
    check_sample,
    manifests,
    model,
    only,
    rejected,
    variants,
)
from vllm_constructs import (
    CronFloor,
    DisruptionBudget,
    HpaScaler,
    KedaScaler,
    QueueDepth,
    ReplicaRange,
    VllmConstructsError,
)


@pytest.mark.parametrize(("kind", "variant"), variants("DisruptionBudget"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_selector() -> None:
    """A budget selects the model's pods, and lets broken ones go."""
    scope = chart(labels={"team": "search"})
    qwen = model(scope, replicas=2, cache=CACHE, labels={"tier": "gold"})
    DisruptionBudget(scope, "budget", target=qwen)
    spec = only(scope, "PodDisruptionBudget")["spec"]
    assert {"matchLabels": qwen.selector} == spec["selector"]
    assert "AlwaysAllow" == spec["unhealthyPodEvictionPolicy"]
    assert 1 == spec["maxUnavailable"]


@pytest.mark.parametrize(
    ("replicas", "budget", "reason"),
    [
        (1, {}, "protects nothing"),
        (2, {"min_available": 2}, "never be drained"),
        (2, {"min_available": 3}, "never be drained"),
        (2, {"max_unavailable": 2}, "protects nothing"),
        (2, {"max_unavailable": 0}, "max_unavailable"),
        (2, {"min_available": 0}, "min_available"),
        (3, {"min_available": 1, "max_unavailable": 1}, "both"),
    ],
)
def test_replicas(replicas: int, budget: Keywords, reason: str) -> None:
    """A budget that blocks every drain or protects nothing is rejected, and nothing is made."""
    scope = chart()
    qwen = model(scope, replicas=replicas, cache=CACHE)
    with rejected(scope, reason):
        DisruptionBudget(scope, "budget", target=qwen, **budget)
    if replicas > 1:
        DisruptionBudget(scope, "budget", target=qwen, min_available=1)


@pytest.mark.parametrize("least", [1, 2, 3])
def test_scaler_first(least: int) -> None:
    """Behind a scaler, its minimum counts and not the replicas."""
    scope = chart()
    qwen = model(scope, replicas=9, cache=CACHE)
    HpaScaler(
        scope, "scaler", target=qwen, min_replicas=least, max_replicas=9, triggers=[QueueDepth(5)]
    )
    if least > 2:
        DisruptionBudget(scope, "budget", target=qwen, min_available=2)
    else:
        with pytest.raises(VllmConstructsError, match=r"HpaScaler\.min_replicas"):
            DisruptionBudget(scope, "budget", target=qwen, min_available=2)
        DisruptionBudget(scope, "budget", target=qwen, max_unavailable=1)
    assert "PodDisruptionBudget" in {item["kind"] for item in manifests(scope)}


def test_protects_nothing() -> None:
    """A budget that lets all pods go is rejected, also where a scaler sets their number."""
    scope = chart()
    qwen = model(scope, replicas=ReplicaRange(min_replicas=2, max_replicas=8), cache=CACHE)
    sentence = (
        "allows the eviction of 8 of 8 pods, which protects nothing; raise "
        "ReplicaRange.max_replicas to at least 9, give max_unavailable=7, or leave the budget out."
    )
    with rejected(scope, sentence):
        DisruptionBudget(scope, "budget", target=qwen, max_unavailable=8)
    DisruptionBudget(scope, "budget", target=qwen, max_unavailable=7)


def test_replica_range() -> None:
    """Where another autoscaler sets the replicas, the sentence names the range."""
    scope = chart()
    qwen = model(scope, replicas=ReplicaRange(min_replicas=1, max_replicas=4), cache=CACHE)
    with rejected(scope, "raise ReplicaRange.min_replicas, or give max_unavailable=1"):
        DisruptionBudget(scope, "budget", target=qwen, min_available=1)


@pytest.mark.parametrize("least", [1, 2, 3])
def test_budget_first(least: int) -> None:
    """A scaler whose minimum a budget blocks is rejected, and the model keeps its replicas."""
    scope = chart()
    qwen = model(scope, replicas=9, cache=CACHE)
    DisruptionBudget(scope, "budget", target=qwen, min_available=2)
    options: Keywords = {"min_replicas": least, "max_replicas": 9, "triggers": [QueueDepth(5)]}
    if least > 2:
        HpaScaler(scope, "scaler", target=qwen, **options)
        return
    with rejected(scope, "HpaScaler.min_replicas"):
        HpaScaler(scope, "scaler", target=qwen, **options)
    assert 9 == only(scope, "Deployment")["spec"]["replicas"]


def test_asleep() -> None:
    """A model that may have no pods can have a budget that lets one go."""
    scope = chart()
    qwen = model(scope, cache=CACHE)
    KedaScaler(
        scope,
        "scaler",
        target=qwen,
        min_replicas=0,
        max_replicas=4,
        prometheus=PROMETHEUS,
        triggers=[CronFloor("UTC", "0 9 * * *", "0 22 * * *", replicas=2)],
    )
    DisruptionBudget(scope, "budget", target=qwen, max_unavailable=1)
    assert 1 == only(scope, "PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_twice() -> None:
    """A second budget of one model is rejected: evictions would fail."""
    scope = chart()
    qwen = model(scope, replicas=3, cache=CACHE)
    DisruptionBudget(scope, "a", target=qwen)
    with pytest.raises(VllmConstructsError, match="a budget already"):
        DisruptionBudget(scope, "b", name="b", target=qwen)
