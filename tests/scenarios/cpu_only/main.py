"""A small model in a cluster without GPUs, on whole cores of two NUMA nodes."""

from cdk8s import App, Chart

from vllm_constructs import Cpu, EngineArgs, ModelCache, ModelDeployment, Startup

app = App()
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen-cpu",
    model="Qwen/Qwen2.5-3B-Instruct",
    gpu=Cpu(cores=64, memory_gib=96, kv_cache_gib=16, numa_nodes=2),
    engine=EngineArgs(max_model_len=8192),
    cache=ModelCache(chart, "weights", size="20Gi", storage_class="standard"),
    startup=Startup(minutes=30),
)
app.synth()
