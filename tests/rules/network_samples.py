"""Manifests that the tests of network rules share."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from tests.rules.findings import found
from vllm_constructs.rules.rule import Finding

IMAGE = "vllm/vllm-openai:v0.33.0"


def service(
    name: str = "qwen", *, more: str = "", ports: str = "[{name: http, port: 8000}]"
) -> str:
    """A Service of the engine, with more fields of its `spec`."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: qwen}}, ports: {ports}{more and ", " + more}}}
---
"""


def deployment(
    *,
    pod: str = "",
    args: str = "[Qwen/Qwen2.5-7B-Instruct]",
    container: str = "",
    name: str = "qwen",
) -> str:
    """A Deployment of an engine, with more fields of its pod and container."""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: qwen}}}}
  template:
    metadata: {{labels: {{app: qwen}}}}
    spec:
      {pod or "restartPolicy: Always"}
      containers:
        - name: vllm
          image: {IMAGE}
          args: {args}
          ports: [{{name: http, containerPort: 8000}}]
          {container}
---
"""


def engine(**options: str) -> str:
    """A Deployment of an engine and its Service."""
    return service() + deployment(**options)


def ingress(
    annotations: Mapping[str, object] | None = None,
    *,
    kind: str | None = "nginx",
    path: str = "/v1",
    path_type: str = "Prefix",
    backend: str = "qwen",
) -> str:
    """An Ingress of the engine."""
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "qwen", "annotations": dict(annotations or {})},
        "spec": {
            **({} if kind is None else {"ingressClassName": kind}),
            "rules": [
                {
                    "host": "llm.example.com",
                    "http": {
                        "paths": [
                            {
                                "path": path,
                                "pathType": path_type,
                                "backend": {"service": {"name": backend, "port": {"number": 8000}}},
                            }
                        ]
                    },
                }
            ],
        },
    }
    return f"{yaml.safe_dump(body)}---\n"


def route(rule: str, *, parent: str = "edge", backend: str = "{name: qwen, port: 8000}") -> str:
    """An HTTPRoute of the engine, with more fields of its one rule."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: qwen}}
spec:
  parentRefs: [{{name: {parent}}}]
  rules: [{{backendRefs: [{backend}]{rule and ", " + rule}}}]
---
"""


def gateway(kind: str) -> str:
    """The Gateway that `route` attaches to."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge}}
spec: {{gatewayClassName: {kind}, listeners: []}}
---
"""


def policy(
    rules: str, *, selector: str = "{matchLabels: {app: qwen}}", types: str = "[Ingress]"
) -> str:
    """A NetworkPolicy of the engine."""
    return f"""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: qwen}}
spec: {{podSelector: {selector}, policyTypes: {types}, ingress: {rules}}}
---
"""


CLOSED = policy("[{from: [{podSelector: {}}]}]")
"""A policy that lets in the pods of the namespace."""


def only(manifests: str, rule: str) -> Finding:
    """The only finding of a rule."""
    findings = found(manifests, rule)
    assert 1 == len(findings), [(one.path, one.problem.sentence()) for one in findings]
    return findings[0]


def place(finding: Finding) -> str:
    """The object and field of a finding."""
    return f"{finding.manifest.kind} {'.'.join(map(str, finding.path))}"


def right(finding: Finding) -> object:
    """The value that the fix of a finding sets."""
    assert finding.fix is not None
    (edit,) = finding.fix.edits
    return edit.value
