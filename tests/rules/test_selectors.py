"""The rule of selectors: R06."""

from __future__ import annotations

from typing import Any

import pytest

from .builders import (
    IMAGE,
    Manifest,
    budget,
    engine,
    group,
    made,
    service,
    workload,
)
from .findings import found, ids, sentences

CODER = workload("coder", engine("Qwen/Qwen2.5-Coder-7B-Instruct"))
MONITORING = "monitoring.coreos.com/v1"
POOL = "inference.networking.k8s.io/v1"
VLLM = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"


def labels(**own: Any) -> dict[str, Any]:
    """A LabelSelector."""
    return {"matchLabels": own}


def policy(selector: Any, name: str = "qwen") -> Manifest:
    """A NetworkPolicy."""
    return made("NetworkPolicy", name, {"podSelector": selector}, api="networking.k8s.io/v1")


def monitor(
    selector: Any, name: str = "qwen", *, kind: str = "ServiceMonitor", **spec: Any
) -> Manifest:
    """A ServiceMonitor or PodMonitor."""
    field = "endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints"
    found = {"selector": selector, field: [{"port": "http"}], **spec}
    return made(kind, name, found, api=MONITORING)


def pool(selector: Any, name: str = "qwen") -> Manifest:
    """An InferencePool."""
    spec = {"selector": selector, "targetPorts": [{"number": 8000}]}
    return made("InferencePool", name, spec, api=POOL)


@pytest.mark.parametrize(
    ("objects", "kind", "says"),
    [
        # A misspelling, or another spelling.
        ([workload("vllm-server"), service("x", {"app": "vllm-sever"})], "Service", "vllm-server"),
        (
            [workload("vllm-server"), service("x", {"app": "vllm_server"})],
            "Service",
            "'vllm-server'",
        ),
        ([workload("vllm-server"), service("x", {"app": "vllm"})], "Service", "'vllm-server'"),
        (
            [workload(labels={VLLM: "qwen"}), service("x", {"app": "qwen"})],
            "Service",
            "have no such label",
        ),
        # The names belong together.
        (
            [
                workload("rel-deployment-vllm", labels={"environment": "test", "release": "test"}),
                service("rel-service", {"environment": "dev", "release": "mine"}),
            ],
            "Service",
            "environment: 'dev', and the pods of Deployment llm/rel-deployment-vllm have 'test'",
        ),
        ([workload(), budget("qwen-pdb", labels(app="llm"))], "PodDisruptionBudget", "'qwen'"),
        ([workload(), policy(labels(app="llm"))], "NetworkPolicy", "podSelector selects no pod"),
        ([workload(), monitor(labels(app="llm"), kind="PodMonitor")], "PodMonitor", "'qwen'"),
        ([workload(), pool(labels(app="llm"))], "InferencePool", "'qwen'"),
        ([workload(), pool({"app": "llm"})], "InferencePool", "'qwen'"),
        # The labels that pods lack, beside some that they have.
        (
            [
                workload("r-llama-deployment-vllm", labels={"model": "llama"}),
                budget("r-llama-pdb-vllm", labels(**{"model": "llama", INSTANCE: "r"})),
            ],
            "PodDisruptionBudget",
            "have no such label",
        ),
        # The only engine, whose port it has.
        ([workload(), service("api", {"app": "llm"})], "Service", "'qwen'"),
        (
            [workload(), service("api", {"app": "llm"}, {"port": 80, "targetPort": 8000})],
            "Service",
            "",
        ),
        ([workload(), budget("b", labels(app="llm"))], "PodDisruptionBudget", "'qwen'"),
        (
            [
                workload(),
                budget(
                    "b", {"matchExpressions": [{"key": "app", "operator": "In", "values": ["llm"]}]}
                ),
            ],
            "PodDisruptionBudget",
            "'qwen'",
        ),
        ([workload(kind="StatefulSet"), service("api", {"app": "llm"})], "Service", "StatefulSet"),
        ([group(), service("qwen-api", {"app": "gwen"})], "Service", "LeaderWorkerSet"),
    ],
)
def test_nothing(objects: list[Manifest], kind: str, says: str) -> None:
    """A selector of nothing, where it is plain what was meant."""
    [one] = found(objects, "R06")

    assert kind == one.manifest.kind
    assert "selects no pod" in one.problem.sentence()
    assert says in one.problem.sentence()


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        (labels(app="gwen"), "Service llm/qwen has 'qwen'"),
        (labels(app="other"), "Service llm/qwen has 'qwen'"),
        (labels(tier="serving"), "these are labels of the pods behind Service llm/qwen"),
    ],
)
def test_monitor(selector: Any, says: str) -> None:
    """A ServiceMonitor selects Services by their own labels."""
    objects = [workload(labels={"app": "qwen", "tier": "serving"}), service()]
    name = "all" if "tier" in str(selector) else "qwen"
    [one] = found([*objects, monitor(selector, name)], "R06")

    assert says in one.problem.sentence()


