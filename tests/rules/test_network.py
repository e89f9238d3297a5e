"""N01 and N07: variables of service links, and monitors that nobody selects."""

from __future__ import annotations

import pytest

from tests.rules.findings import found, ids, sentences
from tests.rules.network_samples import IMAGE, deployment, only, place, right, service
from vllm_constructs.kube import names

STOPPING = sorted(names._SERVICES_THAT_STOP_VLLM)
OFF = "enableServiceLinks: false"


@pytest.mark.parametrize("name", STOPPING)
def test_stopped(name: str) -> None:
    """A Service whose variable vLLM reads, and a pod that gets it."""
    finding = only(service(name) + deployment(), "N01")

    assert "error" == finding.level
    assert "Deployment spec.template.spec.enableServiceLinks" == place(finding)
    assert f"{name.upper().replace('-', '_')}_PORT" in finding.problem.sentence()
    assert right(finding) is False
    assert finding.fix is not None
    assert finding.fix.is_safe


@pytest.mark.parametrize("pod", ["enableServiceLinks: true", "enableServiceLinks: null", ""])
def test_on(pod: str) -> None:
    """Service links are on by default, and where they are said to be."""
    finding = only(service() + deployment(pod=pod), "N01")

    assert "warning" == finding.level
    assert "Deployment spec.template.spec.enableServiceLinks" == place(finding)
    assert ["error"] == [one.level for one in found(service("vllm") + deployment(pod=pod), "N01")]


def other(kind: str, template: str) -> str:
    """An engine in an object of another kind."""
    version = {"Pod": "v1", "StatefulSet": "apps/v1", "Job": "batch/v1"}.get(
        kind, "leaderworkerset.x-k8s.io/v1"
    )
    return f"""
apiVersion: {version}
kind: {kind}
metadata: {{name: qwen}}
spec: {template}
---
"""


POD = f"{{containers: [{{name: vllm, image: {IMAGE}, args: [a/b]}}]}}"


@pytest.mark.parametrize(
    ("kind", "template", "path"),
    [
        ("Pod", POD, "spec"),
        ("StatefulSet", f"{{selector: {{}}, template: {{spec: {POD}}}}}", "spec.template.spec"),
        ("Job", f"{{template: {{spec: {POD}}}}}", "spec.template.spec"),
        (
            "LeaderWorkerSet",
            f"{{leaderWorkerTemplate: {{workerTemplate: {{spec: {POD}}}}}}}",
            "spec.leaderWorkerTemplate.workerTemplate.spec",
        ),
    ],
)
def test_kinds(kind: str, template: str, path: str) -> None:
    """Pods of all kinds of objects get the variables."""
    finding = only(service("vllm") + other(kind, template), "N01")

    assert f"{kind} {path}.enableServiceLinks" == place(finding)


@pytest.mark.parametrize("name", STOPPING)
def test_name_alone(name: str) -> None:
    """Pods elsewhere may have service links, so the name is a warning without them."""
    for manifests in (service(name), service(name) + deployment(pod=OFF)):
        finding = only(manifests, "N01")
        assert "warning" == finding.level
        assert "Service metadata.name" == place(finding)
        assert f"'{name}-server'" in finding.problem.sentence()


@pytest.mark.parametrize(
    "manifests",
    [
        service("vllm-server") + deployment(pod=OFF),
        service("vllm", more="clusterIP: None") + deployment(pod=OFF),
        service("vllm", more="type: ExternalName, externalName: a.example.com"),
        service("vllm").replace("v1", "serving.knative.dev/v1"),
        service("vllm-router") + deployment(pod=OFF, args="[a/b, --fail-on-environ-validation]"),
        # What reads the variables needs them.
        service() + deployment(args='["$(MODEL_SERVICE_HOST)/model"]'),
    ],
)
def test_harmless(manifests: str) -> None:
    """Services without addresses, other names and pods without service links are quiet."""
    assert [] == sentences(manifests, "N01")


@pytest.mark.parametrize(
    "manifests",
    [
        service("vllm", more="clusterIP: None") + deployment(),
        service("vllm-server") + deployment(),
        # Variables of the container's own are stronger.
        service("vllm") + deployment(container="env: [{name: VLLM_PORT, value: '29500'}]"),
        # This release reads no such variable.
        service("vllm-p2p-side-channel") + deployment().replace("v0.33.0", "v0.12.0"),
        service("vllm").replace("name: vllm}", "name: vllm, namespace: other}") + deployment(),
    ],
)
def test_no_error(manifests: str) -> None:
    """The pod is not stopped, though its service links are on."""
    levels = {one.level for one in found(manifests, "N01")}

    assert {"warning"} == levels


def test_strict() -> None:
    """With `--fail-on-environ-validation`, unknown variables stop vLLM, too."""
    strict = deployment(args="[a/b, --fail-on-environ-validation]")
    finding = only(service("vllm-router") + strict, "N01")

    assert "error" == finding.level
    assert "VLLM_ROUTER_PORT" in finding.problem.sentence()
    assert "warning" == only(service("qwen") + strict, "N01").level


def test_partial() -> None:
    """What an operator completes may have them off, and the Service's name is told."""
    kserve = f"""
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: qwen}}
spec: {{predictor: {POD}}}
---
"""
    assert [] == sentences(kserve, "N01")
    assert "Service metadata.name" == place(only(service("vllm") + kserve, "N01"))


