"""Cpu: cores and memory, without any accelerator."""

from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from vllm_constructs import Cpu, EngineArgs, GpuPodSpec, KvOffload, LmCache, Nodes
from vllm_constructs.memory.fit import check_fit

CPU = Cpu(cores=32, memory_gib=64)


def spec(gpu: Cpu = CPU, **options: Any) -> dict[str, Any]:
    """Return the `spec` of a pod."""
    return GpuPodSpec(model="a/b", gpu=gpu, **options).manifest()


def test_pod() -> None:
    """The pod has cores of its own: requests and limits are equal, and no device is there."""
    found = spec()
    (container,) = found["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}

    assert {"cpu": "32", "memory": "64Gi"} == container["resources"]["limits"]
    assert container["resources"]["limits"].items() <= container["resources"]["requests"].items()
    assert "16" == variables["VLLM_CPU_KVCACHE_SPACE"]
    assert "vllm/vllm-openai-cpu:v0.33.0" == container["image"]
    assert {"kubernetes.io/arch": "amd64"} == found["nodeSelector"]
    assert "tolerations" not in found
    (shm,) = [one for one in found["volumes"] if one["name"] == "shm"]
    assert "4Gi" == shm["emptyDir"]["sizeLimit"]


def test_numa_nodes() -> None:
    """The engine is split over NUMA nodes, each with a KV cache of its own."""
    gpu = Cpu(cores=64, memory_gib=256, kv_cache_gib=40, numa_nodes=2)

    assert "--tensor-parallel-size=2" in spec(gpu)["containers"][0]["args"]
    assert (0, 2, 16) == (gpu.count, gpu.devices, gpu.most)
    assert 126 * 1024 == gpu.device_mib


@pytest.mark.parametrize("nodes", [Nodes(), Nodes("any"), Nodes("gke"), Nodes(labels={"a": "b"})])
def test_nodes(nodes: Nodes) -> None:
    """An image is built for one architecture, wherever the nodes are."""
    gpu = Cpu(cores=8, memory_gib=32, architecture="arm64")
    found = spec(gpu, nodes=nodes)

    assert {"kubernetes.io/arch": "arm64", **(nodes.labels or {})} == found["nodeSelector"]


def test_taints() -> None:
    """A pod on CPUs does not go to nodes that are kept for GPUs, but may go to spot nodes."""
    assert "tolerations" not in spec(nodes=Nodes("aks"))
    (spot,) = Nodes("aks", spot=True).tolerations(CPU)
    assert "kubernetes.azure.com/scalesetpriority" == spot["key"]


@settings(max_examples=100, deadline=None)
@given(strategies.cpus())
def test_memory(gpu: Cpu) -> None:
    """The KV cache of all NUMA nodes leaves memory for weights and processes."""
    assert gpu.cache_gib >= 1
    assert gpu.device_mib is not None
    assert gpu.cache_gib * 1024 < gpu.device_mib
    assert gpu.device_mib * gpu.numa_nodes < gpu.memory_gib * 1024


REFUSED: list[tuple[strategies.Call, str]] = [
    (
        lambda: Cpu(cores=0, memory_gib=64),
        "Cpu.cores is 0; expected an integer of cores from 1 to 1024.",
    ),
    (
        lambda: Cpu(cores=1.5, memory_gib=64),  # type: ignore[arg-type]  # the mistake
        "Cpu.cores is 1.5; expected an integer of cores from 1 to 1024.",
    ),
    (
        lambda: Cpu(cores=4, memory_gib="64Gi"),  # type: ignore[arg-type]  # the mistake
        "Cpu.memory_gib is '64Gi'; expected an integer of GiB from 2 to 65536.",
    ),
    (
        lambda: Cpu(cores=4, memory_gib=64, numa_nodes=17),
        "Cpu.numa_nodes is 17; expected an integer from 1 to 16.",
    ),
    (
        lambda: Cpu(cores=4, memory_gib=64, architecture="x86_64"),  # type: ignore[arg-type]  # the mistake
        "Cpu.architecture is 'x86_64'; expected one of 'amd64', 'arm64'.",
    ),
    (
        lambda: Cpu(cores=4, memory_gib=64, kv_cache_gib=60),
        (
            "Cpu.kv_cache_gib is 60 on 1 NUMA nodes, which leaves no memory for weights: the "
            "processes "
            "take 4 of the 64 GiB; lower it, or raise Cpu.memory_gib."
        ),
    ),
    (
        lambda: Cpu(cores=4, memory_gib=5),
        (
            "Cpu.kv_cache_gib is 1 on 1 NUMA nodes, which leaves no memory for weights: the "
            "processes "
            "take 4 of the 5 GiB; lower it, or raise Cpu.memory_gib."
        ),
    ),
    (lambda: spec(cpu="4"), "cpu is set by gpu; give Cpu.cores."),
    (lambda: spec(cpu=("4", "8")), "cpu is set by gpu; give Cpu.cores."),
    (lambda: spec(memory="32Gi"), "memory is set by gpu; give Cpu.memory_gib."),
    (
        lambda: spec(shared_memory="64Gi"),
        (
            "shared_memory is '64Gi', not below the memory limit '64Gi', which includes it; "
            "lower it, "
            "or raise memory."
        ),
    ),
    (
        lambda: spec(engine=EngineArgs(kv_cache_memory_bytes="8G")),
        (
            "EngineArgs.kv_cache_memory_bytes has no effect on CPUs, whose KV cache has the "
            "size that "
            "gpu says; give Cpu.kv_cache_gib."
        ),
    ),
    (
        lambda: spec(engine=EngineArgs(gpu_memory_utilization=0.5)),
        (
            "EngineArgs.gpu_memory_utilization has no effect on CPUs, whose KV cache has the "
            "size that "
            "gpu says; give Cpu.kv_cache_gib."
        ),
    ),
    (
        lambda: spec(engine=EngineArgs(cpu_offload_gb=4)),
        (
            "EngineArgs.cpu_offload_gb keeps weights in the memory of the pod, where CPUs "
            "have them "
            "anyway; leave it out."
        ),
    ),
    (
        lambda: spec(engine=EngineArgs(tensor_parallel_size=2)),
        (
            "EngineArgs needs 2 NUMA nodes (tensor 2 x pipeline 1 x data 1), but the pod has "
            "1; give "
            "Cpu(numa_nodes=2), or leave tensor_parallel_size out to use them all."
        ),
    ),
    (
        lambda: spec(env={"VLLM_CPU_KVCACHE_SPACE": "8"}),
        "env['VLLM_CPU_KVCACHE_SPACE'] is set by gpu; give Cpu.kv_cache_gib.",
    ),
    (
        lambda: spec(kv_offload=KvOffload(gib=8)),
        "kv_offload is given, but vLLM's connector does not run on CPU; leave it out.",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_refusals(call: strategies.Call, sentence: str) -> None:
    """What the accelerator says itself, and what CPUs cannot do, is refused in one sentence."""
    assert sentence == strategies.refusal(call)


def test_memory_plan() -> None:
    """What does not fit is said in the words of CPUs."""
    sentence = strategies.refusal(
        lambda: check_fit("x", GpuPodSpec(model="Qwen/Qwen2.5-72B-Instruct", gpu=CPU), None)
    )

    assert "x: Qwen/Qwen2.5-72B-Instruct does not fit on 32 CPU cores: weights" in sentence
    assert "Cpu.kv_cache_gib leave" in sentence
    assert "of each NUMA node; raise Cpu.memory_gib." in sentence


def test_suggestions() -> None:
    """What fits is a shorter context, and no flag that has no effect on CPUs."""
    small = Cpu(cores=8, memory_gib=32, kv_cache_gib=1)
    sentence = strategies.refusal(
        lambda: check_fit("x", GpuPodSpec(model="Qwen/Qwen2.5-7B-Instruct", gpu=small), None)
    )

    assert "Cpu.kv_cache_gib gives 1.00 GiB" in sentence
    assert "max_model_len=" in sentence
    assert "kv_cache_memory_bytes" not in sentence
    assert "gpu_memory_utilization" not in sentence


def test_lmcache() -> None:
    """The image for CPUs has no LMCache."""
    expected = "kv_offload is LMCache, which the image for CPU does not have"
    assert strategies.refusal(lambda: spec(kv_offload=LmCache(gib=8))).startswith(expected)


@pytest.mark.parametrize(("nodes", "gib"), [(1, 16), (2, 8), (4, 4)])
def test_default_cache(nodes: int, gib: int) -> None:
    """The KV caches of all NUMA nodes take a quarter of the memory by default."""
    assert gib == Cpu(cores=32, memory_gib=64, numa_nodes=nodes).cache_gib
