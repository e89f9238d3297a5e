"""The model of the guide "Deploying vLLM on Kubernetes": a scaled model behind an ingress.

The guide is the tutorial chapter that this project started from; its sections 12.3, 12.5, 12.7
and 12.9 are one chart here. The `main.py` of the project adds the platform and a second model.
"""

from cdk8s import App, Chart

from vllm_constructs import (
    ClusterIssuerRef,
    CronFloor,
    DisruptionBudget,
    Drain,
    EngineArgs,
    F5Nginx,
    HuggingFaceToken,
    KedaScaler,
    KvCacheUsage,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    QueueDepth,
    Rollout,
    Startup,
    StreamingIngress,
    WholeGpu,
)

app = App()
chart = Chart(app, "qwen-7b", namespace="llm")

cache = ModelCache(chart, "cache", name="model-cache-pvc", size="200Gi", storage_class="fast-ssd")
model = ModelDeployment(
    chart,
    "server",
    name="vllm-server",
    service_name="vllm-service",
    model="Qwen/Qwen2.5-7B-Instruct",
    served_name="qwen-7b",
    engine=EngineArgs(max_model_len=4096, gpu_memory_utilization=0.9),
    gpu=WholeGpu("NVIDIA-A100-80GB-PCIe"),
    cpu=("4", "8"),
    memory=("32Gi", "64Gi"),
    shared_memory="16Gi",
    cache=cache,
    hf_token=HuggingFaceToken.from_secret("hf-token"),
    startup=Startup(minutes=15),
    drain=Drain(seconds=90),
    rollout=Rollout(spare_gpus=1),
)
KedaScaler(
    chart,
    "scaler",
    name="vllm-scaledobject",
    target=model,
    min_replicas=2,
    max_replicas=20,
    prometheus="http://prometheus-operated.monitoring.svc:9090",
    triggers=[
        QueueDepth(5),
        KvCacheUsage(0.85),
        CronFloor("Asia/Shanghai", "0 9 * * *", "0 22 * * *", replicas=5),
    ],
)
StreamingIngress(
    chart,
    "ingress",
    name="vllm-ingress",
    target=model,
    host="llm.example.com",
    controller=F5Nginx(),
    tls=ClusterIssuerRef("letsencrypt-prod", secret="llm-tls"),
)
ModelMonitor(
    chart,
    "monitor",
    target=model,
    interval="10s",
    labels={"release": "kube-prometheus-stack"},
    dashboard=False,
)
DisruptionBudget(chart, "budget", name="vllm-pdb", target=model, min_available=1)

app.synth()
