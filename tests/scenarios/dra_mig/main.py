"""A small model on a MIG slice that the DRA driver hands out."""

from cdk8s import App, Chart

from vllm_constructs import DeviceClaim, EngineArgs, Kubernetes, ModelDeployment

app = App()
Kubernetes("1.35").set_on(app)
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen-mig",
    model="Qwen/Qwen2.5-3B-Instruct",
    gpu=DeviceClaim("NVIDIA-A100-SXM4-80GB", profile="2g.20gb"),
    engine=EngineArgs(max_model_len=8192),
)
app.synth()
