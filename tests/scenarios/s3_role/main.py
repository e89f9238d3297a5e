"""A model that is streamed from S3 with a role of IRSA or EKS Pod Identity."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, ModelDeployment, S3Bucket, WholeGpu

app = App()
chart = Chart(app, "llama", namespace="llm")
ModelDeployment(
    chart,
    "llama",
    model="meta-llama/Llama-3.1-8B-Instruct",
    served_name="llama",
    gpu=WholeGpu("NVIDIA-L40S"),
    replicas=3,
    engine=EngineArgs(max_model_len=32768),
    weights=S3Bucket("s3://models-eu/llama-3.1-8b-instruct", region="eu-central-1"),
    service_account="bucket-reader",
)
app.synth()
