"""LMCache inside of the engine: 80 GiB of memory and 400 GiB of the node's disk for KV cache."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, LmCache, ModelCache, ModelDeployment, Volume, WholeGpu

app = App()
chart = Chart(app, "documents", namespace="llm")
ModelDeployment(
    chart,
    "qwen-32b",
    model="Qwen/Qwen3-32B",
    # LMCache's own image; its tag says the release of LMCache.
    image="lmcache/vllm-openai:v0.5.6",
    vllm="0.33.0",
    gpu=WholeGpu("NVIDIA-L40S", count=4),
    cache=ModelCache(chart, "weights", size="150Gi"),
    engine=EngineArgs(max_model_len=32768, enable_prefix_caching=True),
    kv_offload=LmCache(
        gib=80,
        disk=Volume.from_empty_dir(size_limit="500Gi", name="lmcache-disk"),
        disk_gib=400,
        chunk_size=512,
    ),
)
app.synth()
