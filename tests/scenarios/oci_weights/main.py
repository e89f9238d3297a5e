"""Weights in an OCI image of a private registry, on a cluster of Kubernetes 1.35."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, Kubernetes, ModelDeployment, OciImage, WholeGpu

app = App()
Kubernetes("1.35").set_on(app)
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    served_name="qwen",
    gpu=WholeGpu("NVIDIA-L40S"),
    replicas=2,
    engine=EngineArgs(max_model_len=16384),
    weights=OciImage("registry.example.com/weights/qwen2.5-7b:v1", path="model"),
    image_pull_secrets=["registry"],
)
app.synth()
