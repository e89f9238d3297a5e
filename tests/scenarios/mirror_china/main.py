"""A gated model of the Hub, by its mirror in China."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    HuggingFaceMirror,
    HuggingFaceToken,
    ModelCache,
    ModelDeployment,
    WholeGpu,
)

app = App()
chart = Chart(app, "llama", namespace="llm")
ModelDeployment(
    chart,
    "llama",
    model="meta-llama/Llama-3.1-8B-Instruct",
    served_name="llama",
    gpu=WholeGpu("NVIDIA-L20"),
    engine=EngineArgs(max_model_len=16384),
    weights=HuggingFaceMirror("https://hf-mirror.com"),
    hf_token=HuggingFaceToken.from_secret("hf-token"),
    cache=ModelCache(chart, "weights", size="50Gi"),
)
app.synth()
