"""Monitoring: monitors, alerts and a dashboard that are valid and read what is there."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, parse_promql
from vllm_constructs import Scope, monitoring

SELECTOR = {"app.kubernetes.io/instance": "qwen", "app.kubernetes.io/name": "vllm"}


def objects(scope: Scope, startup: int, labels: dict[str, str]) -> list[strategies.Manifest]:
    """Return everything that monitors a model."""
    wanted = monitoring.alerts(scope, job="llm/qwen", startup=startup)
    options: Any = {"name": "qwen", "selector": SELECTOR, "interval": "15s", "labels": labels}
    found = [
        monitoring.service_monitor(**options),
        monitoring.pod_monitor(**options),
        monitoring.prometheus_rule(
            name="qwen", labels=labels, model=scope.model_name, wanted=wanted
        ),
        monitoring.dashboard_config_map(name="qwen", scope=scope, folder=None),
        monitoring.dashboard_config_map(name="qwen", scope=scope, folder="Models & more"),
    ]
    return [strategies.in_namespace(one) for one in found]


def texts(value: Any) -> Iterator[str]:
    """Yield every text of a manifest."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@settings(max_examples=25, deadline=None)
@given(strategies.scopes(), st.integers(30, 86400), strategies.labels())
def test_validity(scope: Scope, startup: int, labels: dict[str, str]) -> None:
    """Every object is valid, and holds nothing that Helm would take for its own."""
    found = objects(scope, startup, labels)

    assert_valid(*found)
    assert all(strategies.is_plain(one) for one in found)
    assert not [text for one in found for text in texts(one) if "{{" in text or "}}" in text]


@settings(max_examples=60, deadline=None)
@given(strategies.scopes(), st.integers(30, 86400))
def test_alerts(scope: Scope, startup: int) -> None:
    """Alerts have names of their own and queries of this model that give one series."""
    wanted = monitoring.alerts(scope, job="llm/qwen", startup=startup)

    assert len({one.name for one in wanted}) == len(wanted) >= 6
    for one in wanted:
        query = parse_promql(one.expression)
        # What is absent is one series by itself.
        assert query.is_one_series or query.functions == ("absent",)
        for selector in query.selectors:
            if selector.metric == "up":
                assert selector.is_scoped(namespace=scope.namespace, job="llm/qwen")
            else:
                assert selector.is_scoped(namespace=scope.namespace, model_name=scope.model_name)
        assert scope.model_name in one.summary
        entry = one.manifest({"model_name": scope.model_name})
        labels = {"model_name": scope.model_name, "severity": one.severity}
        assert entry["labels"] == labels
    down = next(one for one in wanted if one.name == "VllmEngineDown")
    assert int(down.lasts.removesuffix("m")) * 60 > startup


@settings(max_examples=40, deadline=None)
@given(strategies.scopes())
def test_dashboard(scope: Scope) -> None:
    """Every panel has queries of this model, and panels do not lie on one another."""
    found = json.loads(monitoring.dashboard(scope))

    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in found["panels"]]
    assert len(set(places)) == len(places) == len({one["id"] for one in found["panels"]})
    for panel in found["panels"]:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) >= 1
        for target in panel["targets"]:
            query = parse_promql(target["expr"])
            assert query.is_one_series
            for selector in query.selectors:
                assert selector.is_scoped(namespace=scope.namespace, model_name=scope.model_name)


def test_targets() -> None:
    """Monitors select by the labels that Service and pods carry, and by the port's name."""
    scope = Scope(namespace="llm", model_name="qwen")
    service, pods, *_ = objects(scope, 900, {"release": "prometheus"})

    for one, endpoints in ((service, "endpoints"), (pods, "podMetricsEndpoints")):
        assert one["spec"]["selector"] == {"matchLabels": SELECTOR}
        assert one["spec"][endpoints] == [{"port": "http", "path": "/metrics", "interval": "15s"}]
        assert one["metadata"]["labels"] == {"release": "prometheus"}


def test_folder() -> None:
    """A folder of Grafana is an annotation of the ConfigMap."""
    *_, without, with_folder = objects(Scope(namespace="llm", model_name="qwen"), 900, {})

    assert "annotations" not in without["metadata"]
    assert with_folder["metadata"]["annotations"] == {"grafana_folder": "Models & more"}
    assert without["metadata"]["labels"] == {"grafana_dashboard": "1"}


def test_refusals() -> None:
    """A monitor's name is one that Kubernetes takes."""
    sentence = strategies.refusal(
        lambda: monitoring.pod_monitor(name="A_b", selector={}, interval="15s", labels={})
    )

    assert "ModelMonitor.name is 'A_b'" in sentence
    assert "'a-b'" in sentence
