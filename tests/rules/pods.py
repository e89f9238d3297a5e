"""Manifests of engines for tests: short, and right unless a test says otherwise."""

from __future__ import annotations

from typing import Any

IMAGE = "vllm/vllm-openai:v0.33.0"


def pod_spec(*args: str, container: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The spec of a pod with one engine.

    Args:
        args: Arguments of vLLM.
        container: Fields of the container.
        fields: Fields of the pod.
    """
    one = {"name": "vllm", "image": IMAGE, "args": list(args or ("a/b",)), **(container or {})}
    return {"containers": [one], **fields}


def deployment(spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A Deployment of pods.

    Args:
        spec: The spec of the pods.
        fields: Fields of the Deployment's own spec.
    """
    labels = {"app": "qwen"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            **fields,
        },
    }


def group(leader: dict[str, Any] | None, worker: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A LeaderWorkerSet.

    Args:
        leader: The spec of the leader's pod; None for that of the workers.
        worker: The spec of the workers' pods.
        fields: Fields of the `leaderWorkerTemplate`.
    """
    templates = {"workerTemplate": {"spec": worker}}
    templates |= {} if leader is None else {"leaderTemplate": {"spec": leader}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"leaderWorkerTemplate": {"size": 2, **templates, **fields}},
    }
