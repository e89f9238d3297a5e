"""PodAdditions: options of a pod that add to its flags, variables, volumes and containers."""

from typing import Any

import pytest

from tests import strategies
from tests.support import assert_valid
from vllm_constructs import (
    ApiKey,
    AzureContainer,
    BucketTier,
    DiskTier,
    EngineArgs,
    GpuPodSpec,
    HuggingFaceMirror,
    Kubernetes,
    KvOffload,
    LmCache,
    LmCacheClient,
    LoraAdapter,
    OciImage,
    PodOptions,
    S3Bucket,
    Volume,
    WholeGpu,
)

GPU = WholeGpu("NVIDIA-H100-80GB-HBM3")
TIERS: list[DiskTier | BucketTier] = [
    DiskTier(Volume.from_claim("kv")),
    BucketTier("kv-cache", endpoint="s3.example.com"),
]

GIVEN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "native": {"kv_offload": KvOffload(gib=8)},
    "tiers": {"kv_offload": KvOffload(gib=8, tiers=TIERS)},
    "lmcache": {
        "kv_offload": LmCache(
            gib=8, disk=Volume.from_empty_dir(), disk_gib=64, remote_url="redis://redis.kv.svc:6379"
        )
    },
    "client": {"kv_offload": LmCacheClient(host="lmcache.llm.svc")},
    "bucket": {"weights": S3Bucket("s3://weights/qwen", secret="s3")},
    "azure": {
        "weights": AzureContainer("az://weights/qwen", account="llm"),
        "service_account": "llm",
    },
    "image": {"weights": OciImage("registry.example.com/qwen:1")},
    "adapters": {"lora_adapters": [LoraAdapter("sql", "org/sql")]},
    "loading": {"runtime_lora_loading": True, "api_key": ApiKey("clients")},
    "all": {
        "kv_offload": KvOffload(gib=8, tiers=TIERS),
        "weights": HuggingFaceMirror("https://hf-mirror.com"),
        "lora_adapters": [LoraAdapter("sql", "org/sql")],
        "runtime_lora_loading": True,
        "api_key": ApiKey("clients"),
    },
}


def pod(**options: Any) -> GpuPodSpec:
    """A pod with these options."""
    return GpuPodSpec(**{"model": "Qwen/Qwen2.5-7B-Instruct", "gpu": GPU, **options})


@pytest.mark.parametrize("delivery", ["args", "config-map"])
@pytest.mark.parametrize("name", GIVEN)
def test_again(name: str, delivery: Any) -> None:
    """A pod that is made again from its own options is equal, and so is what it renders."""
    made = pod(**GIVEN[name], engine=EngineArgs(max_model_len=4096, delivery=delivery))
    again = GpuPodSpec(**{key: getattr(made, key) for key in PodOptions.__annotations__})

    assert made == again
    newest = Kubernetes("1.37")
    assert strategies.spec_of(made, newest) == strategies.spec_of(again, newest)
    assert made.config_files() == again.config_files()
    assert made.added_labels == again.added_labels
    assert made.addresses == again.addresses


@pytest.mark.parametrize("name", GIVEN)
def test_validity(name: str) -> None:
    """What is added to a pod is what Kubernetes takes."""
    target = Kubernetes("1.35" if name == "image" else "1.27")
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": pod(**GIVEN[name]).manifest(kubernetes=target),
    }

    assert_valid(manifest, releases=[target.release, "1.37"])


def test_all() -> None:
    """Options that add to the same things add up."""
    made = pod(**GIVEN["all"])

    assert made.engine.kv_transfer_config
    assert made.engine.enable_lora
    variables = {"HF_ENDPOINT", "HF_HUB_DISABLE_XET", "VLLM_ALLOW_RUNTIME_LORA_UPDATING"}
    assert variables <= set(made.env)
    assert "/kv-cache" in made.volumes
    assert "https://s3.example.com" in made.addresses


def test_source() -> None:
    """What vLLM loads is the model, unless its weights are elsewhere."""
    assert "Qwen/Qwen2.5-7B-Instruct" == pod().source
    assert "/weights" == pod(**GIVEN["image"]).source
    streamed = pod(**GIVEN["bucket"])
    assert "s3://weights/qwen" == streamed.source
    assert [False, False, True] == [
        one.is_streamed for one in (pod(), pod(**GIVEN["image"]), streamed)
    ]


def test_labels() -> None:
    """Labels that an option needs are those of the pods."""
    assert {} == pod(**GIVEN["bucket"]).added_labels
    label = {"azure.workload.identity/use": "true"}
    assert label == pod(**GIVEN["azure"]).added_labels


def test_addresses() -> None:
    """Addresses that stand in no flag as such are known."""
    assert () == pod().addresses
    assert ("tcp://lmcache.llm.svc:5555",) == pod(**GIVEN["client"]).addresses


def test_runtime_loading() -> None:
    """The variable for loading adapters later is set by its option, and rejected without it."""
    name = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"

    assert "1" == pod(**GIVEN["loading"]).env[name]
    assert (
        f"env['{name}'] lets every client load adapters from any folder and repository; leave it "
        "out, or give runtime_lora_loading=True if that is meant."
    ) == strategies.refusal(lambda: pod(env={name: "1"}))
    assert f"env['{name}'] is set by runtime_lora_loading; leave one of them out." == (
        strategies.refusal(lambda: pod(**GIVEN["loading"], env={name: "0"}))
    )
