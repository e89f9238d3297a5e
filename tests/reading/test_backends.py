"""Backends: the paths of Ingresses and routes, and the engines behind them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from vllm_constructs.reading.backends import (
    backends_of,
    object_of,
    pods_of_backend,
    reaches,
    service_reaches,
)
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest

NGINX = "nginx.ingress.kubernetes.io"


def ingress(path: object, annotations: dict[str, Any] | None = None) -> Manifest:
    """An Ingress with one path."""
    service = {"name": "qwen", "port": {"number": 8000}}
    paths = [{"path": path, "pathType": "Prefix", "backend": {"service": service}}]
    return Manifest(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "a", "namespace": "llm", "annotations": annotations},
            "spec": {"rules": [{"http": {"paths": paths}}]},
        }
    )


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/", "/"),
        (None, "/"),
        ("", "/"),
        ("/v1", "/v1"),
        ("/v1/", "/v1"),
        ("/v1.0", "/v1.0"),
        ("/*", "/"),
        ("/v1/*", "/v1"),
        ("/.*", "/"),
        ("/(.*)", "/"),
        ("/?(.*)", "/"),
        ("/qwen(/|$)(.*)", "/qwen"),
        ("/qwen/(.+)", "/qwen"),
        ("/(v1|health)", None),
        ("/v[12]/chat", None),
        (5, None),
        ([], None),
    ],
)
def test_prefix(path: object, prefix: str | None) -> None:
    """What the paths begin with, as far as a pattern tells."""
    (found,) = backends_of(ingress(path))

    assert prefix == found.prefix
    assert ("spec", "rules", 0, "http", "paths", 0, "path") == found.path
    assert ("Service", "llm", "qwen", 8000) == (found.kind, found.namespace, found.name, found.port)


@pytest.mark.parametrize(
    ("path", "annotations", "prefix"),
    [
        ("/qwen(/|$)(.*)", {f"{NGINX}/rewrite-target": "/$2"}, "/"),
        ("/qwen/(.*)", {f"{NGINX}/rewrite-target": "/v1/$1"}, "/v1"),
        ("/", {f"{NGINX}/rewrite-target": "/"}, "/"),
        ("/qwen", {f"{NGINX}/rewrite-target": "/"}, None),
        ("/(a|b)/(.*)", {f"{NGINX}/rewrite-target": "/$2"}, None),
        ("/qwen", {"nginx.org/rewrites": "serviceName=qwen rewrite=/"}, "/"),
        (
            "/qwen",
            {"nginx.org/rewrites": "serviceName=b rewrite=/; serviceName=qwen rewrite=/x/"},
            "/x",
        ),
        ("/qwen", {"nginx.org/rewrites": "serviceName=b rewrite=/x"}, "/qwen"),
        ("/qwen", {"haproxy.org/path-rewrite": "/"}, None),
        ("/qwen", {5: 6}, "/qwen"),
    ],
)
def test_rewritten(path: str, annotations: dict[str, Any], prefix: str | None) -> None:
    """What the paths begin with at the Service."""
    (found,) = backends_of(ingress(path, annotations))

    assert prefix == found.prefix


def test_old_ingress() -> None:
    """The fields of the first API."""
    backend = {"serviceName": "qwen", "servicePort": "http"}
    old = {"apiVersion": "extensions/v1beta1", "kind": "Ingress", "spec": {"backend": backend}}
    (found,) = backends_of(Manifest(old))

    assert ("qwen", "http", "/") == (found.name, found.port, found.prefix)
    assert ("spec", "backend") == found.path == found.reference


def route(rule: dict[str, Any], kind: str = "HTTPRoute") -> Manifest:
    """An HTTPRoute with one rule."""
    return Manifest(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": kind,
            "spec": {"rules": [{"backendRefs": [{"name": "qwen", "port": 8000}], **rule}]},
        }
    )


def rewrite(**path: str) -> dict[str, Any]:
    """A rule that changes the path."""
    match = {"path": {"type": "PathPrefix", "value": "/qwen"}}
    return {
        "matches": [match],
        "filters": [{"type": "URLRewrite", "urlRewrite": {"path": path}}],
    }


@pytest.mark.parametrize(
    ("rule", "prefix", "is_exact"),
    [
        ({}, "/", False),
        ({"matches": [{"headers": []}]}, "/", False),
        ({"matches": [{"path": {"value": "/v1"}}]}, "/v1", False),
        ({"matches": [{"path": {"type": "Exact", "value": "/metrics"}}]}, "/metrics", True),
        ({"matches": [{"path": {"type": "RegularExpression", "value": "/v1/.*"}}]}, "/v1", False),
        (
            {"matches": [{"path": {"type": "RegularExpression", "value": "/metrics"}}]},
            "/metrics",
            True,
        ),
        (rewrite(replacePrefixMatch="/"), "/", False),
        (rewrite(replacePrefixMatch="/v1"), "/v1", False),
        (rewrite(replaceFullPath="/v1/models"), "/v1/models", True),
    ],
)
def test_route(rule: dict[str, Any], prefix: str, is_exact: object) -> None:
    """Matches of an HTTPRoute, after its rewrites."""
    (found,) = backends_of(route(rule))

    assert (prefix, is_exact) == (found.prefix, found.is_exact)
    assert ("spec", "rules", 0, "backendRefs", 0) == found.reference


def test_each() -> None:
    """One for each match and each reference; none of other objects."""
    refs = [{"name": "a"}, {"name": "b", "kind": "InferencePool"}, None]
    several = route({"matches": [{}, {}, 5], "backendRefs": refs})

    assert ["a", "b", "a", "b"] == [one.name for one in backends_of(several)]
    assert [] == list(backends_of(route({}, "GRPCRoute")))
    knative = {"apiVersion": "serving.knative.dev/v1", "kind": "Route"}
    assert [] == list(backends_of(Manifest(knative)))


TEXT = """
apiVersion: v1
kind: Service
metadata: {name: qwen, namespace: llm}
spec:
  selector: {app: qwen}
  ports: [{name: http, port: 80, targetPort: api}, {name: proxy, port: 81, targetPort: 4180}]
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: pool, namespace: llm}
spec: {selector: {matchLabels: {app: qwen}}, targetPorts: [{number: 8000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: qwen, namespace: llm}
spec:
  template:
    metadata: {labels: {app: qwen}}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.33.0
          args: [a/b]
          ports: [{name: api, containerPort: 8000}]
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A Service, a pool and an engine."""
    return Graph(yaml.safe_load_all(TEXT))


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (80, True),
        ("http", True),
        ("api", True),
        (None, True),
        (81, False),
        ("proxy", False),
        (9, False),
    ],
)
def test_reaches(graph: Graph, port: object, expected: object) -> None:
    """Ports of a Service lead to the engine, or to something beside it."""
    (engine,) = graph.engines

    assert expected is service_reaches(graph.of("Service")[0], port, engine)


def to(name: str, kind: str = "Service", namespace: str = "llm") -> Any:
    """A backend of a route."""
    refs = [{"name": name, "kind": kind, "namespace": namespace, "port": 80}]
    return next(iter(backends_of(route({"backendRefs": refs}))))


def test_behind(graph: Graph) -> None:
    """The pods of a Service or pool, and whether the engine gets the requests."""
    (engine,) = graph.engines
    for backend in (to("qwen"), to("pool", "InferencePool"), to("qwen", namespace="")):
        assert [engine.pod] == pods_of_backend(graph, backend)
        assert reaches(graph, backend, engine)
    for backend in (to("other"), to("qwen", namespace="web"), to("qwen", "InferencePool")):
        assert object_of(graph, backend) is None
        assert pods_of_backend(graph, backend) is None
        assert not reaches(graph, backend, engine)


@pytest.mark.parametrize("value", [None, [], "x", 5, [None, 3], {"rules": [None, {"http": "x"}]}])
def test_garbage(value: Any) -> None:
    """Nothing raises, whatever the fields are."""
    for kind, group in (
        ("Ingress", "networking.k8s.io"),
        ("HTTPRoute", "gateway.networking.k8s.io"),
        ("Route", "route.openshift.io"),
    ):
        for spec in (value, {"rules": value, "to": value, "defaultBackend": value}):
            found = list(
                backends_of(Manifest({"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}))
            )
            for one in found:
                assert pods_of_backend(Graph([]), one) is None
