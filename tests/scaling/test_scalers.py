"""Scaling: HPA and ScaledObject, valid everywhere and paced by the load time."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, parse_promql, quantity
from vllm_constructs import (
    CpuUtilization,
    CronFloor,
    KvCacheUsage,
    QueueDepth,
    ScalingPace,
    Scope,
    TimeToFirstToken,
    VllmConstructsWarning,
)
from vllm_constructs.scaling import scalers as scaling
from vllm_constructs.scaling.scalers import Replicas

PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"
SCOPE = Scope(namespace="llm", model_name="qwen-7b")
FLOOR = CronFloor("UTC", "0 9 * * *", "0 18 * * *", replicas=2)


@st.composite
def ranges(draw: st.DrawFn, scaler: str) -> Replicas:
    """Ranges of replicas."""
    low = draw(st.integers(0 if scaler == "KedaScaler" else 1, 20))
    # At least the highest floor that is generated.
    return Replicas(scaler=scaler, minimum=low, maximum=draw(st.integers(max(low, 10), 1000)))


def scaled_object(**fields: Any) -> strategies.Manifest:
    """Return a ScaledObject with these fields."""
    given_fields = {
        "name": "qwen",
        "target": "qwen",
        "replicas": Replicas(scaler="KedaScaler", minimum=1, maximum=3),
        "wanted": [QueueDepth(5)],
        "pace": ScalingPace(),
        "startup": 900,
        "scope": SCOPE,
        "prometheus": PROMETHEUS,
        "polling_interval": None,
        "cooldown": None,
        "fallback": 1,
        **fields,
    }
    found = scaling.scaled_object_manifest(**given_fields)
    return strategies.in_namespace(found)


@settings(max_examples=60, deadline=None)
@given(
    name=strategies.names(),
    replicas=ranges("HpaScaler"),
    wanted=strategies.hpa_metrics(),
    pace=strategies.paces(),
    startup=strategies.startups(),
)
def test_hpa(
    *, name: str, replicas: Replicas, wanted: list[Any], pace: ScalingPace, startup: Any
) -> None:
    """An HPA is valid in all releases and reads each metric by the adapter's name."""
    found = scaling.hpa_manifest(
        name=name,
        target=name,
        replicas=replicas,
        wanted=wanted,
        pace=pace,
        startup=startup.budget,
    )

    assert_valid(strategies.in_namespace(found))
    assert strategies.is_plain(found)
    spec = found["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (replicas.minimum, replicas.maximum)
    assert spec["scaleTargetRef"]["name"] == name
    assert len(spec["metrics"]) == len(wanted)
    for entry, trigger in zip(spec["metrics"], wanted, strict=True):
        if isinstance(trigger, CpuUtilization):
            target = {"type": "Utilization", "averageUtilization": trigger.percent}
            assert entry == {"type": "Resource", "resource": {"name": "cpu", "target": target}}
        else:
            target = entry["pods"]["target"]
            assert entry["pods"]["metric"] == {"name": trigger.metric.adapter_name}
            assert target["type"] == "AverageValue"
            assert float(quantity(target["averageValue"])) == pytest.approx(
                trigger.threshold, rel=0.5 if trigger.threshold < 0.01 else 0.05
            )


@settings(max_examples=60, deadline=None)
@given(
    replicas=ranges("KedaScaler"),
    wanted=strategies.keda_triggers(),
    pace=strategies.paces(),
    startup=strategies.startups(),
    scope=strategies.scopes(),
    fallback=st.integers(1, 20),
)
def test_scaled_object(
    *,
    replicas: Replicas,
    wanted: list[Any],
    pace: ScalingPace,
    startup: Any,
    scope: Scope,
    fallback: int,
) -> None:
    """A ScaledObject is one that KEDA admits; every trigger has its unit and its type."""
    found = scaled_object(
        replicas=replicas,
        wanted=wanted,
        pace=pace,
        startup=startup.budget,
        scope=scope,
        fallback=min(fallback, replicas.maximum),
    )

    assert_valid(found)
    assert strategies.is_plain(found)
    spec = found["spec"]
    assert spec["minReplicaCount"] == replicas.minimum
    assert spec["maxReplicaCount"] == replicas.maximum
    sleep = {"pollingInterval", "cooldownPeriod", "initialCooldownPeriod"}
    assert sleep & set(spec) == (set() if replicas.minimum else sleep)
    assert spec.get("initialCooldownPeriod", startup.total) >= startup.total
    assert len(spec["triggers"]) == len(wanted) + (replicas.minimum == 0)
    for entry, trigger in zip(spec["triggers"], wanted, strict=False):
        assert all(isinstance(value, str) for value in entry["metadata"].values())
        if entry["type"] == "prometheus":
            assert entry["metricType"] == trigger.metric_type
            threshold = float(entry["metadata"]["threshold"])
            assert threshold == pytest.approx(trigger.threshold, rel=0.001, abs=1e-6)
            assert entry["metadata"]["serverAddress"] == PROMETHEUS
            query = parse_promql(entry["metadata"]["query"])
            assert query.is_one_series
            if entry["metricType"] == "AverageValue":
                assert query.aggregation == "sum"
            ignores = entry["metadata"].get("ignoreNullValues") != "false"
            assert ignores is (replicas.minimum == 0)


@settings(max_examples=100, deadline=None)
@given(strategies.paces(), strategies.startups())
def test_pace(pace: ScalingPace, startup: Any) -> None:
    """A pod has time to load before the next is added, within what an HPA takes."""
    found = pace.behavior(startup.budget)

    up, down = found["scaleUp"], found["scaleDown"]
    period = up["policies"][0]["periodSeconds"]
    assert period == (pace.up_seconds or min(startup.budget, 1800))
    assert down["policies"][0]["periodSeconds"] == pace.down_seconds
    windows = (up["stabilizationWindowSeconds"], down["stabilizationWindowSeconds"])
    assert windows == (pace.up_window, pace.down_window)


def test_fallback() -> None:
    """Without Prometheus the replicas stay, unless nothing reads it or 0 is the minimum."""
    asleep = Replicas(scaler="KedaScaler", minimum=0, maximum=2)

    assert scaled_object()["spec"]["fallback"]["replicas"] == 1
    assert "fallback" not in scaled_object(wanted=[FLOOR, CpuUtilization(70)])["spec"]
    assert "fallback" not in scaled_object(wanted=[FLOOR, QueueDepth(5)], replicas=asleep)["spec"]


def test_awake() -> None:
    """A model that may scale to 0 stays while requests wait or run, and grows by nothing else."""
    asleep = Replicas(scaler="KedaScaler", minimum=0, maximum=2)

    last = scaled_object(wanted=[FLOOR], replicas=asleep)["spec"]["triggers"][-1]

    query = parse_promql(last["metadata"]["query"])
    assert query.metrics == ("vllm:num_requests_running", "vllm:num_requests_waiting")
    assert query.is_one_series
    assert last["metadata"]["threshold"] == "1000000"
    assert last["metricType"] == "AverageValue"


@pytest.mark.parametrize(
    ("value", "written"),
    [(5, "5"), (5.0, "5"), (0.85, "0.85"), (1.0000001, "1"), (1e12, "1" + "0" * 12)],
)
def test_threshold(value: float, written: str) -> None:
    """A threshold is a number without exponent, which KEDA and people can read."""
    trigger = scaled_object(wanted=[TimeToFirstToken(1)])["spec"]["triggers"][0]

    assert trigger["metadata"]["threshold"] == "1"
    assert scaling._decimal(value) == written


def test_address() -> None:
    """An address that only resolves beside Prometheus is warned about."""
    for address in (PROMETHEUS, "https://prometheus.example.com/api", "http://localhost:9090"):
        assert scaling.check_address("KedaScaler.prometheus", address) == address

    with pytest.warns(VllmConstructsWarning, match="in its own namespace; give the namespace"):
        scaling.check_address("KedaScaler.prometheus", "http://prometheus:9090")


ASLEEP = Replicas(scaler="KedaScaler", minimum=0, maximum=2)

REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: ScalingPace(up_pods=0), ("ScalingPace.up_pods is 0", "pods from 1")),
    (lambda: ScalingPace(up_seconds=1801), ("up_seconds is 1801", "to 1800")),
    (lambda: ScalingPace(down_seconds=0), ("down_seconds is 0", "seconds from 1")),
    (lambda: ScalingPace(up_window=3601), ("up_window is 3601", "to 3600")),
    (
        lambda: Replicas(scaler="HpaScaler", minimum=5, maximum=2),
        ("HpaScaler.min_replicas is 5", "above max_replicas (2)", "swap"),
    ),
    (
        lambda: Replicas(scaler="HpaScaler", minimum=0, maximum=2),
        ("HpaScaler.min_replicas is 0", "from 1"),
    ),
    (
        lambda: Replicas(scaler="KedaScaler", minimum=0, maximum=0),
        ("KedaScaler.max_replicas is 0", "from 1"),
    ),
    (
        lambda: scaled_object(replicas=ASLEEP, wanted=[QueueDepth(5), KvCacheUsage(0.9)]),
        ("min_replicas is 0", "gone at 0 replicas", "CronFloor", "min_replicas=1"),
    ),
    (
        lambda: scaled_object(
            wanted=[CronFloor("UTC", "0 9 * * *", "0 18 * * *", replicas=4), QueueDepth(5)]
        ),
        ("CronFloor.replicas is 4", "max_replicas (3)", "raise the maximum"),
    ),
    (lambda: scaled_object(name="a" * 55), ("'aaa", "55 characters", "at most 54")),
    (lambda: scaled_object(name="A"), ("KedaScaler.name is 'A'", "'a'")),
    (
        lambda: scaling.check_address("KedaScaler.prometheus", "prometheus:9090"),
        ("'prometheus:9090'", "'http://prometheus-operated.monitoring.svc:9090'"),
    ),
    (lambda: scaling.check_address("KedaScaler.prometheus", None), ("is None", "http://")),
    (
        lambda: scaling.hpa_manifest(
            name="A",
            target="a",
            replicas=Replicas(scaler="HpaScaler", minimum=1, maximum=2),
            wanted=[],
            pace=ScalingPace(),
            startup=900,
        ),
        ("HpaScaler.name is 'A'", "'a'"),
    ),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is refused with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_namespace() -> None:
    """The namespace of Prometheus is read from a Service's address, and from no other."""
    assert "watch" == scaling.namespace_of("http://prometheus.watch.svc:9090")
    assert "watch" == scaling.namespace_of("http://prometheus.watch.svc.cluster.local:9090")
    assert scaling.namespace_of("https://metrics.example.com") is None
    assert scaling.namespace_of("http://prometheus:9090") is None


def test_pace_of_a_floor() -> None:
    """A floor's replicas come in one step, since its time is known."""
    floors = [
        CronFloor("Asia/Shanghai", "0 9 * * *", "0 22 * * *", replicas=replicas)
        for replicas in (3, 5)
    ]
    assert 3 == scaling.pace_for(floors, 2).up_pods
    assert 1 == scaling.pace_for([], 2).up_pods
