"""Objects: how manifests refer to each other."""

from __future__ import annotations

from typing import Any

from vllm_constructs.reading.manifest import Manifest
from vllm_constructs.reading.objects import Objects, scaler_range


def named(kind: str, name: str, namespace: str = "llm", **body: Any) -> dict[str, Any]:
    """An object; without a namespace if that is empty."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **body}


def deployment(name: str, namespace: str = "llm", replicas: int | None = None) -> dict[str, Any]:
    """A Deployment whose pods have its name as a label."""
    container = {"name": "vllm", "image": "vllm/vllm-openai:v0.33.0", "args": ["m"]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"template": template} | ({} if replicas is None else {"replicas": replicas})
    return named("Deployment", name, namespace, spec=spec) | {"apiVersion": "apps/v1"}


def scaler(kind: str, target: str, **spec: Any) -> dict[str, Any]:
    """A scaler of a Deployment."""
    return named(kind, f"{target}-scaler", spec={"scaleTargetRef": {"name": target}, **spec})


def test_find() -> None:
    """An object is found by kind, namespace and name; one without a namespace is in any."""
    graph = Objects([named("Service", "a", "x"), named("Service", "a", ""), named("Service", "b")])
    first, second, third = graph.manifests
    assert first is graph.find("Service", "x", "a")
    assert second is graph.find("Service", "y", "a")
    assert first is graph.find("Service", "", "a")
    assert third is graph.find("Service", "llm", "b")
    assert graph.find("Service", "x", "b") is None
    assert graph.find("Pod", "x", "a") is None


def test_services() -> None:
    """Services and pods find each other by labels, in one namespace."""
    graph = Objects(
        [
            deployment("a"),
            deployment("a", "other"),
            named("Service", "s", spec={"selector": {"app": "a"}}),
            named("Service", "none"),
        ]
    )
    pod, other = graph.pods
    service, empty = graph.of("Service")
    assert [pod] == graph.pods_behind(service)
    assert [] == graph.pods_behind(empty)
    assert [service] == graph.services_of(pod)
    assert [] == graph.services_of(other)


def test_selected() -> None:
    """An empty selector selects all pods of the namespace."""
    graph = Objects([deployment("a"), deployment("b"), deployment("c", "other")])
    assert graph.pods[:2] == graph.selected_pods("llm", {})
    assert graph.pods[1:2] == graph.selected_pods("llm", {"matchLabels": {"app": "b"}})
    assert [] == graph.selected_pods("llm", {"matchLabels": {"app": "z"}})


def test_scalers() -> None:
    """Scalers and their targets find each other, and the scaler's range counts."""
    hpa = scaler("HorizontalPodAutoscaler", "a", minReplicas=2, maxReplicas=5)
    graph = Objects([deployment("a", replicas=9), deployment("b", replicas=3), hpa])
    first, second, found = graph.manifests
    assert [found] == graph.scalers_of(first)
    assert [] == graph.scalers_of(second)
    assert first is graph.target_of(found)
    assert ((2, 5), (3, 3)) == (graph.replicas(first), graph.replicas(second))


def test_range() -> None:
    """Each kind of scaler has its own defaults."""
    assert (0, 100) == scaler_range(Manifest(scaler("ScaledObject", "a")))
    assert (1, 1) == scaler_range(Manifest(scaler("HorizontalPodAutoscaler", "a")))
    assert (1, 1) == scaler_range(Manifest({"kind": "HorizontalPodAutoscaler", "spec": []}))


def test_patched() -> None:
    """What a patch among the manifests changes is not whole; other objects are."""
    spec = {"template": {"spec": {"containers": [{"name": "a"}]}}}

    def made(name: str, namespace: str = "", *, is_patch: bool = False) -> dict[str, Any]:
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        own = spec if is_patch else {**spec, "selector": {"matchLabels": {"a": "b"}}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": own}

    patch = made("a", is_patch=True)
    graph = Objects([made("a"), made("a", "llm"), made("b"), patch])
    assert [False, False, True, False] == [one.is_whole for one in graph.pods]
    elsewhere = made("a", "other", is_patch=True)
    assert [True, False] == [one.is_whole for one in Objects([made("a", "llm"), elsewhere]).pods]
