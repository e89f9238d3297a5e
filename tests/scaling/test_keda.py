"""KEDA: a ScaledObject that it admits, with the unit and the type of every trigger."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, parse_promql
from vllm_constructs import (
    CpuUtilization,
    CronFloor,
    KvCacheUsage,
    ModelSeries,
    PrometheusQuery,
    QueueDepth,
    ScalingPace,
    VllmConstructsWarning,
)
from vllm_constructs.scaling import keda
from vllm_constructs.scaling.pace import Replicas
from vllm_constructs.workloads.workload import Workload, WorkloadKind

PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"
SERIES = ModelSeries(namespace="llm", model_name="qwen-7b")
FLOOR = CronFloor("UTC", "0 9 * * *", "0 18 * * *", replicas=2)
TO_ZERO = Replicas(scaler="KedaScaler", minimum=0, maximum=2, lowest=0)
STATEFUL_SET = WorkloadKind(
    group="apps",
    version="v1",
    kind="StatefulSet",
    pod_template=("spec", "template"),
    replicas=("spec", "replicas"),
    replicas_series="kube_statefulset_replicas",
    series_label="statefulset",
    pod_names="{}-[0-9]+".format,
)


@st.composite
def ranges(draw: st.DrawFn) -> Replicas:
    """Ranges of replicas."""
    low = draw(st.integers(0, 20))
    # At least the highest floor that is generated.
    high = draw(st.integers(max(low, 10), 1000))
    return Replicas(scaler="KedaScaler", minimum=low, maximum=high, lowest=0)


def scaled_object(**fields: Any) -> strategies.Manifest:
    """Return a ScaledObject with these fields."""
    given_fields = {
        "name": "qwen",
        "target": Workload(name="qwen"),
        "replicas": Replicas(scaler="KedaScaler", minimum=1, maximum=3),
        "triggers": [QueueDepth(5)],
        "pace": ScalingPace(),
        "startup": 900,
        "series": SERIES,
        "prometheus": PROMETHEUS,
        "polling_interval": None,
        "cooldown": None,
        "fallback": 1,
        **fields,
    }
    return strategies.in_namespace(keda.manifest(**given_fields))


@settings(max_examples=60, deadline=None)
@given(
    replicas=ranges(),
    triggers=strategies.keda_triggers(),
    pace=strategies.paces(),
    startup=strategies.startups(),
    series=strategies.series(),
    fallback=st.integers(1, 20),
)
def test_scaled_object(
    *,
    replicas: Replicas,
    triggers: list[Any],
    pace: ScalingPace,
    startup: Any,
    series: ModelSeries,
    fallback: int,
) -> None:
    """A ScaledObject is one that KEDA admits; every trigger has its unit and its type."""
    found = scaled_object(
        replicas=replicas,
        triggers=triggers,
        pace=pace,
        startup=startup.budget,
        series=series,
        fallback=min(fallback, replicas.maximum),
    )

    assert_valid(found)
    assert strategies.is_plain(found)
    spec = found["spec"]
    assert replicas.minimum == spec["minReplicaCount"]
    assert replicas.maximum == spec["maxReplicaCount"]
    sleep = {"pollingInterval", "cooldownPeriod", "initialCooldownPeriod"}
    assert (set() if replicas.minimum else sleep) == sleep & set(spec)
    assert spec.get("initialCooldownPeriod", startup.total) >= startup.total
    assert len(triggers) + (replicas.minimum == 0) == len(spec["triggers"])
    for entry, trigger in zip(spec["triggers"], triggers, strict=False):
        assert all(isinstance(value, str) for value in entry["metadata"].values())
        if entry["type"] == "prometheus":
            assert trigger.metric_type == entry["metricType"]
            threshold = float(entry["metadata"]["threshold"])
            assert threshold == pytest.approx(trigger.threshold, rel=0.001, abs=1e-6)
            assert PROMETHEUS == entry["metadata"]["serverAddress"]
            query = parse_promql(entry["metadata"]["query"])
            assert query.is_one_series
            if entry["metricType"] == "AverageValue":
                assert "sum" == query.aggregation
            ignores = entry["metadata"].get("ignoreNullValues") != "false"
            assert (replicas.minimum == 0) is ignores


def test_kind_of_workload() -> None:
    """A ScaledObject scales whatever kind of workload runs the pods."""
    found = scaled_object(target=Workload(name="qwen", kind=STATEFUL_SET))

    expected = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "qwen"}
    assert expected == found["spec"]["scaleTargetRef"]
    assert_valid(found)
    # Nothing else is of the kind.
    found["spec"]["scaleTargetRef"]["kind"] = "Deployment"
    assert scaled_object() == found


def test_fallback() -> None:
    """Without Prometheus the replicas stay, unless nothing reads it or 0 is the minimum."""
    fallback = {"failureThreshold": 3, "replicas": 1, "behavior": "currentReplicasIfHigher"}

    assert fallback == scaled_object()["spec"]["fallback"]
    assert "fallback" not in scaled_object(triggers=[FLOOR, CpuUtilization(70)])["spec"]
    assert (
        "fallback" not in scaled_object(triggers=[FLOOR, QueueDepth(5)], replicas=TO_ZERO)["spec"]
    )


def test_awake() -> None:
    """A model that may scale to 0 stays while requests wait or run, and grows by nothing else."""
    last = scaled_object(triggers=[FLOOR], replicas=TO_ZERO)["spec"]["triggers"][-1]

    query = parse_promql(last["metadata"]["query"])
    assert ("vllm:num_requests_running", "vllm:num_requests_waiting") == query.metrics
    assert query.is_one_series
    assert "1000000" == last["metadata"]["threshold"]
    assert "AverageValue" == last["metricType"]


def test_sleep() -> None:
    """The times until a model sleeps are as given, and otherwise KEDA's own or the startup."""
    usual = scaled_object(triggers=[FLOOR], replicas=TO_ZERO)["spec"]
    fast = scaled_object(triggers=[FLOOR], replicas=TO_ZERO, polling_interval=5, cooldown=0)["spec"]

    names = ("pollingInterval", "cooldownPeriod", "initialCooldownPeriod")
    assert (15, 300, 900) == tuple(usual[name] for name in names)
    assert (5, 0, 900) == tuple(fast[name] for name in names)


