"""Flags that EngineArgs rejects, and where the user specifies the same thing instead."""

from __future__ import annotations

# Flags that this library derives, or that would contradict what it derives.
RESERVED = {
    "model": "give ModelDeployment(model=...)",
    "served-model-name": "give ModelDeployment(served_name=...)",
    "port": "give ModelDeployment(port=...)",
    "host": "leave it out: the pod's address is the only one",
    "uds": "leave it out: the Service needs a port",
    "config": "give EngineArgs(delivery='config-map')",
    "root-path": "a ModelFleet gives each model its path",
    "shutdown-timeout": "give ModelDeployment(drain=Drain(seconds=...))",
    "api-key": "give ModelDeployment(api_key=ApiKey.from_secret(...)), which keeps it out of args",
    "hf-token": "give ModelDeployment(hf_token=...), which keeps it out of args",
    "ssl-keyfile": "end TLS at the ingress",
    "ssl-certfile": "end TLS at the ingress",
    "ssl-ca-certs": "end TLS at the ingress",
    "headless": "leave it out: probes and Service need the HTTP server",
    "grpc": "leave it out: probes and Service need the HTTP server",
    "nnodes": "leave it out: one pod holds one engine",
    "node-rank": "leave it out: one pod holds one engine",
    "data-parallel-rank": "leave it out: use replicas",
    "data-parallel-external-lb": "leave it out: use replicas",
    "download-dir": "give ModelDeployment(cache=...)",
}
