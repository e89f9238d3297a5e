"""A small model on CPUs, for a cluster of kind or k3d on a laptop.

It downloads 1 GB of weights when its pod starts.
"""

from cdk8s import App, Chart

from vllm_constructs import Cpu, EngineArgs, ModelDeployment

app = App()
chart = Chart(app, "quickstart", namespace="default")
ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-0.5B-Instruct",
    served_name="qwen",
    gpu=Cpu(cores=2, memory_gib=8, kv_cache_gib=1),
    engine=EngineArgs(max_model_len=4096),
)
app.synth()
