"""KvOffload, its tiers and LMCache: the flags, variables and volumes that follow from them."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests import strategies
from tests.support import assert_valid
from tests.workloads.offloads import BUCKET, CLAIM, CLIENT, DISK, GIB, H100, config, pod
from vllm_constructs import (
    BucketTier,
    DiskTier,
    EngineArgs,
    EnvVarSource,
    EphemeralCache,
    ExistingClaim,
    KvOffload,
    LmCache,
    LmCacheClient,
    MigSlice,
    TimeSlicedGpu,
    VllmRelease,
    Volume,
    WholeGpu,
)
from vllm_constructs.workloads import kv_offload


def test_native() -> None:
    """A size is one flag."""
    made = pod(KvOffload(gib=64))
    args = made.manifest()["containers"][0]["args"]

    assert ["Qwen/Qwen3-8B", "--kv-offloading-size=64"] == args
    assert pod(None, engine=EngineArgs(kv_offloading_size=64)).manifest() == made.manifest()


def test_tiers() -> None:
    """Tiers are those of vLLM's JSON, in their order, and a disk is mounted."""
    disk = DiskTier(CLAIM, path="/fast", read_threads=32, write_threads=8)
    bucket = BucketTier("kv-cache", endpoint="minio.minio.svc:9000", scheme="http", prefix="qwen")
    made = pod(KvOffload(gib=64, tiers=[disk, BUCKET, bucket]), gpus=8)

    extra = {
        "spec_name": "TieringOffloadingSpec",
        "cpu_bytes_to_use": 64 * GIB,
        "secondary_tiers": [
            {"type": "fs", "root_dir": "/fast", "n_read_threads": 32, "n_write_threads": 8},
            {
                "type": "obj",
                "store_config": {
                    "bucket": "kv-cache",
                    "endpoint_override": "s3.eu-west-1.amazonaws.com",
                    "scheme": "https",
                    "region": "eu-west-1",
                },
            },
            {
                "type": "obj",
                "store_config": {
                    "bucket": "kv-cache",
                    "endpoint_override": "minio.minio.svc:9000",
                    "scheme": "http",
                },
                "prefix": "qwen",
            },
        ],
    }
    expected = {
        "kv_connector": "OffloadingConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": extra,
    }
    assert expected == config(made)
    spec = made.manifest()
    assert {"name": "claim-kv", "mountPath": "/fast"} in spec["containers"][0]["volumeMounts"]
    claim = {"name": "claim-kv", "persistentVolumeClaim": {"claimName": "kv"}}
    assert claim in spec["volumes"]


def test_file() -> None:
    """In a file of flags the connector is the same."""
    made = pod(KvOffload(gib=1, tiers=[DISK]), engine=EngineArgs(delivery="config-map"))
    (text,) = made.config_files().values()

    for word in ("kv-transfer-config:", "spec_name: TieringOffloadingSpec", "root_dir: /kv-cache"):
        assert word in str(text)


