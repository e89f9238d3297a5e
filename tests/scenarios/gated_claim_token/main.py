"""A gated model whose weights are on a claim of another tool, with a token from a Secret."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    ExistingClaim,
    HuggingFaceToken,
    ModelDeployment,
    WholeGpu,
)

app = App()
chart = Chart(app, "llama", namespace="llm")
ModelDeployment(
    chart,
    "llama-8b",
    model="meta-llama/Llama-3.1-8B-Instruct",
    served_name="llama-8b",
    gpu=WholeGpu("NVIDIA-L40S"),
    engine=EngineArgs(max_model_len=32768),
    cache=ExistingClaim("hf-models", size="200Gi"),
    hf_token=HuggingFaceToken.from_secret("hf-secret", key="hf_api_token"),
)
app.synth()
