"""A model that sleeps at 0 replicas until the production stack's router counts a request.

The router is in the same namespace. It finds the pods by their labels.
"""

from cdk8s import App, Chart

from vllm_constructs import (
    KedaScaler,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    PrometheusQuery,
    QueueDepth,
    Startup,
    WholeGpu,
)

app = App()
chart = Chart(app, "qwen", namespace="vllm-stack")
model = ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen3-8B",
    served_name="qwen3-8b",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=ModelCache(chart, "weights", size="40Gi"),
    startup=Startup(minutes=5),
    labels={"environment": "prod", "release": "router"},
)
KedaScaler(
    chart,
    "scaler",
    target=model,
    min_replicas=0,
    max_replicas=2,
    cooldown=900,
    prometheus="http://prometheus-operated.monitoring.svc:9090",
    triggers=[
        QueueDepth(5),
        PrometheusQuery(
            name="incoming-requests",
            query='sum(rate(vllm:num_incoming_requests_total{model="qwen3-8b"}[1m]) > bool 0)',
            threshold=1,
            metric_type="AverageValue",
        ),
    ],
)
ModelMonitor(chart, "monitor", target=model, labels={"release": "kube-prometheus-stack"})
app.synth()
