"""PodResources: CPU, memory and /dev/shm of a pod, with what is offloaded to them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import quantity
from vllm_constructs import (
    BucketTier,
    EngineArgs,
    GpuPodSpec,
    KvOffload,
    LmCache,
    LmCacheClient,
    TimeSlicedGpu,
    WholeGpu,
)
from vllm_constructs.workloads import storage
from vllm_constructs.workloads.mounts import SHARED_MEMORY

GIB = 2**30
RELEASES = ("0.12.0", "0.21.0", "0.22.0", "0.26.0", "0.27.0", "0.28.0", "0.29.0", "0.33.0")
TIERS = [BucketTier("kv-cache", endpoint="s3.example.com")]


def pod(gpus: int = 1, version: str = "0.33.0", **options: Any) -> GpuPodSpec:
    """A pod with so many GPUs."""
    gpu = WholeGpu("NVIDIA-H100-80GB-HBM3", count=gpus)
    image = f"vllm/vllm-openai:v{version}"
    return GpuPodSpec(**{"model": "Qwen/Qwen3-8B", "gpu": gpu, "image": image, **options})


def offloads() -> st.SearchStrategy[Any]:
    """All that keeps KV cache in the memory of the pod."""
    tiers = st.sampled_from(((), TIERS))
    hybrid = st.sampled_from((None, True, False))
    native = st.builds(KvOffload, gib=st.floats(0.2, 512), tiers=tiers, hybrid=hybrid)
    return st.one_of(native, st.builds(LmCache, gib=st.integers(1, 512)))


def test_cpu() -> None:
    """Cores follow from the GPUs, or are a request, or a request and a limit."""
    assert ("8", None) == pod(2).cpu_pair
    assert ("2", None) == pod(cpu="2").cpu_pair
    assert ("2", "4") == pod(cpu=("2", "4")).cpu_pair


@settings(max_examples=150, deadline=None)
@given(
    offloads(),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2]),
    st.sampled_from(RELEASES),
    st.sampled_from([None, 3.5]),
)
def test_room(offload: Any, gpus: int, engines: int, version: str, weights: float | None) -> None:
    """All that is offloaded has room in the memory, and what is a file of it in /dev/shm."""
    if getattr(offload, "tiers", ()) and version < "0.22":
        return
    engine = EngineArgs(data_parallel_size=engines, cpu_offload_gb=weights)
    made = pod(gpus * engines, version, kv_offload=offload, engine=engine)
    cache = made.host_cache
    assert cache is not None
    request, limit = map(quantity, made.memory_pair)
    shm = quantity(made.shared_memory_size)
    own = storage.shared_memory_needed(made.gpu.count)

    assert shm >= own + cache.shared_memory
    offloaded = cache.size + int((weights or 0) * made.gpu.count * GIB)
    assert limit > shm + offloaded - cache.shared_memory
    assert request <= limit
    assert request >= offloaded + 16 * made.gpu.count * GIB
    whole = offload.gib * (engines if isinstance(offload, KvOffload) else 1)
    assert cache.size >= int(whole * GIB) - 2**20 * made.gpu.count


@pytest.mark.parametrize(
    ("version", "tiers"),
    [(one, tiers) for one in RELEASES for tiers in ((), TIERS) if not tiers or one >= "0.22"],
)
def test_leftovers(version: str, tiers: Any) -> None:
    """The command cleans /dev/shm exactly where a killed engine leaves its file there."""
    made = pod(version=version, kv_offload=KvOffload(gib=8, tiers=tiers))
    command = made.manifest()["containers"][0]["command"]

    if version in ("0.27.0", "0.28.0") or tiers:
        script = 'rm -f /dev/shm/vllm_offload_*; exec "$0" "$@"'
        assert ["sh", "-c", script, "vllm", "serve"] == command
    else:
        assert ["vllm", "serve"] == command


def test_clean(tmp_path: Path) -> None:
    """The command removes such files and no others, and then becomes that of the engine."""
    command = pod(kv_offload=KvOffload(gib=8, tiers=TIERS)).manifest()["containers"][0]["command"]
    for name in ("vllm_offload_a.mmap", "vllm_offload_a.mmap.1", "psm_b"):
        (tmp_path / name).touch()
    shell, option, script, *engine = command
    script = script.replace(SHARED_MEMORY, str(tmp_path))
    words = [shell, option, script, "printf", "%s\n", *engine, "a b", "$(HOME)"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)

    assert ["vllm", "serve", "a b", "$(HOME)"] == done.stdout.splitlines()
    assert ["psm_b"] == [path.name for path in tmp_path.iterdir()]


def test_no_leftovers() -> None:
    """LMCache and its client leave nothing there, nor does an engine without KV cache."""
    for offload in (None, LmCache(gib=8), LmCacheClient(host="lmcache")):
        made = pod(kv_offload=offload)
        assert ["vllm", "serve"] == made.manifest()["containers"][0]["command"]
    assert pod().host_cache is None
    assert pod(kv_offload=LmCacheClient(host="lmcache")).host_cache is None


def test_hybrid() -> None:
    """A hybrid model takes twice as much, where it is known to be one."""
    sizes = {
        hybrid: pod(kv_offload=KvOffload(gib=8, hybrid=hybrid)).memory_pair
        for hybrid in (None, False, True)
    }

    assert sizes == {
        None: ("24Gi", "40Gi"),
        False: ("24Gi", "40Gi"),
        True: ("32Gi", "48Gi"),
    }


def test_shared_gpu() -> None:
    """A pod with a part of a GPU offloads like any other."""
    made = pod(gpu=TimeSlicedGpu("NVIDIA-L4"), kv_offload=KvOffload(gib=4))

    assert ("20Gi", "36Gi") == made.memory_pair
    assert "5Gi" == made.shared_memory_size


NATIVE = KvOffload(gib=32)
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"kv_offload": NATIVE, "memory": "33Gi"},
        (
            "memory has a limit of '33Gi', but kv_offload keeps 32 GiB of KV cache there, with "
            "33Gi of shared_memory; raise it, offload less, or leave memory out."
        ),
    ),
    (
        {"kv_offload": NATIVE, "memory": ("33Gi", "33Gi"), "version": "0.26.0"},
        (
            "memory has a limit of '33Gi', but kv_offload keeps 64 GiB of KV cache there, with 1Gi "
            "of shared_memory; raise it, offload less, or leave memory out."
        ),
    ),
    (
        {"kv_offload": LmCache(gib=32), "memory": "33Gi"},
        (
            "memory has a limit of '33Gi', but kv_offload keeps 32 GiB of KV cache there, with 1Gi "
            "of shared_memory; raise it, offload less, or leave memory out."
        ),
    ),
    (
        {"kv_offload": NATIVE, "engine": EngineArgs(cpu_offload_gb=4), "memory": "36Gi"},
        (
            "memory has a limit of '36Gi', but cpu_offload_gb keeps 4 GiB of weights and "
            "kv_offload keeps 32 GiB of KV cache there, with 33Gi of shared_memory; raise it, "
            "offload less, or leave memory out."
        ),
    ),
    (
        {"kv_offload": NATIVE, "shared_memory": "32Gi"},
        (
            "shared_memory is '32Gi', less than the workers of 1 GPU and 32 GiB of offloaded KV "
            "cache need; expected at least '33192Mi'; leave it out to get what they need."
        ),
    ),
    (
        {"engine": EngineArgs(kv_offloading_size=8, kv_offloading_backend="lmcache")},
        (
            "EngineArgs.kv_offloading_size is 8, which vLLM 0.33.0 ignores with "
            "kv_offloading_backend='lmcache': that backend is the client of an LMCache server; "
            "leave both out, and give kv_offload=LmCacheServer(...)."
        ),
    ),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED)
def test_refusals(options: dict[str, Any], sentence: str) -> None:
    """What does not fit, or is not used, is refused with what would do."""
    assert sentence == strategies.refusal(lambda: pod(**options))


def test_enough() -> None:
    """A limit that has room for all is accepted, and the request may be less."""
    assert ("20Gi", "40Gi") == pod(kv_offload=NATIVE, memory=("20Gi", "40Gi")).memory_pair
    assert "34Gi" == pod(kv_offload=NATIVE, shared_memory="34Gi").shared_memory_size
