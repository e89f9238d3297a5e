"""A model in MinIO inside of the cluster, with keys from a Secret."""

from cdk8s import App, Chart

from vllm_constructs import EngineArgs, ModelDeployment, S3Bucket, WholeGpu

app = App()
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen-32b",
    model="Qwen/Qwen2.5-32B-Instruct",
    served_name="qwen-32b",
    gpu=WholeGpu("NVIDIA-A100-SXM4-80GB", count=2),
    memory=("64Gi", "96Gi"),
    engine=EngineArgs(max_model_len=16384, model_loader_extra_config={"concurrency": 32}),
    weights=S3Bucket(
        "s3://models/qwen2.5-32b-instruct",
        endpoint="http://minio.minio.svc:9000",
        secret="minio",
        access_key_id="rootUser",
        secret_access_key="rootPassword",
    ),
)
app.synth()
