import json
from typing import Any

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    chart,
    check_sample,
    manifests,
    model,
    only,
    rejected,
    unwarned,
    variants,
)
from tests.support import parse_promql
from vllm_constructs import ModelMonitor, Startup, VllmConstructsError, VllmConstructsWarning
from vllm_constructs.monitoring.objectives import Objectives

LABELS = {"release": "kube-prometheus-stack"}


@pytest.mark.parametrize(("kind", "variant"), variants("ModelMonitor"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_scrape_hints() -> None:
    """A monitor takes the scrape annotations away, and no other ones."""
    scope = chart()
    qwen = model(scope, pod_annotations={"example.com/scan": "no"})

    def annotations() -> dict[str, str]:
        template = only(scope, "Deployment")["spec"]["template"]
        found: dict[str, str] = template["metadata"]["annotations"]
        return found

    hints = {f"prometheus.io/{name}" for name in ("scrape", "port", "path")}
    assert hints <= set(annotations())
    before = annotations()
    ModelMonitor(scope, "monitor", target=qwen, labels=LABELS)
    assert {k: v for k, v in before.items() if k not in hints} == annotations()
    assert "no" == annotations()["example.com/scan"]


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_selection(kind: Any) -> None:
    """The monitor finds the Service or the pods by their labels, and the port by its name."""
    scope = chart(labels={"team": "search"})
    qwen = model(scope, name="vllm-server", service_name="vllm-service")
    ModelMonitor(scope, "monitor", target=qwen, kind=kind, interval="30s", labels=LABELS)
    monitor = only(scope, kind)
    selected = monitor["spec"]["selector"]["matchLabels"]
    (endpoint,) = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
    assert ("http", "/metrics", "30s") == tuple(endpoint[k] for k in ("port", "path", "interval"))
    template = only(scope, "Deployment")["spec"]["template"]
    owner = only(scope, "Service") if kind == "ServiceMonitor" else template
    assert selected.items() <= owner["metadata"]["labels"].items()
    assert LABELS.items() <= monitor["metadata"]["labels"].items()
    job = "vllm-service" if kind == "ServiceMonitor" else "llm/vllm-server"
    rules = only(scope, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert any(f'job="{job}"' in rule["expr"] for rule in rules)


def test_queries() -> None:
    """Every query of alerts and dashboard is PromQL about this model alone."""
    scope = chart()
    qwen = model(scope, served_name="qwen-7b")
    ModelMonitor(scope, "monitor", target=qwen, labels=LABELS)
    rules = only(scope, "PrometheusRule")["spec"]["groups"][0]["rules"]
    board = json.loads(only(scope, "ConfigMap")["data"]["qwen-dashboard.json"])
    queries = [rule["expr"] for rule in rules]
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    queries += [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(rules) + len(panels) <= len(queries)
    for query in queries:
        for selector in parse_promql(query).selectors:
            space = "exported_" if "exported_pod" in selector.matchers else ""
            assert selector.is_scoped(**{f"{space}namespace": "llm"})
            assert selector.is_scoped(model_name="qwen-7b") == selector.metric.startswith("vllm:")


def test_startup() -> None:
    """The alert for an engine that is down waits for as long as loading may take."""
    scope = chart()
    qwen = model(scope, startup=Startup(minutes=40))
    ModelMonitor(scope, "monitor", target=qwen, labels=LABELS)
    rules = only(scope, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert "45m" == {rule["alert"]: rule["for"] for rule in rules}["VllmEngineDown"]


def test_objectives() -> None:
    """Objectives reach the alerts and the dashboard, and the runbook's address every alert."""
    scope = chart()
    goals = Objectives(time_to_first_token=7.5)
    ModelMonitor(
        scope,
        "monitor",
        target=model(scope),
        labels=LABELS,
        objectives=goals,
        runbook="https://wiki.example.com/vllm",
    )
    rules = only(scope, "PrometheusRule")["spec"]["groups"][0]["rules"]
    slow = {rule["alert"]: rule for rule in rules}["VllmFirstTokenSlow"]
    assert slow["expr"].endswith("> 7.5")
    board = only(scope, "ConfigMap")["data"]["qwen-dashboard.json"]
    assert {"color": "red", "value": 7.5} in [
        step
        for panel in json.loads(board)["panels"]
        for step in panel.get("fieldConfig", {})
        .get("defaults", {})
        .get("thresholds", {})
        .get("steps", [])
    ]
    for rule in rules:
        section = f"https://wiki.example.com/vllm#{rule['alert'].lower()}"
        assert section == rule["annotations"]["runbook_url"]


@pytest.mark.parametrize(("tag", "expected"), [("v0.33.0", True), ("v0.12.0", False)])
def test_release(tag: str, expected: bool) -> None:  # noqa: FBT001  # a column of the table
    """Alerts are those that the release in the image can fill."""
    scope = chart()
    with unwarned():
        qwen = model(scope, image=f"vllm/vllm-openai:{tag}")
    ModelMonitor(scope, "monitor", target=qwen, labels=LABELS)
    rules = only(scope, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert expected == ("VllmRequestErrors" in {rule["alert"] for rule in rules})


def test_pods() -> None:
    """Alerts on pods and scalers are about the model's Deployment, whatever it serves."""
    scope = chart()
    ModelMonitor(
        scope, "monitor", target=model(scope, name="server", served_name="qwen"), labels=LABELS
    )
    rules = only(scope, "PrometheusRule")["spec"]["groups"][0]["rules"]
    found = {rule["alert"]: rule["expr"] for rule in rules}
    assert 'pod=~"server-[a-z0-9]+-[a-z0-9]+"' in found["VllmRestartingWhileLoading"]
    assert 'scaletargetref_name="server"' in found["VllmGpuIdle"]
    assert 'deployment="server"' in found["VllmEngineDown"]
    assert "server" == only(scope, "Deployment")["metadata"]["name"]


@pytest.mark.parametrize("alerts", [True, False])
@pytest.mark.parametrize("dashboard", [True, False])
def test_parts(alerts: bool, dashboard: bool) -> None:  # noqa: FBT001  # parameters
    """Alerts and dashboard can each be left out."""
    scope = chart()
    monitor = ModelMonitor(
        scope,
        "monitor",
        target=model(scope),
        labels=LABELS,
        alerts=alerts,
        dashboard=dashboard,
    )
    kinds = {item["kind"] for item in manifests(scope)}
    assert alerts == ("PrometheusRule" in kinds) == (monitor.rule is not None)
    assert dashboard == ("ConfigMap" in kinds) == (monitor.dashboard is not None)


def test_labels_missing() -> None:
    """A monitor that a usual operator would not pick up is warned about, at the user's line."""
    scope = chart()
    qwen = model(scope)
    with pytest.warns(VllmConstructsWarning, match="labels={'release'") as seen:
        ModelMonitor(scope, "monitor", target=qwen)
    assert [__file__] == [item.filename for item in seen]


def test_twice() -> None:
    """A second monitor would count everything twice, so it is rejected."""
    scope = chart()
    qwen = model(scope)
    ModelMonitor(scope, "a", target=qwen, labels=LABELS)
    with rejected(scope, "a ModelMonitor already"):
        ModelMonitor(scope, "b", target=qwen, labels=LABELS, name="b")


def test_chart_without_namespace() -> None:
    """Queries need the namespace; one sentence says where to give it."""
    scope = Chart(App(), "x")
    qwen = model(scope)
    with rejected(scope, r"the chart has none; give it: Chart\("):
        ModelMonitor(scope, "monitor", target=qwen, labels=LABELS)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("target", "qwen"),
        ("interval", 15),
        ("interval", "15"),
        ("interval", "1.5m"),
        ("kind", "Probe"),
        ("labels", {"release": 5}),
        ("labels", {"release": "a b"}),
        ("labels", ["release"]),
        ("alerts", "yes"),
        ("dashboard", 1),
        ("folder", ""),
        ("namespace", "a.b"),
        ("name", "Monitor"),
        ("objectives", {"errors": 0.1}),
        ("runbook", ""),
    ],
)
def test_refusals(keyword: str, value: object) -> None:
    """What the operator would refuse or misread is rejected by its name."""
    scope = chart()
    options: dict[str, Any] = {"target": model(scope), "labels": LABELS, keyword: value}
    with pytest.raises(VllmConstructsError, match=f"ModelMonitor.{keyword}"):
        ModelMonitor(scope, "monitor", **options)
    assert 3 == len(manifests(scope))
