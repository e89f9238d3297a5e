"""A model with an API key and two names, whose replicas another autoscaler sets."""

from cdk8s import App, Chart

from vllm_constructs import (
    ApiKey,
    DisruptionBudget,
    EngineArgs,
    ModelCache,
    ModelDeployment,
    ReplicaRange,
    WholeGpu,
)

app = App()
chart = Chart(app, "gpt-oss", namespace="llm")
model = ModelDeployment(
    chart,
    "gpt-oss",
    model="openai/gpt-oss-20b",
    served_name=["gpt-oss-20b", "default"],
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3"),
    replicas=ReplicaRange(min_replicas=2, max_replicas=6),
    engine=EngineArgs(max_model_len=65536),
    cache=ModelCache(chart, "weights", size="60Gi", storage_class="cephfs"),
    api_key=ApiKey.from_secret("vllm-api-key", key="api-key"),
    allow_from=["gateway"],
)
DisruptionBudget(chart, "budget", target=model, min_available=1)
app.synth()
