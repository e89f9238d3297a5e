"""One LMCache server on each node of eight H100, whose cache two models use, and its metrics."""

from cdk8s import App, Chart

from vllm_constructs import LmCacheServer, ModelCache, ModelDeployment, Nodes, WholeGpu

app = App()
chart = Chart(app, "chat", namespace="llm")
weights = ModelCache(chart, "weights", size="500Gi")
nodes = Nodes("gke")
server = LmCacheServer(
    chart,
    "lmcache",
    gib=400,
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3"),
    nodes=nodes,
    metrics_from=["monitoring"],
)
for name, model, gpus in (
    ("qwen-72b", "Qwen/Qwen2.5-72B-Instruct", 4),
    ("qwen-32b", "Qwen/Qwen3-32B", 2),
):
    ModelDeployment(
        chart,
        name,
        model=model,
        served_name=name,
        gpu=WholeGpu("NVIDIA-H100-80GB-HBM3", count=gpus),
        nodes=nodes,
        cache=weights,
        kv_offload=server,
    )
app.synth()
