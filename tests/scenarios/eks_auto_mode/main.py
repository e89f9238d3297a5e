"""EKS Auto Mode: a small model on an L4, with its weights on a disk of the cluster's EBS class."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    Kubernetes,
    ModelCache,
    ModelDeployment,
    Nodes,
    WholeGpu,
)

app = App()
Kubernetes("1.33").set_on(app)
chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "qwen3",
    model="Qwen/Qwen3-8B",
    gpu=WholeGpu("NVIDIA-L4"),
    nodes=Nodes("eks-auto-mode"),
    cache=ModelCache(
        chart, "weights", size="60Gi", storage_class="auto-ebs-sc", access="ReadWriteOnce"
    ),
    engine=EngineArgs(max_model_len=16384, reasoning_parser="qwen3"),
    cpu="3",
    memory=("12Gi", "14Gi"),
)
app.synth()
