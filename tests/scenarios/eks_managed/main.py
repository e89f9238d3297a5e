"""EKS: weights from a bucket through an IAM role, on four L40S, behind an internal ALB."""

import cdk8s_plus_27 as kplus
from cdk8s import ApiObjectMetadata, App, Chart

from vllm_constructs import (
    AwsAlb,
    Container,
    EngineArgs,
    ModelCache,
    ModelDeployment,
    ModelShape,
    Nodes,
    Startup,
    StreamingIngress,
    Volume,
    WholeGpu,
)

app = App()
chart = Chart(app, "chat", namespace="llm")
account = kplus.ServiceAccount(
    chart,
    "account",
    metadata=ApiObjectMetadata(
        name="vllm",
        annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/vllm-weights"},
    ),
)
weights = ModelCache(chart, "weights", size="300Gi", storage_class="efs-sc")
model = ModelDeployment(
    chart,
    "qwen",
    model="/model-cache/Qwen2.5-72B-Instruct",
    served_name="qwen-72b",
    shape=ModelShape.named("Qwen/Qwen2.5-72B-Instruct"),
    gpu=WholeGpu("NVIDIA-L40S", count=4),
    nodes=Nodes("eks"),
    cache=weights,
    engine=EngineArgs(max_model_len=16384),
    startup=Startup(minutes=30),
    response_timeout=600,
    service_account=account,
    init_containers=[
        Container(
            name="sync-weights",
            image="public.ecr.aws/aws-cli/aws-cli:2.27.50",
            args=[
                "s3",
                "sync",
                "s3://example-model-weights/Qwen2.5-72B-Instruct",
                "/model-cache/Qwen2.5-72B-Instruct",
            ],
            # The CLI keeps the credentials of the role in its home.
            env={"HOME": "/model-cache"},
            volumes={"/model-cache": Volume.from_claim(weights, name="model-cache")},
            cpu="2",
            memory=("1Gi", "4Gi"),
        )
    ],
)
StreamingIngress(
    chart,
    "ingress",
    target=model,
    host="qwen.llm.example.com",
    controller=AwsAlb(
        subnets=["10.0.96.0/20", "10.0.112.0/20"],
        certificate="arn:aws:acm:eu-central-1:111122223333:certificate/"
        "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
    ),
)
app.synth()
