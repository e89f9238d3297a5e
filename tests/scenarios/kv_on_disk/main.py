"""Eight H200 whose KV cache goes to memory and from there to a claim that both replicas share."""

from cdk8s import App, Chart

from vllm_constructs import (
    DiskTier,
    EngineArgs,
    KvOffload,
    ModelCache,
    ModelDeployment,
    Startup,
    Volume,
    WholeGpu,
)

app = App()
chart = Chart(app, "agents", namespace="llm")
kv = ModelCache(chart, "kv-cache", size="4Ti", storage_class="fast-rwx")
ModelDeployment(
    chart,
    "qwen-235b",
    model="Qwen/Qwen3-235B-A22B",
    gpu=WholeGpu("NVIDIA-H200", count=8),
    replicas=2,
    cache=ModelCache(chart, "weights", size="1Ti", storage_class="fast-rwx"),
    engine=EngineArgs(max_model_len=40960),
    kv_offload=KvOffload(
        gib=512,
        tiers=[DiskTier(Volume.from_claim(kv), read_threads=32, write_threads=16)],
    ),
    startup=Startup(minutes=45),
)
app.synth()
