"""Manifests of engines that compute prompts and answers apart, for the tests of their rules."""

from __future__ import annotations

import json
from typing import Any

from .several_pods import IMAGE, POD_IP, deployment

HOST = {"name": "VLLM_NIXL_SIDE_CHANNEL_HOST", **POD_IP}
BOTH = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
SIDECAR = {
    "name": "routing-proxy",
    "image": "ghcr.io/llm-d/llm-d-router-disagg-sidecar:v0.10.0",
    "restartPolicy": "Always",
    "args": ["--port=8000", "--model-server-port=8200", "--kv-connector=nixlv2"],
    "ports": [{"name": "proxy", "containerPort": 8000}],
}


def engine(*args: str, config: Any = BOTH, **fields: Any) -> dict[str, Any]:
    """A container that runs vLLM and transfers its cache.

    Args:
        *args: Arguments after the model.
        config: What `--kv-transfer-config` is given; None for nothing.
        **fields: Its other fields.
    """
    text = config if isinstance(config, str) else json.dumps(config)
    more = [] if config is None else ["--kv-transfer-config", text]
    found = {
        "name": "vllm",
        "image": IMAGE,
        "args": ["org/m", *args, *more],
        "env": [HOST],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    return {**found, **fields}


def template(
    role: str, one: dict[str, Any], *sidecars: dict[str, Any], **labels: str
) -> dict[str, Any]:
    """A pod template of a side.

    Args:
        role: The side.
        one: Its engine.
        *sidecars: Containers that begin before it.
        **labels: More labels.
    """
    spec: dict[str, Any] = {"containers": [one]}
    if sidecars:
        spec["initContainers"] = list(sidecars)
    return {"metadata": {"labels": {"app": "m", "llm-d.ai/role": role, **labels}}, "spec": spec}


def side(
    role: str, one: dict[str, Any] | None = None, *sidecars: dict[str, Any], **spec: Any
) -> dict[str, Any]:
    """A Deployment of a side.

    Args:
        role: The side.
        one: Its engine. Default: one with the right variables.
        *sidecars: Containers that begin before it.
        **spec: Other fields of its spec.
    """
    made = engine() if one is None else one
    return deployment(f"m-{role}", template(role, made, *sidecars), **spec)


def sides(
    prefill: dict[str, Any] | None = None, decode: dict[str, Any] | None = None, **spec: Any
) -> list[dict[str, Any]]:
    """The Deployments of both sides.

    Args:
        prefill: The engine of one side. Default: one with the right variables.
        decode: The engine of the other one. Default: the same on port 8200, behind a sidecar.
        **spec: Other fields of their specs.
    """
    second = engine("--port=8200") if decode is None else decode
    return [side("prefill", prefill, **spec), side("decode", second, SIDECAR, **spec)]


def disaggregated_set(
    prefill: dict[str, Any] | None = None, decode: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A DisaggregatedSet of both sides.

    Args:
        prefill: The engine of one side.
        decode: The engine of the other one.
    """
    made = {"prefill": prefill or engine(), "decode": decode or engine("--port=8200")}
    roles = [
        {
            "name": name,
            "spec": {
                "leaderWorkerTemplate": {
                    "size": 1,
                    "workerTemplate": {
                        "metadata": {"labels": {"app": "m"}},
                        "spec": {"containers": [one]},
                    },
                }
            },
        }
        for name, one in made.items()
    ]
    return {
        "apiVersion": "disaggregatedset.x-k8s.io/v1",
        "kind": "DisaggregatedSet",
        "metadata": {"name": "pd", "namespace": "llm"},
        "spec": {"roles": roles},
    }
