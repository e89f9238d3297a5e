"""Rule of LMCache in engines: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .offloads import lmcache

OLD = "vllm/vllm-openai:v0.22.1"


@pytest.mark.parametrize(
    ("manifests", "field", "word"),
    [
        (
            lmcache("--kv-offloading-backend=lmcache", "--kv-offloading-size=64", connector=""),
            "args",
            "ignores",
        ),
        (lmcache(env={"LMCACHE_MAX_LOCAL_CPU_SIZE": "64"}, memory="64Gi"), "env", "64 GiB"),
        (
            lmcache("-tp=4", env={"LMCACHE_MAX_LOCAL_CPU_SIZE": "20"}, memory="64Gi", gpus=4),
            "env",
            "20 GiB for each of 4 GPUs, 80 GiB in all",
        ),
        (lmcache("-tp=8", memory="40Gi", gpus=8), "env", "left out, which means 5 GiB for each"),
        (
            lmcache(config={"LMCACHE_MAX_LOCAL_CPU_SIZE": "64"}, memory="32Gi"),
            "envFrom",
            "64 GiB",
        ),
        (
            lmcache(
                "-tp=2",
                env={
                    "LMCACHE_LOCAL_DISK": "file:///cache/kv",
                    "LMCACHE_MAX_LOCAL_DISK_SIZE": "60",
                },
                volume={"emptyDir": {"sizeLimit": "100Gi"}},
                gpus=2,
            ),
            "env",
            "120 GiB in all",
        ),
        (
            lmcache(
                env={"LMCACHE_LOCAL_DISK": "/cache", "LMCACHE_MAX_LOCAL_DISK_SIZE": "60.5"},
                volume={"persistentVolumeClaim": {"claimName": "kv"}},
                claim="50Gi",
            ),
            "env",
            "50 GiB",
        ),
        (lmcache(model="openai/gpt-oss-20b"), "args", "turns its hybrid KV cache manager off"),
    ],
)
def test_bad(manifests: list[dict[str, Any]], field: str, word: str) -> None:
    """Sizes that nothing reads, buffers of all ranks, and models with several kinds of layers."""
    (one,) = found(manifests, "K03")
    assert field in one.path
    assert word in one.problem.sentence()


@pytest.mark.parametrize(
    "manifests",
    [
        lmcache(),
        lmcache(memory="64Gi"),
        lmcache(env={"LMCACHE_MAX_LOCAL_CPU_SIZE": "20"}, memory="64Gi"),
        lmcache("-tp=2", env={"LMCACHE_MAX_LOCAL_CPU_SIZE": "20"}, memory="64Gi", gpus=2),
        lmcache(
            env={"LMCACHE_LOCAL_CPU": "False", "LMCACHE_MAX_LOCAL_CPU_SIZE": "99"}, memory="9Gi"
        ),
        # The file may have other sizes.
        lmcache(
            env={"LMCACHE_CONFIG_FILE": "/etc/lmcache.yaml", "LMCACHE_MAX_LOCAL_CPU_SIZE": "99"},
            memory="64Gi",
        ),
        # What is not known.
        lmcache(env={"LMCACHE_MAX_LOCAL_CPU_SIZE": "$(SIZE)"}, memory="2Gi"),
        lmcache(env={"LMCACHE_MAX_LOCAL_CPU_SIZE": None}, memory="2Gi"),
        lmcache(secret="lmcache", memory="2Gi"),
        lmcache("-tp=$(TP)", memory="2Gi"),
        # A server has the cache.
        lmcache(connector="LMCacheMPConnector", memory="2Gi"),
        lmcache(connector="LMCacheMPConnector", model="openai/gpt-oss-20b"),
        lmcache(
            env={"LMCACHE_LOCAL_DISK": "/cache", "LMCACHE_MAX_LOCAL_DISK_SIZE": "60"},
            volume={"persistentVolumeClaim": {"claimName": "elsewhere"}},
        ),
        lmcache(
            env={"LMCACHE_LOCAL_DISK": "/cache", "LMCACHE_MAX_LOCAL_DISK_SIZE": "60"},
            volume={"emptyDir": {}},
        ),
        lmcache(env={"LMCACHE_LOCAL_DISK": "/cache", "LMCACHE_MAX_LOCAL_DISK_SIZE": "9" * 99}),
        lmcache("--disable-hybrid-kv-cache-manager", model="openai/gpt-oss-20b"),
        lmcache(model="my/hybrid"),
        lmcache("--kv-offloading-size=8", connector="", memory="64Gi"),
        lmcache(
            "--kv-offloading-backend=lmcache", "--kv-offloading-size=8", connector="", image=OLD
        ),
    ],
)
def test_good(manifests: list[dict[str, Any]]) -> None:
    """Sizes that fit, and what the manifests do not say."""
    assert [] == sentences(manifests, "K03")


def test_levels() -> None:
    """Layers with a window work, for more memory; recurrent ones do not."""
    windows = found(lmcache(model="openai/gpt-oss-20b"), "K03")
    assert ["warning"] == [one.level for one in windows]
    recurrent = found(lmcache(model="Qwen/Qwen3-Next-80B-A3B-Instruct"), "K03")
    assert ["error"] == [one.level for one in recurrent]
    assert ["K03"] == ids(lmcache("-tp=2", memory="9Gi", gpus=2), "K03")
