"""Two replicas of a small model that share one L40S by one claim."""

from cdk8s import App, Chart

from vllm_constructs import DeviceClaim, EngineArgs, Kubernetes, ModelCache, ModelDeployment

app = App()
Kubernetes("1.35").set_on(app)
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen-shared",
    model="Qwen/Qwen2.5-3B-Instruct",
    gpu=DeviceClaim("NVIDIA-L40S", shared_by=2),
    replicas=2,
    engine=EngineArgs(max_model_len=8192),
    cache=ModelCache(chart, "weights", size="20Gi", storage_class="nfs"),
)
app.synth()
