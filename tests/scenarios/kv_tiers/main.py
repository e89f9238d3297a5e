"""KV cache in three tiers: memory, a claim of each zone, and a bucket of S3 that all pods share."""

from cdk8s import App, Chart

from vllm_constructs import (
    BucketTier,
    DiskTier,
    EngineArgs,
    KvOffload,
    ModelCache,
    ModelDeployment,
    Nodes,
    Volume,
    WholeGpu,
)

app = App()
chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "qwen-72b",
    model="Qwen/Qwen2.5-72B-Instruct",
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3", count=4),
    nodes=Nodes("karpenter"),
    replicas=2,
    cache=ModelCache(chart, "weights", size="300Gi", storage_class="efs-sc"),
    engine=EngineArgs(max_model_len=32768),
    kv_offload=KvOffload(
        gib=200,
        tiers=[
            DiskTier(Volume.from_claim("kv-cache"), path="/mnt/kv"),
            BucketTier(
                "example-kv-cache",
                endpoint="s3.eu-west-1.amazonaws.com",
                region="eu-west-1",
                prefix="qwen-72b",
            ),
        ],
    ),
    # Its role may read and write the bucket.
    service_account="kv-cache",
)
app.synth()
