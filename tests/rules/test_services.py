"""Services that select the pods of others, or none at all: the other half of R06."""

from __future__ import annotations

from typing import Any

import pytest

from .builders import MODEL, Manifest, budget, engine, made, service, workload
from .findings import found, ids, sentences

CODER = workload("coder", engine("Qwen/Qwen2.5-Coder-7B-Instruct"))
INSTANCE = "app.kubernetes.io/instance"


def labels(**own: Any) -> dict[str, Any]:
    """A LabelSelector."""
    return {"matchLabels": own}


def policy(selector: Any) -> Manifest:
    """A NetworkPolicy."""
    return made("NetworkPolicy", "qwen", {"podSelector": selector}, api="networking.k8s.io/v1")


def pool(selector: Any) -> Manifest:
    """An InferencePool."""
    api = "inference.networking.k8s.io/v1"
    return made("InferencePool", "qwen", {"selector": selector}, api=api)


def exposed(name: str) -> Manifest:
    """An Ingress to a Service."""
    path = {"path": "/", "backend": {"service": {"name": name, "port": {"number": 8000}}}}
    spec = {"rules": [{"http": {"paths": [path]}}]}
    return made("Ingress", name, spec, api="networking.k8s.io/v1")


def tiered(name: str, *args: str, **fields: Any) -> Manifest:
    """A Deployment with a label that others have, too."""
    return workload(name, engine(*args), labels={"app": name, "tier": "llm"}, **fields)


CHAT, CODE = tiered("qwen", MODEL), tiered("coder", "Qwen/Qwen2.5-Coder-7B-Instruct")
ALL = {"tier": "llm"}
MONITOR = made("ServiceMonitor", "llm", {"selector": labels(app="llm")})


@pytest.mark.parametrize(
    ("objects", "level"),
    [
        ([CHAT, CODE, service("llm", ALL), exposed("llm")], "error"),
        ([CHAT, CODE, service("llm", ALL, type="LoadBalancer")], "error"),
        ([CHAT, CODE, service("llm", ALL)], "warning"),
        ([CHAT, CODE, service("llm", ALL), MONITOR, exposed("llm")], "error"),
        ([CHAT, CODE, pool(labels(**ALL))], "error"),
        ([CHAT, tiered("b", MODEL, "--served-model-name", "b"), pool(labels(**ALL))], "error"),
    ],
)
def test_two_models(objects: list[Manifest], level: str) -> None:
    """A Service or pool of engines that serve different models."""
    [one] = found(objects, "R06")

    assert level == one.level
    assert "a request for one model that reaches the other" in one.problem.sentence()


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([CHAT, CODE, service("llm", ALL, clusterIP="None")], "clients choose the pod"),
        ([CHAT, CODE, service("llm-metrics", ALL)], "only metrics are read through it"),
        ([CHAT, CODE, service("llm", ALL, {"name": "metrics", "port": 8000})], "only metrics"),
        ([CHAT, CODE, service("llm", ALL), MONITOR], "only metrics, by a monitor"),
        ([CHAT, tiered("blue", MODEL), service("llm", ALL, type="NodePort")], "one model, twice"),
        ([CHAT, tiered("b", "--config", "/x.yaml"), service("llm", ALL)], "a name elsewhere"),
        ([CHAT, tiered("b", "$(MODEL)"), service("llm", ALL)], "a name elsewhere"),
        (
            [
                tiered("a", "x/a", "--served-model-name", "a", "llm"),
                tiered("b", "x/b", "--served-model-name", "llm"),
                service("llm", ALL, type="LoadBalancer"),
            ],
            "a name in common",
        ),
        ([CHAT, tiered("old", "x/old", replicas=0), service("llm", ALL)], "no pods of the other"),
        ([CHAT, CODE, budget("llm", labels(**ALL)), policy(labels(**ALL))], "for all models"),
    ],
)
def test_one_model(objects: list[Manifest], why: str) -> None:
    """Services of one model, or through which nobody asks for one."""
    assert [] == sentences(objects, "R06"), why


def test_another_model() -> None:
    """A Service with one model's name that selects another one, by name or by labels."""
    wrong = service("qwen", {"app": "coder"})
    other = service("llm", {"app": "coder"})
    other["metadata"]["labels"] = {"app": "qwen"}

    for one in (wrong, other):
        assert (
            "those of Deployment llm/qwen have no Service"
            in sentences([workload(), CODER, one], "R06")[0]
        )
    # An alias of a model that has a Service, and a router in front of one.
    assert [] == ids([workload(), CODER, service(), service("default", {"app": "coder"})], "R06")
    router = workload("router", {"name": "router", "image": "router:1"})
    assert [] == ids([workload(), router, service("qwen", {"app": "router"})], "R06")


def test_another_port() -> None:
    """A Service that also selects a user interface, which has another port."""
    shared = {INSTANCE: "chat"}
    llm = workload(labels={"app": "qwen", **shared})
    ports = [{"name": "web", "containerPort": 3000}]
    ui = {"name": "ui", "image": "ui:1", "ports": ports}
    bad = [llm, workload("ui", ui, labels={"app": "ui", **shared})]
    number = {"name": "http", "port": 80, "targetPort": 8000}

    [one] = found([*bad, service("chat", shared, number)], "R06")
    assert "also selects the pods of Deployment llm/ui" in one.problem.sentence()
    # Kubernetes leaves pods out that lack a named port.
    assert [] == ids([*bad, service("chat", shared)], "R06")
    quiet = workload("ui", {"name": "ui", "image": "ui:1"}, labels={"app": "ui", **shared})
    assert [] == ids([llm, quiet, service("chat", shared, number)], "R06")


def test_without_selector() -> None:
    """A Service without a selector, beside the engine that it is for."""
    bare = service()
    del bare["spec"]["selector"]
    [one] = found([workload(), bare], "R06")

    assert ("spec", "selector") == one.path
    assert one.fix
    assert {"app": "qwen"} == one.fix.edits[0].value

    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "qwen"}}
    assert [] == ids([workload(), bare, endpoints], "R06")
    assert [] == ids([workload(), bare, service("api", {"app": "qwen"})], "R06")
    bare["metadata"] |= {"name": "outside", "labels": {}}
    assert [] == ids([workload(), bare], "R06")
