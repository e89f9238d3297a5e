"""Karpenter on AWS: spot nodes with A100 of 80 GB, which a pod leaves within the notice."""

from cdk8s import App, Chart

from vllm_constructs import (
    DisruptionBudget,
    Drain,
    EngineArgs,
    ModelCache,
    ModelDeployment,
    Nodes,
    Startup,
    TopologySpread,
    WholeGpu,
)

app = App()
chart = Chart(app, "chat", namespace="llm")
model = ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-72B-Instruct",
    gpu=WholeGpu("NVIDIA-A100-SXM4-80GB", count=4),
    nodes=Nodes("karpenter", spot=True),
    replicas=2,
    cache=ModelCache(chart, "weights", size="300Gi", storage_class="efs-sc"),
    engine=EngineArgs(max_model_len=32768),
    startup=Startup(minutes=30),
    # A spot node has two minutes.
    drain=Drain(seconds=90, pre_stop=20),
    response_timeout=90,
    pod_annotations={"karpenter.sh/do-not-disrupt": "true"},
    topology_spread=[TopologySpread(), TopologySpread("topology.kubernetes.io/zone")],
)
DisruptionBudget(chart, "budget", target=model)
app.synth()