def test_sleep_before_ready() -> None:
    """A pod that a request has woken is not removed while it loads."""
    query = PrometheusQuery(name="gateway", query="sum(x)", threshold=1, metric_type="AverageValue")
    for startup, expected in ((60, 300), (900, 900), (86400, 86400)):
        found = scaled_object(triggers=[query], replicas=TO_ZERO, startup=startup)
        assert expected == found["spec"]["cooldownPeriod"]
    words = "KedaScaler.cooldown is 60, shorter than the 900 seconds that a pod may load"
    with pytest.warns(VllmConstructsWarning, match=words):
        scaled_object(triggers=[query], replicas=TO_ZERO, cooldown=60)
    scaled_object(triggers=[query], replicas=TO_ZERO, cooldown=900)


@pytest.mark.parametrize("name", ["polling_interval", "cooldown"])
def test_sleep_that_never_comes(name: str) -> None:
    """A time that does nothing, since the model never sleeps, is warned about and left out."""
    words = f"KedaScaler.{name} is 60, which has no effect while min_replicas is above 0"
    with pytest.warns(VllmConstructsWarning, match=words):
        found = scaled_object(**{name: 60})

    assert scaled_object() == found


def test_address() -> None:
    """An address that only resolves beside Prometheus is warned about."""
    for address in (PROMETHEUS, "https://prometheus.example.com/api", "http://localhost:9090"):
        assert address == keda.check_address("KedaScaler.prometheus", address)

    with pytest.warns(VllmConstructsWarning, match="in its own namespace; give the namespace"):
        keda.check_address("KedaScaler.prometheus", "http://prometheus:9090")


def test_namespace() -> None:
    """The namespace of Prometheus is read from a Service's address, and from no other."""
    assert "watch" == keda.scraper_of("http://prometheus.watch.svc:9090")
    assert "watch" == keda.scraper_of("http://prometheus.watch.svc.cluster.local:9090")
    thanos = "https://thanos-querier.openshift-monitoring.svc:9091"
    assert "openshift-user-workload-monitoring" == keda.scraper_of(thanos)
    assert keda.scraper_of("https://metrics.example.com") is None
    assert keda.scraper_of("http://prometheus:9090") is None


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (
        lambda: scaled_object(replicas=TO_ZERO, triggers=[QueueDepth(5), KvCacheUsage(0.9)]),
        (
            "min_replicas is 0",
            "gone at 0 replicas",
            "could activate",
            "CronFloor",
            "min_replicas=1",
        ),
    ),
    (
        lambda: scaled_object(
            triggers=[CronFloor("UTC", "0 9 * * *", "0 18 * * *", replicas=4), QueueDepth(5)]
        ),
        ("CronFloor.replicas is 4", "max_replicas (3)", "raise max_replicas"),
    ),
    (lambda: scaled_object(name="a" * 55), ("'aaa", "55 characters", "at most 54")),
    (lambda: scaled_object(name="A"), ("KedaScaler.name is 'A'", "'a'")),
    (lambda: scaled_object(polling_interval=0), ("polling_interval is 0", "seconds from 1")),
    (lambda: scaled_object(cooldown=86_401), ("KedaScaler.cooldown is 86401", "to 86400")),
    (
        lambda: keda.check_address("KedaScaler.prometheus", "prometheus:9090"),
        ("'prometheus:9090'", "'http://prometheus-operated.monitoring.svc:9090'"),
    ),
    (lambda: keda.check_address("KedaScaler.prometheus", None), ("is None", "http://")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
