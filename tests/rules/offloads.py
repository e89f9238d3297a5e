"""Manifests of engines with LMCache, for tests."""

from __future__ import annotations

import json
from typing import Any

from .pods import deployment, pod_spec


def lmcache(
    *args: str,
    connector: str = "LMCacheConnectorV1",
    env: dict[str, str | None] | None = None,
    config: dict[str, str] | None = None,
    secret: str | None = None,
    memory: str | None = None,
    volume: dict[str, Any] | None = None,
    claim: str | None = None,
    gpus: int = 1,
    model: str = "a/b",
    **container: Any,
) -> list[dict[str, Any]]:
    """A Deployment of an engine with LMCache, and the objects that it refers to.

    Args:
        args: More arguments of vLLM.
        connector: The connector; empty for none.
        env: Variables; None for a value from a Secret.
        config: The data of a ConfigMap with variables.
        secret: Name of a Secret with variables.
        memory: The memory limit.
        volume: A volume, which is mounted at `/cache`.
        claim: The size of the claim `kv`.
        gpus: GPUs of the pod.
        model: The model.
        container: More fields of the container.
    """
    if connector:
        transfer = {"kv_connector": connector, "kv_role": "kv_both"}
        args = (*args, "--kv-transfer-config", json.dumps(transfer))
    limits = {"nvidia.com/gpu": gpus} | ({} if memory is None else {"memory": memory})
    hidden = {"valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}
    own: dict[str, Any] = {"resources": {"limits": limits}, **container}
    sources = [{"configMapRef": {"name": "lmcache"}}] if config is not None else []
    sources += [{"secretRef": {"name": secret}}] if secret is not None else []
    if sources:
        own["envFrom"] = sources
    else:
        own["env"] = [
            {"name": name} | (hidden if value is None else {"value": value})
            for name, value in (env or {}).items()
        ]
    fields: dict[str, Any] = {}
    if volume is not None:
        own["volumeMounts"] = [{"name": "kv", "mountPath": "/cache"}]
        fields["volumes"] = [{"name": "kv", **volume}]
    found = [deployment(pod_spec(model, *args, container=own, **fields))]
    if config is not None:
        found.append(_object("ConfigMap", "lmcache", data=config))
    if claim is not None:
        resources = {"requests": {"storage": claim}}
        found.append(_object("PersistentVolumeClaim", "kv", spec={"resources": resources}))
    return found


def _object(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "llm"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}
