"""A 70B model on four H100 GPUs per replica, scaled by KEDA and monitored by Prometheus.

Tensor parallelism, `/dev/shm`, CPU and memory follow from `count=4`, and the surge of one pod from
the four spare GPUs. Loading may take half an hour, from which all deadlines follow.
"""

from cdk8s import App, Chart

from vllm_constructs import (
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
    TimeToFirstToken,
    WholeGpu,
)

app = App()
chart = Chart(app, "llama-70b", namespace="llm")

model = ModelDeployment(
    chart,
    "llama-70b",
    model="meta-llama/Llama-3.3-70B-Instruct",
    served_name="llama-70b",
    gpu=WholeGpu("NVIDIA-H100-80GB-HBM3", count=4),
    engine=EngineArgs(max_model_len=32768, max_num_seqs=256),
    cache=ModelCache(chart, "weights", size="500Gi", access="ReadWriteMany"),
    hf_token=HuggingFaceToken.from_secret("hf-token"),
    startup=Startup(minutes=30),
    response_timeout=600,
    rollout=Rollout(spare_gpus=4),
)
KedaScaler(
    chart,
    "scaler",
    target=model,
    min_replicas=2,
    max_replicas=4,
    prometheus="http://prometheus-operated.monitoring.svc:9090",
    triggers=[QueueDepth(5), KvCacheUsage(0.85), TimeToFirstToken(3)],
)
ModelMonitor(chart, "monitor", target=model, labels={"release": "kube-prometheus-stack"})
DisruptionBudget(chart, "budget", target=model, max_unavailable=1)

app.synth()
