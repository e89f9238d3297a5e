"""A model together with cdk8s-plus objects: Secret, claim, autoscaler and Ingress.

The model accepts cdk8s-plus objects where it accepts names. The autoscaler has the model as its
target and reads its queue from prometheus-adapter, and the Ingress has its Service as its backend.
"""

import cdk8s_plus_27 as kplus
from cdk8s import App, Chart, Size

from vllm_constructs import HuggingFaceToken, ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "chatbot", namespace="chatbot")

token = kplus.Secret.from_secret_name(chart, "token", "hf-token")
weights = kplus.PersistentVolumeClaim(
    chart,
    "weights",
    storage=Size.gibibytes(100),
    access_modes=[kplus.PersistentVolumeAccessMode.READ_WRITE_MANY],
)
model = ModelDeployment(
    chart,
    "qwen-7b",
    model="Qwen/Qwen2.5-7B-Instruct",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=weights,
    hf_token=HuggingFaceToken.from_secret(token),
    allow_from=["traefik"],
)
kplus.HorizontalPodAutoscaler(
    chart,
    "scaler",
    target=model,
    min_replicas=2,
    max_replicas=4,
    metrics=[
        kplus.Metric.pods(
            name="vllm_num_requests_waiting", target=kplus.MetricTarget.average_value(5)
        )
    ],
)
ingress = kplus.Ingress(chart, "ingress", class_name="traefik")
ingress.add_host_rule(
    "chatbot.example.com", "/v1", kplus.IngressBackend.from_service(model.service)
)

app.synth()
