"""A 70B model on four H100 per replica, with all that production needs around it."""

from cdk8s import App, Chart

from vllm_constructs import (
    ClusterIssuerRef,
    DisruptionBudget,
    EngineArgs,
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
    TopologySpread,
    Traefik,
    WholeGpu,
)

app = App()
chart = Chart(app, "llama-70b", namespace="llm")
model = ModelDeployment(
    chart,
    "llama-70b",
    model="meta-llama/Llama-3.3-70B-Instruct",
    served_name="llama-3.3-70b",
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3", count=4),
    engine=EngineArgs(max_model_len=65536, gpu_memory_utilization=0.9),
    cpu="24",
    memory="160Gi",
    cache=ModelCache(chart, "weights", size="300Gi", storage_class="fsx-lustre"),
    hf_token=HuggingFaceToken.from_secret("hf-token", key="HF_TOKEN"),
    startup=Startup(minutes=30),
    response_timeout=900,
    topology_spread=[TopologySpread("topology.kubernetes.io/zone"), TopologySpread()],
    priority_class="llm-production",
    rollout=Rollout(spare_gpus=4),
)
KedaScaler(
    chart,
    "scaler",
    target=model,
    min_replicas=2,
    max_replicas=4,
    prometheus="http://prometheus-operated.monitoring.svc:9090",
    triggers=[QueueDepth(8), KvCacheUsage(0.9)],
)
ModelMonitor(chart, "monitor", target=model, labels={"release": "kube-prometheus-stack"})
DisruptionBudget(chart, "budget", target=model, max_unavailable=1)
StreamingIngress(
    chart,
    "ingress",
    target=model,
    host="llama.example.com",
    controller=Traefik(),
    tls=ClusterIssuerRef("letsencrypt-prod", secret="llama-example-com-tls"),
)
app.synth()
