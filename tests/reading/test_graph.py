"""The graph: the engines of manifests."""

from __future__ import annotations

from typing import Any

from vllm_constructs.reading.graph import Graph


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


def test_engines() -> None:
    """Engines are found by their object."""
    graph = Graph([deployment("a"), named("Service", "s")])
    first, service = graph.manifests
    assert ["a"] == [one.manifest.name for one in graph.engines_of(first)]
    assert graph.pods == graph.pods_of(first)
    assert ([], []) == (graph.engines_of(service), graph.pods_of(service))


def counted(kind: str, spec: dict[str, Any], *others: dict[str, Any]) -> list[object]:
    """The pods of each template of an object."""
    body = {"kind": kind, "metadata": {"name": "a"}, "spec": {"selector": {}, **spec}}
    body["apiVersion"] = {
        "Pod": "v1",
        "LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1",
        "RoleSet": "orchestration.aibrix.ai/v1alpha1",
        "StormService": "orchestration.aibrix.ai/v1alpha1",
        "InferenceService": "serving.kserve.io/v1beta1",
    }.get(kind, "apps/v1")
    graph = Graph([body, *others])
    return [graph.pod_counts(pod) for pod in graph.pods_of(graph.manifests[0])]


def test_pod_counts() -> None:
    """Pods are counted by replicas, groups and roles, and by scalers."""
    pod = {"spec": {"containers": [{"name": "x", "image": "x:1"}]}}
    groups = {"size": 3, "workerTemplate": pod}
    roles = [{"replicas": 2, "template": pod}, {"template": pod}]
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "a"}, "maxReplicas": 5},
    }
    assert [(2, 2)] == counted("Deployment", {"replicas": 2, "template": pod})
    assert [(1, 5)] == counted("Deployment", {"template": pod}, scaler)
    assert [(1, 1)] == counted("Pod", pod["spec"])
    assert [(6, 6)] == counted("LeaderWorkerSet", {"replicas": 2, "leaderWorkerTemplate": groups})
    with_leader = {**groups, "leaderTemplate": pod}
    assert [(1, 1), (2, 2)] == counted("LeaderWorkerSet", {"leaderWorkerTemplate": with_leader})
    assert [(2, 2), (1, 1)] == counted("RoleSet", {"roles": roles})
    storm = {"replicas": 3, "template": {"spec": {"roles": roles}}}
    assert [(6, 6), (3, 3)] == counted("StormService", storm)
    assert [None] == counted("DaemonSet", {"template": pod})
    assert [None] == counted("InferenceService", {"predictor": pod["spec"]})
