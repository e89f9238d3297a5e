"""What an object names."""

from typing import Any

import pytest

from tests.cluster.kinds import SAMPLES
from vllm_constructs.reading.graph import Graph
from vllm_constructs.upgrade.references import references, referring


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (
            "Deployment",
            {
                ("ConfigMap", "settings"),
                ("PersistentVolumeClaim", "weights"),
                ("Secret", "key"),
                ("ServiceAccount", "qwen"),
            },
        ),
        ("Ingress", {("IngressClass", "nginx"), ("Secret", "tls"), ("Service", "qwen")}),
        ("HTTPRoute", {("Gateway", "edge"), ("Service", "qwen")}),
        ("ScaledObject", {("Deployment", "qwen")}),
        ("RoleBinding", {("Role", "x")}),
        ("PersistentVolumeClaim", {("StorageClass", "bed")}),
        ("ConfigMap", set()),
    ],
)
def test_references(title: str, expected: set[tuple[str, str]]) -> None:
    """Pods, routes, scalers and bindings name others."""
    assert expected == set(references(SAMPLES[title]))


def test_optional() -> None:
    """What is optional is not needed."""
    env = {"secretKeyRef": {"name": "a", "key": "b", "optional": True}}
    volume = {"secret": {"secretName": "a", "optional": True}}

    assert [] == list(references({"env": [env], "volumes": [volume]}))


def test_kinds() -> None:
    """A reference may say its kind."""
    pool = {"backendRefs": [{"kind": "InferencePool", "name": "a"}, {"name": "b"}]}

    assert [("InferencePool", "a"), ("Service", "b")] == list(references(pool))


@pytest.mark.parametrize("value", [None, 1, "a", {"secret": 1}, {"backendRefs": [1, {"name": 2}]}])
def test_malformed(value: Any) -> None:
    """What is malformed names nothing."""
    assert [] == list(references(value))


def test_deep() -> None:
    """A value that has itself in it ends."""
    value: dict[str, Any] = {"claimName": "a"}
    value["more"] = value

    assert {("PersistentVolumeClaim", "a")} == set(references(value))


def test_referring() -> None:
    """Who names something, each once."""
    found = referring(Graph([SAMPLES["Deployment"], SAMPLES["Ingress"]]))

    assert ["Deployment"] == [one.kind for one in found["ConfigMap", "settings"]]
    assert ["Ingress"] == [one.kind for one in found["Service", "qwen"]]
