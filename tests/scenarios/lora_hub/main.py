"""One adapter from the Hub beside a gated model."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    HuggingFaceToken,
    LoraAdapter,
    ModelCache,
    ModelDeployment,
    WholeGpu,
)

app = App()
chart = Chart(app, "sql", namespace="llm")
ModelDeployment(
    chart,
    "llama",
    model="meta-llama/Llama-3.2-3B-Instruct",
    served_name="llama",
    gpu=WholeGpu("NVIDIA-L4"),
    replicas=2,
    engine=EngineArgs(max_model_len=16384),
    hf_token=HuggingFaceToken.from_secret("hf-token"),
    cache=ModelCache(chart, "weights", size="50Gi"),
    lora_adapters=[LoraAdapter("sql", "jeeejeee/llama32-3b-text2sql-spider", rank=32)],
)
app.synth()
