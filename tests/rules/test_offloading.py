"""Rules of KV cache that vLLM itself offloads: what is found, and what only looks like it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vllm_constructs.rules.shared_memory import SHM

from .findings import found, ids, sentences
from .pods import deployment, pod_spec

GIB = 2**30
CONNECTOR = {"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}
TIERS = {
    "kv_connector": "OffloadingConnector",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {
        "spec_name": "TieringOffloadingSpec",
        "cpu_bytes_to_use": 8 * GIB,
        "secondary_tiers": [{"type": "fs", "root_dir": "/kv/cache"}],
    },
}


def engine(
    *args: str,
    shm: str | None = None,
    memory: str | None = None,
    volume: dict[str, Any] | None = None,
    model: str = "a/b",
    **container: Any,
) -> dict[str, Any]:
    """A Deployment of an engine with shared memory, a memory limit and a volume at /kv."""
    limits = {"nvidia.com/gpu": 1} | ({} if memory is None else {"memory": memory})
    mounts, volumes = [], []
    if shm is not None:
        mounts.append({"name": "shm", "mountPath": SHM})
        size = {} if shm == "" else {"sizeLimit": shm}
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", **size}})
    if volume is not None:
        mounts.append({"name": "kv", "mountPath": "/kv"})
        volumes.append({"name": "kv", **volume})
    own = {"resources": {"limits": limits}, "volumeMounts": mounts, **container}
    return deployment(pod_spec(model, *args, container=own, volumes=volumes))


def config(**extra: Any) -> str:
    """The tier of the connector, in bytes."""
    own = {**CONNECTOR, "kv_connector_extra_config": extra}
    return f"--kv-transfer-config={json.dumps(own)}"


def tiers(**extra: Any) -> str:
    """A connector with a tier of files."""
    return "--kv-transfer-config=" + json.dumps({**TIERS, **extra})


class TestMemory:
    """K01."""

    @pytest.mark.parametrize(
        ("manifest", "field", "word"),
        [
            (engine("--kv-offloading-size=64"), "volumeMounts", "64 MiB"),
            (engine("--kv-offloading-size", "64", shm="16Gi"), "sizeLimit", "has 16 GiB"),
            (engine("--kv_offloading_size=64", shm="60Gi", memory="90Gi"), "sizeLimit", "64 GiB"),
            (engine("--kv-offloading-size=64", shm="80Gi", memory="64Gi"), "memory", "64 GiB"),
            (engine("--kv-offloading-size=64", shm="", memory="32Gi"), "memory", "32 GiB"),
            (engine(config(cpu_bytes_to_use=8 * GIB), shm="4Gi"), "sizeLimit", "8 GiB"),
            (
                engine(
                    "--kv-transfer-config.kv_connector=OffloadingConnector",
                    "--kv-transfer-config.kv_role=kv_both",
                    "--kv-transfer-config.kv_connector_extra_config.cpu_bytes_to_use=8589934592",
                    shm="4Gi",
                ),
                "sizeLimit",
                "8 GiB",
            ),
            (
                engine(
                    '--kv-transfer-config={"kv_connector":"MultiConnector","kv_role":"kv_both",'
                    '"kv_connector_extra_config":{"connectors":['
                    '{"kv_connector":"NixlConnector"},{"kv_connector":"OffloadingConnector",'
                    '"kv_connector_extra_config":{"cpu_bytes_to_use":214748364800}}]}}',
                    shm="100Gi",
                    memory="600Gi",
                ),
                "sizeLimit",
                "200 GiB",
            ),
            (
                engine("--kv-offloading-size=8", "--data-parallel-size=2", shm="12Gi"),
                "sizeLimit",
                "16 GiB",
            ),
            # Before 0.27 the memory was pinned, and no file.
            (
                engine("--kv-offloading-size=64", memory="32Gi", image="vllm/vllm-openai:v0.20.2"),
                "memory",
                "32 GiB",
            ),
            (
                engine(
                    "--kv-offloading-size=64",
                    memory="32Gi",
                    image="registry.example/llm:1",
                    command=["vllm", "serve"],
                ),
                "memory",
                "32 GiB",
            ),
            # Several workers have queues there, too.
            (engine("--kv-offloading-size=8", "-tp=2", shm="8Gi"), "sizeLimit", "8 GiB"),
            (engine("--kv-offloading-size=0", shm="8Gi"), "args", "above 0"),
            (
                engine("--kv-offloading-size=8", image="vllm/vllm-openai-cpu:v0.33.0"),
                "args",
                "does not run on CPU",
            ),
            (
                engine(
                    "--kv-offloading-size=8",
                    '--kv-transfer-config={"kv_connector":"NixlConnector","kv_role":"kv_both"}',
                    shm="16Gi",
                ),
                "args",
                "replaces the connector",
            ),
        ],
    )
    def test_bad(self, manifest: dict[str, Any], field: str, word: str) -> None:
        """A tier for which there is no room."""
        (one,) = found([manifest], "K01")
        assert field in one.path
        assert word in one.problem.sentence()

    @pytest.mark.parametrize(
        "manifest",
        [
            engine(),
            engine("--kv-offloading-size=64", shm="80Gi", memory="160Gi"),
            engine("--kv-offloading-size=64", shm="80Gi"),
            engine("--kv-offloading-size=64", shm="", memory="160Gi"),
            engine("--kv-offloading-size=$(TIER)", memory="1Gi"),
            engine("--kv-offloading-size=64", memory="96Gi", image="vllm/vllm-openai:v0.20.2"),
            # An image of one's own may have any release.
            engine("--kv-offloading-size=64", image="llm:1", command=["vllm", "serve"]),
            engine(
                "--kv-offloading-size=64",
                env=[{"name": "VLLM_USE_SIMPLE_KV_OFFLOAD", "value": "1"}],
                memory="160Gi",
            ),
            engine(
                '--kv-transfer-config={"kv_connector":"NixlConnector","kv_role":"kv_both"}',
                memory="8Gi",
            ),
            engine("--kv-offloading-size=8", "--no-such-flag=1", "--port=x", shm="16Gi"),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """Room for the tier, and tiers that are not known."""
        assert [] == sentences([manifest], "K01")

    def test_host(self) -> None:
        """The host's shared memory, and what another file may mount."""
        own = engine("--kv-offloading-size=64")
        own["spec"]["template"]["spec"]["hostIPC"] = True
        patch = engine("--kv-offloading-size=64")
        del patch["spec"]["selector"]
        assert [] == ids([own, patch], "K01")


