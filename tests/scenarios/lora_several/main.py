"""Adapters from the Hub, an OCI image and a bucket, on a cluster of Kubernetes 1.35."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    Kubernetes,
    LoraAdapter,
    ModelCache,
    ModelDeployment,
    S3Bucket,
    Volume,
    WholeGpu,
)

app = App()
Kubernetes("1.35").set_on(app)
chart = Chart(app, "adapters", namespace="llm")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    served_name="qwen",
    gpu=WholeGpu("NVIDIA-A100-SXM4-80GB"),
    engine=EngineArgs(max_model_len=32768, max_loras=2),
    cache=ModelCache(chart, "weights", size="50Gi"),
    lora_adapters=[
        LoraAdapter("zh", "example-org/qwen2.5-7b-zh"),
        LoraAdapter("legal", Volume.from_image("registry.example.com/adapters/legal:v3")),
        LoraAdapter("sql.v2", S3Bucket("s3://adapters/sql/v2", secret="s3", region="eu-west-1")),
    ],
)
app.synth()
