"""A model on two H100 that the DRA driver hands out, in a cluster without a device plugin."""

from cdk8s import App, Chart

from vllm_constructs import DeviceClaim, EngineArgs, Kubernetes, ModelDeployment

app = App()
Kubernetes("1.35").set_on(app)
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen-dra",
    model="Qwen/Qwen3-32B",
    gpu=DeviceClaim("NVIDIA-H100-80GB-HBM3", count=2),
    engine=EngineArgs(max_model_len=32768),
)
app.synth()