class TestGrowth:
    """K02."""

    @pytest.mark.parametrize(
        "volume",
        [
            None,
            {"emptyDir": {}},
            {"emptyDir": {"sizeLimit": "10Gi"}},
            {"hostPath": {"path": "/kv"}},
        ],
    )
    def test_disk(self, volume: dict[str, Any] | None) -> None:
        """Files on the disk of the node."""
        manifest = engine(tiers(), shm="40Gi", volume=volume)
        (one,) = found([manifest], "K02")
        assert "warning" == one.level
        assert "/kv/cache" in one.problem.sentence()

    @pytest.mark.parametrize(
        "volume",
        [
            {"persistentVolumeClaim": {"claimName": "kv"}},
            {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"nfs": {"server": "x", "path": "/"}},
            {"emptyDir": {"medium": "Memory", "sizeLimit": "10Gi"}},
        ],
    )
    def test_claim(self, volume: dict[str, Any]) -> None:
        """Volumes with a size of their own."""
        assert [] == sentences([engine(tiers(), shm="40Gi", volume=volume)], "K02")

    @pytest.mark.parametrize(
        ("manifest", "field"),
        [
            (engine("--kv-offloading-size=8", model="openai/gpt-oss-20b", shm="10Gi"), "sizeLimit"),
            (
                engine(
                    "--kv-offloading-size=8",
                    model="openai/gpt-oss-20b",
                    shm="20Gi",
                    memory="16Gi",
                ),
                "memory",
            ),
        ],
    )
    def test_hybrid(self, manifest: dict[str, Any], field: str) -> None:
        """A hybrid model takes almost twice the size."""
        (one,) = found([manifest], "K02")
        assert field == one.path[-1]
        assert "several kinds" in one.problem.sentence()

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("--kv-offloading-size=8", model="openai/gpt-oss-20b", shm="20Gi"),
            engine("--kv-offloading-size=8", model="Qwen/Qwen2.5-7B-Instruct", shm="10Gi"),
            engine("--kv-offloading-size=8", model="my/hybrid", shm="10Gi"),
            engine(model="openai/gpt-oss-20b", shm="1Gi", memory="2Gi"),
        ],
    )
    def test_other_models(self, manifest: dict[str, Any]) -> None:
        """Room for twice the size, and models that are not hybrid or not known."""
        assert [] == sentences([manifest], "K02")

    def test_leftovers(self) -> None:
        """A file that a killed engine leaves in the shared memory."""
        claim = {"persistentVolumeClaim": {"claimName": "kv"}}
        manifest = engine(tiers(), shm="10Gi", volume=claim)
        (text,) = sentences([manifest], "K02")
        assert "killed engine" in text
        serve = f"rm -f /dev/shm/vllm_offload_*; exec vllm serve a/b '{tiers()}'"
        command: dict[str, Any] = {"command": ["sh", "-c"], "args": [serve]}
        assert [] == sentences([engine(shm="10Gi", volume=claim, **command)], "K02")
        assert [] == sentences([engine("--kv-offloading-size=8", shm="10Gi")], "K02")
        old = engine("--kv-offloading-size=8", shm="10Gi", image="vllm/vllm-openai:v0.28.0")
        assert ["K02"] == ids([old], "K02")
