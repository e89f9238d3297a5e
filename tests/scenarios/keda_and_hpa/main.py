"""Two models scaled on their queues, by KEDA and by an HPA, with one Prometheus for both.

Prometheus is that of its community's own chart, which finds pods by their annotations.
"""

from cdk8s import App, Chart

from vllm_constructs import (
    EngineArgs,
    FluxHelmRelease,
    HpaScaler,
    KedaScaler,
    ModelCache,
    ModelDeployment,
    PrometheusAdapter,
    QueueDepth,
    WholeGpu,
)

PROMETHEUS = "http://prometheus-server.prometheus.svc"

app = App()
chart = Chart(app, "models", namespace="llm")
cache = ModelCache(chart, "weights", size="100Gi", storage_class="efs-sc")
chat = ModelDeployment(
    chart,
    "chat",
    model="Qwen/Qwen3-8B",
    served_name="qwen3-8b",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=cache,
)
KedaScaler(
    chart,
    "chat-scaler",
    target=chat,
    min_replicas=1,
    max_replicas=4,
    prometheus=PROMETHEUS,
    triggers=[QueueDepth(5)],
)
coder = ModelDeployment(
    chart,
    "coder",
    model="Qwen/Qwen2.5-Coder-7B-Instruct",
    served_name="qwen-coder",
    gpu=WholeGpu("NVIDIA-L40S"),
    engine=EngineArgs(max_model_len=16384),
    cache=cache,
)
HpaScaler(
    chart,
    "coder-scaler",
    target=coder,
    min_replicas=1,
    max_replicas=3,
    triggers=[QueueDepth(4)],
)

platform = Chart(app, "platform")
PrometheusAdapter(
    platform,
    "prometheus-adapter",
    delivery=FluxHelmRelease(),
    prometheus=PROMETHEUS,
    namespace="prometheus",
)
app.synth()
