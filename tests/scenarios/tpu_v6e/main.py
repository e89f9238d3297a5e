"""A model on a node pool of GKE with four TPU v6e chips, on spot nodes, run as root."""

from cdk8s import App, Chart

from vllm_constructs import (
    Drain,
    EngineArgs,
    ModelDeployment,
    Namespace,
    Nodes,
    PodSecurity,
    Startup,
    Tpu,
)

app = App()
Namespace(Chart(app, "cluster"), "namespace", name="llm", pod_security="baseline")
chart = Chart(app, "qwen", namespace="llm")
ModelDeployment(
    chart,
    "qwen-tpu",
    model="Qwen/Qwen3-32B",
    gpu=Tpu("v6e", topology="2x2"),
    nodes=Nodes("gke", spot=True),
    drain=Drain(seconds=8, pre_stop=5),
    engine=EngineArgs(max_model_len=8192, max_num_batched_tokens=2048),
    startup=Startup(minutes=60),
    security=PodSecurity(user="root"),
)
app.synth()
