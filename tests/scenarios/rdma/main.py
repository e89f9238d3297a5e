"""Two H100 and an InfiniBand adapter, through which engines pass KV caches to each other."""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    ModelCache,
    ModelDeployment,
    Namespace,
    PodSecurity,
    Startup,
    Volume,
    WholeGpu,
)

app = App()
cluster = Chart(app, "cluster")
Namespace(cluster, "namespace", name="llm", pod_security="privileged")

chart = Chart(app, "chat", namespace="llm")
ModelDeployment(
    chart,
    "qwen3",
    model="Qwen/Qwen3-32B",
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3", count=2),
    replicas=2,
    cache=ModelCache(chart, "weights", size="150Gi"),
    resources={"rdma/ib": 1, "hugepages-2Mi": "1Gi"},
    volumes={"/dev/hugepages": Volume({"emptyDir": {"medium": "HugePages"}})},
    # Only root has the capability in effect, with which it locks memory for the adapter.
    security=PodSecurity(user="root", capabilities=["IPC_LOCK"]),
    engine=EngineArgs(
        kv_transfer_config={"kv_connector": "NixlConnector", "kv_role": "kv_both"},
    ),
    env={"UCX_TLS": "rc,cuda_copy,cuda_ipc,sm", "UCX_NET_DEVICES": "mlx5_0:1"},
    startup=Startup(minutes=20),
)
app.synth()
