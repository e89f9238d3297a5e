"""Manifests of engines that have several pods, for the tests of their rules."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

IMAGE = "vllm/vllm-openai:v0.33.0"
POD_IP = {"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
HTTP = {"httpGet": {"path": "/health", "port": 8000}}
NODES = (
    "--nnodes",
    "$(LWS_GROUP_SIZE)",
    "--node-rank",
    "$(LWS_WORKER_INDEX)",
    "--master-addr",
    "$(LWS_LEADER_ADDRESS)",
)
SIZES = ("--tensor-parallel-size", "8", "--pipeline-parallel-size", "2")
LEADER = ("/models/m", *SIZES, *NODES, "--port", "8000", "--shutdown-timeout", "120")
WORKER = ("/models/m", *SIZES, *NODES, "--headless")


def container(*args: str, **fields: Any) -> dict[str, Any]:
    """A container that runs vLLM on eight GPUs.

    Args:
        *args: Its arguments.
        **fields: Its other fields.
    """
    found = {
        "name": "vllm",
        "image": IMAGE,
        "args": list(args),
        "env": [{"name": "VLLM_HOST_IP", **POD_IP}],
        "resources": {"limits": {"nvidia.com/gpu": "8"}},
    }
    return {**found, **fields}


def pod(one: dict[str, Any], *others: dict[str, Any], **labels: str) -> dict[str, Any]:
    """A pod template.

    Args:
        one: Its container.
        *others: More containers.
        **labels: Its labels besides `app`.
    """
    return {
        "metadata": {"labels": {"app": "big", **labels}},
        "spec": {"containers": [one, *others]},
    }


def group(
    leader: dict[str, Any] | None, worker: dict[str, Any], *, size: Any = 2, **fields: Any
) -> dict[str, Any]:
    """A LeaderWorkerSet.

    Args:
        leader: The template of its leader; None for that of the workers.
        worker: The template of its workers.
        size: The pods of a group.
        **fields: Other fields of its spec.
    """
    template: dict[str, Any] = {"size": size, "workerTemplate": deepcopy(worker)}
    if leader is not None:
        template["leaderTemplate"] = deepcopy(leader)
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "big", "namespace": "llm"},
        "spec": {"leaderWorkerTemplate": template, **fields},
    }


def two_nodes(
    leader: tuple[str, ...] = LEADER, worker: tuple[str, ...] = WORKER, **fields: Any
) -> dict[str, Any]:
    """A LeaderWorkerSet whose groups have two nodes of one engine.

    Args:
        leader: The arguments of the leader.
        worker: The arguments of the worker.
        **fields: As in `group`.
    """
    return group(
        pod(container(*leader, ports=[{"name": "http", "containerPort": 8000}]), role="leader"),
        pod(container(*worker), role="worker"),
        **fields,
    )


def one_template(*args: str, **fields: Any) -> dict[str, Any]:
    """A LeaderWorkerSet of two pods that are all alike.

    Args:
        *args: The arguments of vLLM.
        **fields: As in `group`.
    """
    return group(None, pod(container(*args)), **fields)


def script(text: str, **fields: Any) -> dict[str, Any]:
    """A container that starts vLLM by a shell.

    Args:
        text: The script.
        **fields: Its other fields.
    """
    return {**container(**fields), "command": ["/bin/bash", "-c"], "args": [text]}


def deployment(name: str, template: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A Deployment.

    Args:
        name: Its name.
        template: Its pod template.
        **spec: Other fields of its spec.
    """
    labels = template["metadata"]["labels"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {"selector": {"matchLabels": dict(labels)}, "template": template, **spec},
    }


def service(name: str, selector: dict[str, str], *ports: Any, **spec: Any) -> dict[str, Any]:
    """A Service.

    Args:
        name: Its name.
        selector: The labels that it selects.
        *ports: Its target ports. Default: 8000.
        **spec: Other fields of its spec.
    """
    listed = [{"name": f"p{i}", "port": 80 + i, "targetPort": one} for i, one in enumerate(ports)]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {"selector": selector, "ports": listed or [{"port": 8000}], **spec},
    }


def pool(selector: dict[str, Any], *ports: int) -> dict[str, Any]:
    """An InferencePool.

    Args:
        selector: Its selector.
        *ports: Its target ports. Default: 8000.
    """
    return {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": "big", "namespace": "llm"},
        "spec": {
            "selector": selector,
            "targetPorts": [{"number": port} for port in ports or (8000,)],
            "endpointPickerRef": {"name": "big-epp", "port": {"number": 9002}},
        },
    }


def policy(name: str, selector: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A NetworkPolicy.

    Args:
        name: Its name.
        selector: Its podSelector.
        **spec: Other fields of its spec.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {"podSelector": selector, **spec},
    }
