"""A gated model that a Job downloads once, at a fixed commit, for all replicas."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    HuggingFaceToken,
    ModelCache,
    ModelDeployment,
    ModelDownload,
    WholeGpu,
)

app = App()
chart = Chart(app, "llama", namespace="llm")
cache = ModelCache(chart, "weights", size="50Gi", storage_class="cephfs")
weights = ModelDownload(
    chart,
    "llama-8b-weights",
    model="meta-llama/Llama-3.1-8B-Instruct",
    revision="0e9e39f249a16976918f6564b8830bc894c89659",
    cache=cache,
    hf_token=HuggingFaceToken.from_secret("hf-token"),
    exclude=["original/*"],
)
ModelDeployment(
    chart,
    "llama-8b",
    model="meta-llama/Llama-3.1-8B-Instruct",
    served_name="llama-8b",
    gpu=WholeGpu("NVIDIA-L40S"),
    replicas=3,
    engine=EngineArgs(max_model_len=32768),
    cache=cache,
    weights=weights,
)
app.synth()
