"""A model on spot L4 GPUs of GKE, behind an internal load balancer, without the GPU Operator."""

from cdk8s import App, Chart

from vllm_constructs import (
    Drain,
    ModelCache,
    ModelDeployment,
    Nodes,
    ServiceOptions,
    WholeGpu,
)

app = App()
chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    gpu=WholeGpu("NVIDIA-L4"),
    nodes=Nodes("gke", spot=True),
    drain=Drain(seconds=8, pre_stop=5),
    cache=ModelCache(chart, "weights", size="50Gi", storage_class="premium-rwx"),
    service_account="vllm",
    allow_from=["10.0.0.0/8"],
    service_options=ServiceOptions(
        type="LoadBalancer",
        port=80,
        annotations={"networking.gke.io/load-balancer-type": "Internal"},
    ),
)
app.synth()