def test_each_pod_once() -> None:
    """Each pod is told once, however many Services there are."""
    many = "".join(service(name) for name in STOPPING)

    assert 2 == len(found(many + deployment() + deployment(name="b"), "N01"))


def monitor(
    labels: str = "{}", kind: str = "ServiceMonitor", selector: str = "{matchLabels: {app: qwen}}"
) -> str:
    """A monitor."""
    return f"""
apiVersion: monitoring.coreos.com/v1
kind: {kind}
metadata: {{name: monitor, labels: {labels}}}
spec: {{selector: {selector}, endpoints: [{{port: http}}]}}
---
"""


RULES = """
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: alerts, labels: {app: qwen}}
spec: {groups: [{name: a, rules: [{alert: B, expr: 'vllm:num_requests_waiting > 1'}]}]}
---
"""
LABELLED = service().replace("name: qwen}", "name: qwen, labels: {app: qwen}}") + deployment()


@pytest.mark.parametrize(
    "labels",
    [
        "{}",
        "null",
        "{app: qwen}",
        "{app.kubernetes.io/name: vllm, helm.sh/chart: vllm-1.0.0, heritage: Helm}",
    ],
)
@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_unselected(labels: str, kind: str) -> None:
    """Without the label of the release, and with labels that only describe."""
    finding = only(LABELLED + monitor(labels, kind), "N07")

    assert "warning" == finding.level
    assert f"{kind} metadata.labels" == place(finding)
    assert "release" in finding.problem.sentence()
    assert f"{kind[0].lower()}{kind[1:]}SelectorNil" in finding.problem.sentence()


def test_rule() -> None:
    """Rules are selected like monitors."""
    finding = only(RULES, "N07")

    assert "PrometheusRule metadata.labels" == place(finding)
    assert "ruleSelectorNilUsesHelmValues" in finding.problem.sentence()


def test_alone() -> None:
    """A monitor whose Service is elsewhere counts if it names vLLM."""
    assert ["N07"] == ids(monitor(selector="{matchLabels: {app: vllm}}"), "N07")
    assert [] == ids(monitor(), "N07")


VALUES = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: monitoring}
spec: {values: {prometheus: {prometheusSpec: {podMonitorSelectorNilUsesHelmValues: false}}}}
---
"""
OPENSHIFT = """
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: qwen}
spec: {to: {kind: Service, name: qwen}}
---
"""


@pytest.mark.parametrize(
    "manifests",
    [
        LABELLED + monitor("{release: kube-prometheus-stack}"),
        LABELLED + monitor("{prometheus: main}"),
        LABELLED + monitor("{team: ml}", "PodMonitor"),
        LABELLED + monitor("{app: kube-prometheus-stack}"),
        LABELLED + monitor() + VALUES,
        LABELLED + monitor() + OPENSHIFT,
        RULES.replace("vllm:num_requests_waiting", "up"),
        # Another app's monitor.
        (LABELLED + monitor()).replace(IMAGE, "nginx:1.29"),
        monitor(selector="{matchLabels: {app: web}}"),
        (LABELLED + monitor()).replace("monitoring.coreos.com", "operator.victoriametrics.com"),
    ],
)
def test_selected(manifests: str) -> None:
    """A label that somebody may select by, and what settles it elsewhere, is quiet."""
    assert [] == sentences(manifests, "N07")


def prometheus(selector: str) -> str:
    """A Prometheus of the operator."""
    return f"""
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {{name: main, namespace: monitoring}}
spec: {{serviceMonitorSelector: {selector}}}
---
"""


@pytest.mark.parametrize(
    ("labels", "selector"),
    [
        ("{}", "{}"),
        ("{app: qwen}", "{matchLabels: {app: qwen}}"),
        ("{team: ml}", "{matchExpressions: [{key: team, operator: Exists}]}"),
    ],
)
def test_own_prometheus(labels: str, selector: str) -> None:
    """The selectors of a Prometheus in the manifests decide."""
    assert [] == sentences(LABELLED + monitor(labels) + prometheus(selector), "N07")


def test_other_release() -> None:
    """A label of another release than that of the Prometheus in the manifests does not help."""
    own = prometheus("{matchLabels: {release: main}}")
    finding = only(LABELLED + monitor("{release: kube-prometheus-stack}") + own, "N07")

    assert "Prometheus monitoring/main" in finding.problem.sentence()
    assert {"release": "main"} == right(finding)
    assert ["N07"] == ids(LABELLED + monitor() + prometheus("null"), "N07")


@pytest.mark.parametrize("value", [None, [], "x", 5, {"matchLabels": [], "matchExpressions": 3}])
def test_garbage(value: object) -> None:
    """Nothing raises, whatever the fields are."""
    monitors = [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": kind,
            "metadata": {"labels": value, "name": value},
            "spec": {"selector": value, "groups": value, "serviceMonitorSelector": value},
        }
        for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule", "Prometheus")
    ]
    services = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "vllm"}, "spec": value}
    ]

    for found_in in (monitors[:3], monitors, services):
        assert {"N01", "N07"} >= set(ids(found_in, "N01", "N07"))
