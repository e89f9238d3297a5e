"""On-premises nodes with labels and taints of their own, and weights on an NFS server."""

from cdk8s import App, Chart

from vllm_constructs import (
    Dns,
    EngineArgs,
    ModelDeployment,
    ModelShape,
    Namespace,
    Nodes,
    PodSecurity,
    Toleration,
    Volume,
    WholeGpu,
)

app = App()
# The level "restricted" admits no NFS without a claim.
Namespace(Chart(app, "cluster"), "namespace", name="llm", pod_security="baseline")

chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "qwen",
    model="/models/Qwen2.5-32B-Instruct",
    served_name="qwen-32b",
    shape=ModelShape.named("Qwen/Qwen2.5-32B-Instruct"),
    gpu=WholeGpu("NVIDIA-RTX-A6000", count=2),
    nodes=Nodes(labels={"example.com/gpu": "a6000"}),
    tolerations=[Toleration(key="example.com/dedicated", value="inference")],
    runtime_class="nvidia",
    scheduler="volcano",
    replicas=2,
    engine=EngineArgs(max_model_len=16384),
    # The files of the server belong to user and group 1000.
    security=PodSecurity(user=1000, group=1000, read_only_root=True),
    volumes={
        "/models": Volume(
            {"nfs": {"server": "nfs.example.com", "path": "/export/models"}}, read_only=True
        )
    },
    host_aliases={"10.20.0.15": ["nfs.example.com", "license.example.com"]},
    dns=Dns(searches=["example.com"], options={"ndots": "2", "edns0": ""}),
)
app.synth()
