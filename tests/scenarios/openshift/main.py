"""OpenShift: the platform's own user, its DNS, and scaling on its Thanos with a token.

The Prometheus of user-defined projects scrapes the model.
"""

from cdk8s import App, Chart

from vllm_constructs import (
    KedaAuthentication,
    KedaScaler,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    PodSecurity,
    QueueDepth,
    WholeGpu,
)

app = App()
chart = Chart(app, "granite", namespace="llm")
model = ModelDeployment(
    chart,
    "granite",
    model="ibm-granite/granite-3.3-8b-instruct",
    gpu=WholeGpu("NVIDIA-L40S"),
    security=PodSecurity(user="platform"),
    cache=ModelCache(chart, "weights", size="40Gi", storage_class="ocs-storagecluster-cephfs"),
)
KedaScaler(
    chart,
    "scaler",
    target=model,
    max_replicas=3,
    prometheus="https://thanos-querier.openshift-monitoring.svc:9091",
    authentication=KedaAuthentication.from_secret(
        "thanos-token", bearer_token="token", ca="service-ca.crt"
    ),
    triggers=[QueueDepth(5)],
)
ModelMonitor(
    chart, "monitor", target=model, namespace="openshift-user-workload-monitoring", dashboard=False
)
app.synth()