@pytest.mark.parametrize(
    "offload",
    [
        KvOffload(gib=0.5),
        KvOffload(gib=8, tiers=[DISK, BUCKET]),
        LmCache(gib=8, disk=Volume.from_empty_dir(size_limit="100Gi"), disk_gib=100),
        CLIENT,
    ],
)
@pytest.mark.parametrize("gpu", [WholeGpu(H100, count=8), TimeSlicedGpu("NVIDIA-L4")])
def test_validity(offload: Any, gpu: Any) -> None:
    """What a pod mounts and runs is what Kubernetes takes."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": pod(offload, gpu=gpu).manifest(),
    }

    assert_valid(manifest)


def test_offload_of() -> None:
    """A construct with a client stands for it, and any value for itself."""

    class Server:
        client = CLIENT

    assert CLIENT is kv_offload.offload_of(Server())
    for value in (None, KvOffload(gib=1), LmCache(gib=1), CLIENT):
        assert value is kv_offload.offload_of(value)


@pytest.mark.parametrize("wrong", [7, "32Gi", {"gib": 1}, KvOffload, DISK])
def test_wrong(wrong: Any) -> None:
    """Anything else is rejected with what is one."""
    sentence = strategies.refusal(lambda: kv_offload.offload_of(wrong))

    assert sentence.endswith(
        "expected KvOffload(gib=...), LmCache(gib=...), LmCacheClient(host=...) or an "
        "LmCacheServer."
    )


def test_for_hybrid() -> None:
    """What a hybrid model offloads is hybrid, unless the user says whether it is."""
    offload, plain = KvOffload(gib=8), EngineArgs()
    sized = EngineArgs(kv_offloading_size=8)
    of_server = EngineArgs(kv_offloading_size=8, kv_offloading_backend="lmcache")
    hybrid = KvOffload(gib=8, hybrid=True)

    assert hybrid == kv_offload.for_hybrid(offload, plain)
    assert hybrid == kv_offload.for_hybrid(hybrid, None)
    assert hybrid == kv_offload.for_hybrid(None, sized)
    told = KvOffload(gib=8, hybrid=False)
    assert told is kv_offload.for_hybrid(told, sized)
    assert CLIENT is kv_offload.for_hybrid(CLIENT, plain)
    for engine in (None, plain, 7, of_server, EngineArgs(kv_offloading_size=0)):
        assert kv_offload.for_hybrid(None, engine) is None
    lmcache = LmCache(gib=8)
    off = EngineArgs(disable_hybrid_kv_cache_manager=True)
    assert lmcache is kv_offload.for_hybrid(lmcache, off)


SLEEPING = EngineArgs(enable_sleep_mode=True)
NIXL = EngineArgs(kv_transfer_config={"kv_connector": "NixlConnector", "kv_role": "kv_both"})
READ_ONLY = ExistingClaim("kv", access="ReadOnlyMany")
MEMORY = Volume.from_empty_dir(in_memory=True, size_limit="9Gi")
SET = "is set by kv_offload; leave one of them out."
CONTRADICTS = "contradicts kv_offload; leave one of them out."

REFUSED: list[tuple[strategies.Call, str]] = [
    (
        lambda: KvOffload(gib=0),
        "KvOffload.gib is 0; expected a number of GiB above 0.1 and up to 65536.",
    ),
    (
        lambda: KvOffload(gib=8, tiers=[CLAIM]),  # type: ignore[list-item]  # the mistake
        "; expected DiskTier(...) and BucketTier(...).",
    ),
    (
        lambda: KvOffload(gib=8, tiers=DISK),  # type: ignore[arg-type]  # the mistake
        "expected a list of DiskTier(...) and BucketTier(...).",
    ),
    (
        lambda: KvOffload(gib=8, tiers=[DISK, DISK]),
        "KvOffload.tiers has two tiers at one path; give each a DiskTier.path.",
    ),
    (
        lambda: KvOffload(gib=8, hybrid="yes"),  # type: ignore[arg-type]  # the mistake
        "KvOffload.hybrid is 'yes'; expected True or False.",
    ),
    (
        lambda: DiskTier("kv"),  # type: ignore[arg-type]  # the mistake
        "DiskTier.volume is 'kv'; expected a Volume, such as Volume.from_claim(...).",
    ),
    (
        lambda: DiskTier(Volume.from_claim(READ_ONLY)),
        (
            "DiskTier.volume is read-only (persistentVolumeClaim), and KV cache is written to it; "
            "give another volume."
        ),
    ),
    (
        lambda: DiskTier(MEMORY),
        (
            "DiskTier.volume is in the memory of the host, and not on a disk; give another volume, "
            "or raise gib."
        ),
    ),
    (lambda: DiskTier(CLAIM, path="kv"), "DiskTier.path is 'kv'; expected"),
    (
        lambda: DiskTier(CLAIM, read_threads=0),
        "DiskTier.read_threads is 0; expected an integer from 1 to 1024.",
    ),
    (
        lambda: BucketTier("kv", endpoint="a"),
        "BucketTier.bucket is 'kv'; expected 3 to 63 letters, digits, '.', '-' and '_'.",
    ),
    (
        lambda: BucketTier("kv-cache", endpoint="https://s3.example.com"),
        (
            "BucketTier.endpoint is 'https://s3.example.com'; expected a host, such as "
            "'s3.eu-west-1.amazonaws.com' or 'minio.minio.svc:9000'; give the scheme in scheme."
        ),
    ),
    (
        lambda: BucketTier("kv-cache", endpoint="a b"),
        (
            "BucketTier.endpoint is 'a b'; expected a host, such as 's3.eu-west-1.amazonaws.com' "
            "or 'minio.minio.svc:9000'."
        ),
    ),
    (
        lambda: BucketTier("kv-cache", endpoint="a", scheme="s3"),
        "BucketTier.scheme is 's3'; expected one of 'https', 'http'",
    ),
    (
        lambda: BucketTier("kv-cache", endpoint="a", prefix=""),
        "BucketTier.prefix is ''; expected a non-empty string.",
    ),
    (
        lambda: LmCache(gib=0.5),  # type: ignore[arg-type]  # the mistake
        "LmCache.gib is 0.5; expected an integer of GiB from 1 to 65536.",
    ),
    (
        lambda: LmCache(gib=8, disk=CLAIM),
        "LmCache needs both disk and disk_gib, or neither; give both.",
    ),
    (
        lambda: LmCache(gib=8, disk_gib=8),
        "LmCache needs both disk and disk_gib, or neither; give both.",
    ),
    (
        lambda: LmCache(gib=8, disk=Volume.from_secret("kv"), disk_gib=8),
        "LmCache.disk is read-only (secret), and KV cache is written to it; give another volume.",
    ),
    (
        lambda: LmCache(gib=8, disk=MEMORY, disk_gib=8),
        (
            "LmCache.disk is in the memory of the host, and not on a disk; give another volume, or "
            "raise gib."
        ),
    ),
    (
        lambda: LmCache(gib=8, disk=Volume.from_empty_dir(size_limit="99Gi"), disk_gib=100),
        (
            "LmCache.disk_gib is 100, more than the 99Gi of disk, at which the pod is evicted; "
            "lower it, or give a larger volume."
        ),
    ),
    (
        lambda: LmCache(gib=8, remote_url="redis.cache.svc:6379"),
        (
            "LmCache.remote_url is 'redis.cache.svc:6379'; expected a URL such as "
            "'redis://redis.cache.svc:6379'."
        ),
    ),
    (
        lambda: LmCache(gib=8, serde="kivi"),
        "LmCache.serde is 'kivi'; expected one of 'naive', 'cachegen'.",
    ),
    (
        lambda: LmCache(gib=8, chunk_size=8),
        "LmCache.chunk_size is 8; expected an integer of tokens from 16 to 65536.",
    ),
    (
        lambda: LmCacheClient(host="tcp://lmcache"),
        "LmCacheClient.host is 'tcp://lmcache'; expected a host, such as 'lmcache.llm.svc'.",
    ),
    (
        lambda: LmCacheClient(host="lmcache", port=0),
        "LmCacheClient.port is 0; expected an integer from 1 to 65535.",
    ),
    (
        lambda: pod(KvOffload(gib=8, tiers=[DISK]), version="0.21.0"),
        (
            "KvOffload.tiers are not yet in vLLM 0.21.0; use an image of vLLM 0.22 or newer, or "
            "leave them out."
        ),
    ),
    (
        lambda: pod(KvOffload(gib=8), engine=EngineArgs(kv_offloading_size=4)),
        f"EngineArgs.kv_offloading_size {SET}",
    ),
    (
        lambda: pod(KvOffload(gib=8), engine=EngineArgs(kv_offloading_backend="lmcache")),
        f"EngineArgs.kv_offloading_backend {CONTRADICTS}",
    ),
    (lambda: pod(KvOffload(gib=8), engine=NIXL), f"EngineArgs.kv_transfer_config {CONTRADICTS}"),
    (
        lambda: pod(KvOffload(gib=8, tiers=[DISK]), engine=EngineArgs(kv_offloading_size=8)),
        f"EngineArgs.kv_offloading_size {CONTRADICTS}",
    ),
    (lambda: pod(LmCache(gib=8), engine=NIXL), f"EngineArgs.kv_transfer_config {SET}"),
    (
        lambda: pod(LmCache(gib=8), engine=EngineArgs(kv_offloading_size=8)),
        f"EngineArgs.kv_offloading_size {CONTRADICTS}",
    ),
    (
        lambda: pod(CLIENT, engine=EngineArgs(kv_offloading_backend="lmcache")),
        f"EngineArgs.kv_offloading_backend {CONTRADICTS}",
    ),
    (
        lambda: pod(LmCache(gib=8), env={"LMCACHE_CHUNK_SIZE": "512"}),
        f"env['LMCACHE_CHUNK_SIZE'] {SET}",
    ),
    (
        lambda: pod(LmCache(gib=8), env={"LMCACHE_CONFIG_FILE": "/etc/lmcache.yaml"}),
        (
            "env['LMCACHE_CONFIG_FILE'] is given, and LMCache ignores all variables of kv_offload "
            "then; leave one of them out."
        ),
    ),
    (
        lambda: pod(LmCache(gib=8, disk=CLAIM, disk_gib=8), volumes={"/lmcache": MEMORY}),
        f"volumes['/lmcache'] {SET}",
    ),
    (
        lambda: pod(KvOffload(gib=8, tiers=[DiskTier(CLAIM, path="/dev/shm")])),  # noqa: S108  # the mistake
        "volumes['/dev/shm'] is a path at which something is mounted already; take another path.",
    ),
    (
        lambda: pod(CLIENT, version="0.22.0"),
        (
            "kv_offload is an LMCache server, whose client is not yet in vLLM 0.22.0; use an image "
            "of vLLM 0.23 or newer, or LmCache."
        ),
    ),
    (
        lambda: pod(CLIENT, gpu=MigSlice("1g.10gb")),
        (
            "kv_offload is an LMCache server, which can see only one MIG slice; use KvOffload or "
            "LmCache."
        ),
    ),
    (
        lambda: pod(CLIENT, engine=SLEEPING),
        (
            "EngineArgs.enable_sleep_mode is True, and its memory cannot be shared with an LMCache "
            "server; leave it out."
        ),
    ),
    (
        lambda: pod(CLIENT, env={"PYTORCH_CUDA_ALLOC_CONF": "a:1,expandable_segments:True"}),
        (
            "env['PYTORCH_CUDA_ALLOC_CONF'] has expandable segments, and their memory cannot be "
            "shared with an LMCache server; leave them out."
        ),
    ),
    (
        lambda: kv_offload.for_hybrid(LmCache(gib=8), EngineArgs()),
        (
            "kv_offload is an LmCache, but the model has layers of several kinds, and LMCache "
            "cannot keep their KV cache apart: vLLM turns its hybrid KV cache manager off, or does "
            "not start; use KvOffload or an LmCacheServer, or, for layers with a sliding window, "
            "give EngineArgs(disable_hybrid_kv_cache_manager=True)."
        ),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_refusals(call: strategies.Call, sentence: str) -> None:
    """What cannot work is refused with what would do."""
    assert sentence in strategies.refusal(call)


class Pod:
    """The parts of a pod on which it depends what is added, with an image for another platform."""

    model = "Qwen/Qwen3-8B"
    gpu: Any = WholeGpu(H100)
    engine = EngineArgs()
    cache = EphemeralCache()
    env: Mapping[str, str | EnvVarSource] = {}

    def __init__(self, family: str) -> None:
        self.image = f"vllm/vllm-openai-{family}:v0.33.0"
        self.release = VllmRelease(self.image)


@pytest.mark.parametrize(
    ("offload", "family", "sentence"),
    [
        (
            KvOffload(gib=8),
            "cpu",
            "kv_offload is given, but vLLM's connector does not run on CPU; leave it out.",
        ),
        (
            LmCache(gib=8),
            "xpu",
            (
                "kv_offload is LMCache, which the image for XPU does not have; use KvOffload, or "
                "another image."
            ),
        ),
        (
            LmCache(gib=8),
            "cpu",
            "kv_offload is LMCache, which the image for CPU does not have; leave it out.",
        ),
        (
            CLIENT,
            "rocm",
            (
                "kv_offload is an LMCache server, which cannot share memory of AMD's GPUs with a "
                "pod; use KvOffload or LmCache."
            ),
        ),
    ],
)
def test_platforms(offload: Any, family: str, sentence: str) -> None:
    """What a platform cannot do is refused."""
    assert sentence == strategies.refusal(lambda: offload.additions(Pod(family)))


@pytest.mark.parametrize(
    ("offload", "family"),
    [(KvOffload(gib=8), "rocm"), (KvOffload(gib=8), "xpu"), (LmCache(gib=8), "rocm")],
)
def test_other_platforms(offload: Any, family: str) -> None:
    """Other platforms have the same flags."""
    pods = [Pod(family), pod(None)]

    assert 1 == len({str(offload.additions(one)) for one in pods})


def test_old_release() -> None:
    """A release without the flag is refused."""
    sentence = strategies.refusal(lambda: pod(KvOffload(gib=8), version="0.11.0"))
    assert sentence.endswith("use an image of vLLM 0.12 or newer, or leave it out.")
