"""One model on L20 and H100, each kind scaled by itself, behind one Service."""

import cdk8s_plus_27 as kplus
from cdk8s import ApiObjectMetadata, App, Chart

from vllm_constructs import (
    EngineArgs,
    KedaScaler,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    QueueDepth,
    WholeGpu,
)

GPUS = {"l20": WholeGpu("NVIDIA-L20"), "h100": WholeGpu("NVIDIA-H100-80GB-HBM3")}
MOST = {"l20": 6, "h100": 2}

app = App()
chart = Chart(app, "qwen", namespace="llm")
cache = ModelCache(chart, "weights", size="80Gi", storage_class="cpfs")
models = {
    kind: ModelDeployment(
        chart,
        f"qwen-{kind}",
        model="Qwen/Qwen3-14B",
        served_name="qwen3-14b",
        gpu=gpu,
        engine=EngineArgs(max_model_len=32768),
        cache=cache,
        labels={"model": "qwen3-14b"},
    )
    for kind, gpu in GPUS.items()
}
for kind, model in models.items():
    KedaScaler(
        chart,
        f"{kind}-scaler",
        target=model,
        max_replicas=MOST[kind],
        prometheus="http://prometheus-operated.monitoring.svc:9090",
        triggers=[QueueDepth(5)],
    )
    ModelMonitor(
        chart, f"{kind}-monitor", target=model, labels={"release": "kube-prometheus-stack"}
    )
front = kplus.Service(
    chart,
    "front",
    metadata=ApiObjectMetadata(name="qwen3-14b"),
    ports=[kplus.ServicePort(name="http", port=80, target_port=8000)],
)
front.select_label("model", "qwen3-14b")
app.synth()
