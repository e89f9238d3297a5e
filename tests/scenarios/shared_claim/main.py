"""Two replicas that share one claim, in two zones, so that one of them survives a zone."""

from cdk8s import App, Chart

from vllm_constructs import (
    DisruptionBudget,
    ModelCache,
    ModelDeployment,
    TopologySpread,
    WholeGpu,
)

app = App()
chart = Chart(app, "chat", namespace="llm")
model = ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-14B-Instruct",
    served_name="qwen-14b",
    gpu=WholeGpu("NVIDIA-L40S"),
    replicas=2,
    cache=ModelCache(chart, "weights", size="80Gi", storage_class="cephfs"),
    topology_spread=[
        TopologySpread("topology.kubernetes.io/zone", required=True),
        TopologySpread(),
    ],
)
DisruptionBudget(chart, "budget", target=model)
app.synth()
