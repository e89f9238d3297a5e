"""Objects of both sides, paired as the API server would."""

from typing import Any

from vllm_constructs.reading.graph import Graph
from vllm_constructs.upgrade.objects import pairs, unnamed


def one(kind: str = "ConfigMap", api: str = "v1", **metadata: Any) -> dict[str, Any]:
    """An object."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "a", **metadata}}


def titles(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The titles of both sides of each pair; `-` for none."""
    found = pairs(Graph(old), Graph(new))
    return [
        (pair.old.title if pair.old else "-", pair.new.title if pair.new else "-") for pair in found
    ]


def test_same() -> None:
    """The version of the API, the order and what is in an object do not matter."""
    old = [one(), one("Deployment", "apps/v1beta1", namespace="x")]
    new = [one("Deployment", "apps/v1", namespace="x"), {**one(), "data": {"a": "b"}}]

    assert [("Deployment x/a", "Deployment x/a"), ("ConfigMap a", "ConfigMap a")] == titles(
        old, new
    )


def test_moved() -> None:
    """A kind that has moved to another group is the same in the cluster."""
    old = [one("Ingress", "extensions/v1beta1")]

    assert [("Ingress a", "Ingress a")] == titles(old, [one("Ingress", "networking.k8s.io/v1")])
    assert 2 == len(titles([one("Service")], [one("Service", "serving.knative.dev/v1")]))


def test_namespace() -> None:
    """An object without a namespace is the only one of its name."""
    assert [("ConfigMap a", "ConfigMap x/a")] == titles([one()], [one(namespace="x")])
    assert [("ConfigMap x/a", "ConfigMap a")] == titles([one(namespace="x")], [one()])
    apart = [("-", "ConfigMap y/a"), ("ConfigMap x/a", "-")]
    assert apart == titles([one(namespace="x")], [one(namespace="y")])
    # Which of the two it is, nobody knows.
    assert 3 == len(titles([one(namespace="x"), one(namespace="y")], [one()]))


def test_global() -> None:
    """A namespace of an object that has none means nothing."""
    api = "storage.k8s.io/v1"
    old, new = one("StorageClass", api, namespace="x"), one("StorageClass", api, namespace="y")

    assert [("StorageClass x/a", "StorageClass y/a")] == titles([old], [new])


def test_twice() -> None:
    """Of an object that is there twice, the last one counts."""
    found = pairs(Graph([one(labels={"a": "1"}), one(labels={"a": "2"})]), Graph([one()]))

    assert [{"a": "2"}] == [pair.old.labels for pair in found if pair.old]


def test_unnamed() -> None:
    """Objects without a kind or name are not compared."""
    graph = Graph([{"a": 1}, one(), {"kind": "Job", "metadata": {"generateName": "a-"}}])

    assert 2 == len(unnamed(graph))
    assert 1 == len(pairs(graph, Graph([])))
