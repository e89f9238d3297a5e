"""One MIG slice of an H100 whose device plugin calls each slice a GPU (strategy "single")."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, EphemeralCache, MigSlice, ModelDeployment

app = App()
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen3-0.6B",
    gpu=MigSlice("1g.10gb", product="NVIDIA-H100-80GB-HBM3", strategy="single"),
    cpu="1",
    memory=("6Gi", "10Gi"),
    engine=EngineArgs(max_model_len=8192),
    cache=EphemeralCache(size="8Gi"),
)
app.synth()