ROUTER = workload(
    "router", {"name": "router", "image": "router:1", "ports": [{"containerPort": 8001}]}
)


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([service()], "no pods at all"),
        ([budget(), policy(labels(app="qwen")), pool(labels(app="qwen"))], "no pods at all"),
        ([workload(), service(), budget(), policy(labels(app="qwen"))], "right"),
        ([workload(), service(), service("redis", {"app": "redis"})], "of other manifests"),
        ([workload(), service(), service("qwen-router", {"app": "qwen-router"})], "of others"),
        ([workload(), service(), policy(labels(app="prometheus"), "prometheus")], "of others"),
        ([workload(), service("db", {"app": "db"}, {"port": 5432})], "another port"),
        ([ROUTER, workload(), service(), service("router")], "a router"),
        ([workload(), service(), budget("redis", labels(app="redis")), budget()], "of others"),
        ([workload(), service("epp", {"inferencepool": "qwen-epp"}, {"port": 9002})], "a picker"),
        ([workload("qwen-1"), service("qwen-2"), service("qwen-1")], "another model's"),
        ([workload(), service("x", {"app": "${NAME}"})], "a placeholder"),
        ([workload(), service("x", {"app": "{{ .Values.name }}"})], "a placeholder"),
        (
            [workload(), service("qwen", {"serving.kserve.io/inferenceservice": "qwen"})],
            "a label that an operator adds",
        ),
        (
            [
                workload(kind="StatefulSet"),
                service("qwen-0", {"statefulset.kubernetes.io/pod-name": "qwen-0"}),
            ],
            "a label that the StatefulSet adds",
        ),
        (
            [
                group(),
                service("qwen-leader", {"leaderworkerset.sigs.k8s.io/worker-index": "0"}),
            ],
            "a label that the LeaderWorkerSet adds",
        ),
        ([workload(), service("x", {"app": "x"}, type="ExternalName")], "no endpoints"),
        (
            [workload(), made("Service", "qwen", {"template": {}}, api="serving.knative.dev/v1")],
            "a Service of Knative",
        ),
        ([workload(), service(), monitor(labels(app="dcgm-exporter"), "dcgm")], "of others"),
        (
            [
                workload(),
                service(),
                monitor(labels(app="qwen"), namespaceSelector={"matchNames": ["other"]}),
            ],
            "of another namespace, which is not here",
        ),
        ([workload(), monitor({}), monitor(labels())], "all Services"),
        (
            [
                made(
                    "LLMInferenceService",
                    "qwen",
                    {"template": {"containers": [engine()]}},
                    api="serving.kserve.io/v1alpha1",
                ),
                service("qwen", {"kserve.io/component": "workload"}),
            ],
            "pods of an operator, whose labels are not here",
        ),
        (
            [
                workload("a"),
                workload("b"),
                budget("a"),
                budget("b"),
                budget("c", labels(app="c")),
            ],
            "a third workload of other manifests",
        ),
    ],
)
def test_elsewhere(objects: list[Manifest], why: str) -> None:
    """Selectors that are right, or whose pods may be elsewhere."""
    assert [] == sentences(objects, "R06"), why


