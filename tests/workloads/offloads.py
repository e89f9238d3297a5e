"""Pods that offload their KV cache, for tests."""

import json
from typing import Any

from vllm_constructs import (
    BucketTier,
    DiskTier,
    GpuPodSpec,
    LmCacheClient,
    Volume,
    WholeGpu,
)

GIB = 2**30
H100 = "NVIDIA-H100-80GB-HBM3"
CLAIM = Volume.from_claim("kv")
DISK = DiskTier(CLAIM)
BUCKET = BucketTier("kv-cache", endpoint="s3.eu-west-1.amazonaws.com", region="eu-west-1")
CLIENT = LmCacheClient(host="lmcache.llm.svc")


def pod(offload: Any, gpus: int = 1, version: str = "0.33.0", **options: Any) -> GpuPodSpec:
    """A pod that offloads its KV cache so."""
    fields = {
        "model": "Qwen/Qwen3-8B",
        "gpu": WholeGpu(H100, count=gpus),
        "image": f"vllm/vllm-openai:v{version}",
        "kv_offload": offload,
    }
    return GpuPodSpec(**{**fields, **options})


def config(made: GpuPodSpec) -> dict[str, Any]:
    """The JSON of the flag `--kv-transfer-config`."""
    (found,) = [
        word.partition("=")[2]
        for word in made.manifest()["containers"][0]["args"]
        if word.startswith("--kv-transfer-config")
    ]
    parsed: dict[str, Any] = json.loads(found)
    return parsed
