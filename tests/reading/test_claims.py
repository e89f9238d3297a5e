"""Device claims of pods, and what they request."""

from __future__ import annotations

from typing import Any

from vllm_constructs.reading.claims import claims_of, device_requests
from vllm_constructs.reading.graph import Graph


def claim(kind: str, name: str, *requests: Any) -> dict[str, Any]:
    """A claim, or a template of claims."""
    spec: dict[str, Any] = {"devices": {"requests": list(requests)}}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "llm"},
        "spec": spec if kind == "ResourceClaim" else {"spec": spec},
    }


def pod(claims: Any, used: Any) -> dict[str, Any]:
    """A pod with claims, and a container that uses some."""
    container = {"name": "vllm", "image": "a:1", "resources": {"claims": used}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "q", "namespace": "llm"},
        "spec": {"containers": [container], "resourceClaims": claims},
    }


def classes(*objects: dict[str, Any]) -> list[str]:
    """The device classes of what the container of the first object gets."""
    graph = Graph(objects)
    one = graph.pods[0]
    return [each.device_class for each in device_requests(graph, one, one.containers[0][1])]


EXACT = {"name": "gpu", "exactly": {"deviceClassName": "a"}}
NIC = {"name": "nic", "exactly": {"deviceClassName": "b"}}


def test_names() -> None:
    """Claims and templates, each by the name that the pod gives it."""
    given = [
        {"name": "x", "resourceClaimName": "one"},
        {"name": "y", "resourceClaimTemplateName": "two"},
        {"name": "z", "resourceClaimName": "absent"},
        {"name": "e", "resourceClaimName": ""},
        None,
    ]
    graph = Graph(
        [pod(given, []), claim("ResourceClaim", "one"), claim("ResourceClaimTemplate", "two")]
    )
    found = claims_of(graph, graph.pods[0])
    assert {"x": "ResourceClaim", "y": "ResourceClaimTemplate"} == {
        name: one.kind for name, one in found.items()
    }


def test_requests() -> None:
    """What a container uses, and no other requests."""
    listed = [{"name": "x", "resourceClaimTemplateName": "two"}]
    both = claim("ResourceClaimTemplate", "two", EXACT, NIC, None)
    assert ["a", "b"] == classes(pod(listed, [{"name": "x"}]), both)
    assert ["b"] == classes(pod(listed, [{"name": "x", "request": "nic"}]), both)
    assert ["b"] == classes(pod(listed, [{"name": "x", "request": "nic/first"}]), both)
    assert [] == classes(pod(listed, [{"name": "other"}]), both)
    assert [] == classes(pod(listed, []), both)
    assert [] == classes(pod(listed, [{"name": "x"}]))


def test_forms() -> None:
    """Alternatives, the flat form of v1beta1, and requests of other types."""
    listed = [{"name": "x", "resourceClaimName": "one"}]
    first = {"name": "gpu", "firstAvailable": [{"deviceClassName": "c"}, {"deviceClassName": "d"}]}
    flat = {"name": "gpu", "deviceClassName": "e"}
    odd = {"name": "gpu", "exactly": 5}
    made = claim("ResourceClaim", "one", first, flat, odd)
    assert ["c", "d", "e", ""] == classes(pod(listed, [{"name": "x"}]), made)
