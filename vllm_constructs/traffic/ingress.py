"""Ingress: streamed responses, with the annotations of the controller that serves them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube import names

from .controllers import CLASS_ANNOTATION, GkeIngress, IngressController, ProxySettings
from .ingress_annotations import is_snippet, refused

_PATH = re.compile(r"/[A-Za-z0-9._/-]*")


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A host and path, and the Service that serves them."""

    host: str
    path: str
    service: str
    port: int


def check_path(where: str, path: object) -> str:
    """A path that every controller accepts as a prefix."""
    checked = require.matching(where, path, _PATH, "a path such as '/v1' or '/'")
    if "//" in checked or (checked != "/" and checked.endswith("/")):
        require.wrong(where, path, "a path without '//' and without '/' at the end")
    return checked


# First segments of the paths that vLLM serves (facts of 0.33: openai and instrumentator routers).
GUARDED = frozenset(("v1", "v2", "inference", "cohere"))
"""Those for which vLLM asks for the API key, if it has one (middleware/authenticate.py)."""
ALWAYS_OPEN = frozenset(
    ("invocations", "tokenize", "detokenize", "pooling", "classify", "score", "rerank")
) | frozenset(("metrics", "load"))
"""Those that work, or tell what others do, without the API key."""
_ENDPOINTS = GUARDED | ALWAYS_OPEN | frozenset(("health", "ping", "version"))


def root_path_of(where: str, path: str) -> str | None:
    """The prefix before `/v1` in a path, which vLLM needs as its root path, or None without one.

    Raises:
        VllmConstructsError: vLLM serves nothing below the path, so clients would only get 404.
    """
    if path == "/" or path.split("/")[1] in _ENDPOINTS:
        return None
    if path.endswith("/v1"):
        return path.removesuffix("/v1")
    return refuse(
        Problem(
            where=where,
            text=f"is {path!r}, below which vLLM serves nothing",
            value=repr(path),
            advice=(
                f"give '/v1' for the API, {path + '/v1'!r} for the API below a prefix, or '/' for "
                "all endpoints"
            ),
        )
    )


def check_annotations(value: object, owned: Mapping[str, str]) -> dict[str, str]:
    """The user's annotations: no snippets, none that is derived, and no values that are refused."""
    where = "StreamingIngress.annotations"
    annotations = names.annotation_map(where, value)
    for key in annotations:
        if is_snippet(key):
            refuse(
                Problem(
                    where=where,
                    text=f"has {key!r}, and controllers reject snippets by default",
                    value=require.shown(value),
                    advice="leave it out, since streaming needs none",
                )
            )
        # Kubernetes rejects the annotation beside the field (validateIngressCreate).
        if key in (*owned, CLASS_ANNOTATION):
            refuse(
                Problem(
                    where=where,
                    text=f"has {key!r}, which is derived",
                    value=require.shown(value),
                    advice="leave it out",
                )
            )
        problem = refused(key, annotations[key])
        if problem is not None:
            refuse(replace(problem, where=f"{where}[{key!r}]"))
    return annotations


def manifest(
    *,
    name: str,
    controller: IngressController,
    backends: Sequence[Backend],
    settings: ProxySettings,
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """The Ingress."""
    owned = controller.annotations(settings) | (settings.tls.annotations() if settings.tls else {})
    rules: dict[str, list[dict[str, Any]]] = {}
    for item in backends:
        service = {"name": item.service, "port": {"number": item.port}}
        path = {"path": item.path, "pathType": "Prefix", "backend": {"service": service}}
        rules.setdefault(item.host, []).append(path)
    spec: dict[str, Any] = {}
    if not isinstance(controller, GkeIngress):
        spec["ingressClassName"] = controller.class_name
    if settings.tls is not None:
        spec["tls"] = [{"hosts": list(rules), "secretName": settings.tls.secret}]
    spec["rules"] = [{"host": host, "http": {"paths": paths}} for host, paths in rules.items()]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": names.subdomain("StreamingIngress.name", name),
            "annotations": dict(sorted((check_annotations(annotations, owned) | owned).items())),
        },
        "spec": spec,
    }
