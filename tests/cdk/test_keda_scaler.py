"""A model that KEDA scales."""

from typing import Any

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import CACHE, chart, check_sample, model, only, variants
from tests.cdk.scalers import keda
from tests.support import parse_promql
from vllm_constructs import (
    CronFloor,
    KvCacheUsage,
    ModelMonitor,
    QueueDepth,
    Startup,
    VllmConstructsError,
    VllmConstructsWarning,
)
from vllm_constructs.kube.peers import from_namespace


@pytest.mark.parametrize(("kind", "variant"), variants("KedaScaler"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_chart_without_namespace() -> None:
    """Queries need the namespace; one sentence says where to give it."""
    scope = Chart(App(), "x")
    qwen = model(scope, cache=CACHE)
    with pytest.raises(VllmConstructsError, match=r"the chart has none; give it: Chart\("):
        keda(scope, "scaler", qwen)


def test_queries() -> None:
    """Every query is one series of this model: its namespace and served name."""
    scope = chart()
    qwen = model(scope, served_name="qwen-7b", cache=CACHE)
    keda(scope, "scaler", qwen, triggers=[QueueDepth(5), KvCacheUsage(0.8)])
    total, mean = (
        parse_promql(trigger["metadata"]["query"])
        for trigger in only(scope, "ScaledObject")["spec"]["triggers"]
    )
    labels = {"namespace": "llm", "model_name": "qwen-7b"}
    for query in (total, mean):
        assert query.is_one_series
        (selector,) = query.selectors
        assert selector.is_scoped(**labels)


def test_scraper() -> None:
    """Prometheus outside of the cluster is warned about, unless some namespace is let in."""
    address = "https://metrics.example.com"
    words = f"KedaScaler.prometheus is '{address}', which does not tell the namespace"
    scope = chart()
    with pytest.warns(VllmConstructsWarning, match=words):
        keda(scope, "scaler", model(scope, cache=CACHE), prometheus=address)
    open_models: list[dict[str, Any]] = [
        {"allow_from": ["monitoring"]},
        {"network_policy": False},
    ]
    for options in open_models:
        scope = chart()
        keda(scope, "scaler", model(scope, cache=CACHE, **options), prometheus=address)
    scope = chart()
    qwen = model(scope, cache=CACHE)
    ModelMonitor(scope, "monitor", target=qwen, labels={"release": "x"})
    keda(scope, "scaler", qwen, prometheus=address)


def test_openshift() -> None:
    """Behind OpenShift's Thanos, the Prometheus of user-defined projects is let in."""
    scope = chart()
    thanos = "https://thanos-querier.openshift-monitoring.svc:9091"
    keda(scope, "scaler", model(scope, cache=CACHE), prometheus=thanos)
    peers = only(scope, "NetworkPolicy")["spec"]["ingress"]
    assert from_namespace("openshift-user-workload-monitoring") in [
        peer for rule in peers for peer in rule["from"]
    ]


@pytest.mark.parametrize(
    ("replicas", "least", "most", "expected"),
    [(1, 1, 9, 1), (4, 1, 9, 4), (1, 2, 9, 2), (5, 1, 3, 3)],
)
def test_fallback(replicas: int, least: int, most: int, expected: int) -> None:
    """While Prometheus does not answer, the model's replicas stay, within the range."""
    scope = chart()
    qwen = model(scope, replicas=replicas, cache=CACHE)
    keda(scope, "scaler", qwen, min_replicas=least, max_replicas=most)
    assert expected == only(scope, "ScaledObject")["spec"]["fallback"]["replicas"]


def test_startup() -> None:
    """The pace of scaling up and KEDA's first rest follow from the model's startup."""
    scope = chart()
    qwen = model(scope, cache=CACHE, startup=Startup(minutes=7))
    floor = CronFloor("UTC", "0 9 * * *", "0 18 * * *", replicas=1)
    keda(scope, "scaler", qwen, min_replicas=0, triggers=[QueueDepth(5), floor])
    spec = only(scope, "ScaledObject")["spec"]
    assert 430 == spec["initialCooldownPeriod"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert 430 == behavior["scaleUp"]["policies"][0]["periodSeconds"]


@pytest.mark.parametrize("name", ["polling_interval", "cooldown"])
def test_sleep(name: str) -> None:
    """What matters at 0 replicas only is left out above, and said to have no effect."""
    scope = chart()
    with pytest.warns(VllmConstructsWarning, match=f"{name} is 60, which has no effect"):
        keda(scope, "scaler", model(scope, cache=CACHE), **{name: 60})
    spec = only(scope, "ScaledObject")["spec"]
    assert set() == {"pollingInterval", "cooldownPeriod", "initialCooldownPeriod"} & set(spec)