@pytest.mark.parametrize(
    ("kind", "selector", "says"),
    [
        ("Deployment", labels(app="other"), "wants app: 'other', and the template has 'qwen'"),
        ("StatefulSet", labels(app="qwen", tier="x"), "the template has no such label"),
        ("DaemonSet", {}, "is empty"),
        ("Deployment", {"matchLabels": {}}, "is empty"),
        (
            "Deployment",
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["qwen"]}]},
            "does not select the template's own labels",
        ),
    ],
)
def test_own(kind: str, selector: Any, says: str) -> None:
    """A workload that does not select its own template, which the API server refuses."""
    [one] = found([workload(kind=kind, selector=selector)], "R06")

    assert says in one.problem.sentence()
    assert "API server rejects" in one.problem.sentence()


def test_no_selector_of_own() -> None:
    """A patch has no selector; the schema says so where there has to be one."""
    patch = workload()
    del patch["spec"]["selector"]

    assert [] == ids([patch], "R06")


def spread(selector: Any) -> Manifest:
    """A Deployment with a spread over nodes."""
    one = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
    return workload(pod={"topologySpreadConstraints": [one]})


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([spread(labels(app="other"))], "selects no pod"),
        ([spread(labels(app="coder")), CODER], "selects those of Deployment llm/coder"),
        ([spread(None)], "is left out"),
    ],
)
def test_spread(objects: list[Manifest], says: str) -> None:
    """A spread over pods of another kind."""
    [one] = found(objects, "R06")

    assert says in one.problem.sentence()
    assert "labelSelector" == one.path[-1]


@pytest.mark.parametrize(
    "selector", [labels(app="qwen"), labels(tier="batch"), {}, labels(app="other", tier="batch")]
)
def test_spread_right(selector: Any) -> None:
    """A spread over its own pods, or apart from others by labels that it does not have."""
    assert [] == sentences([spread(selector)], "R06")


def apart(*, kind: str = "podAntiAffinity", required: bool = True, **own: str) -> Manifest:
    """A Deployment with an affinity term."""
    term = {"labelSelector": labels(**own), "topologyKey": "kubernetes.io/hostname"}
    given: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    if not required:
        one = {"weight": 100, "podAffinityTerm": term}
        given = {"preferredDuringSchedulingIgnoredDuringExecution": [one]}
    return workload("vllm-server", pod={"affinity": {kind: given}})


def test_affinity() -> None:
    """A term with labels that are nearly those of the pod, and that no pod has."""
    assert "which no pod of the manifests has" in sentences([apart(app="vllm-sever")], "R06")[0]
    assert ["R06"] == ids([apart(required=False, app="vllm")], "R06")
    assert ["R06"] == ids([apart(kind="podAffinity", app="vllm_server")], "R06")


def test_affinity_right() -> None:
    """Its own pods, others, and others that are elsewhere."""
    for one in (apart(app="vllm-server"), apart(app="redis"), apart(tier="batch")):
        assert [] == sentences([one], "R06")
    other = workload("vllm", {"name": "x", "image": IMAGE, "command": ["sleep"]})
    assert [] == sentences([apart(app="vllm"), other], "R06")


def test_fix() -> None:
    """The labels of what was meant are shown, not put in."""
    [one] = found([workload("vllm-server"), service("x", {"app": "vllm-sever"})], "R06")

    assert one.fix
    assert not one.fix.is_safe
    assert [("spec", "selector", "app")] == [edit.path for edit in one.fix.edits]
    assert ["vllm-server"] == [edit.value for edit in one.fix.edits]
