"""One MIG slice of an A100 whose device plugin names each profile (strategy "mixed")."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, MigSlice, ModelCache, ModelDeployment

app = App()
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    gpu=MigSlice("3g.40gb", product="NVIDIA-A100-SXM4-80GB"),
    replicas=2,
    engine=EngineArgs(max_model_len=16384),
    cache=ModelCache(chart, "weights", size="40Gi"),
)
app.synth()
