"""An app of somebody else: its own `imports`, its own cdk8s-plus objects, and a model of ours.

test_package.py runs it in an environment that has nothing but the wheel and what it needs, in a
folder with an `imports` package of the app's own.
"""

import cdk8s_plus_27 as kplus
from cdk8s import ApiObjectMetadata, App, Chart, Size

from imports.io import cert_manager
from vllm_constructs import ApiKey, HuggingFaceToken, ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "chatbot", namespace="chatbot")

cert_manager.ClusterIssuer(
    Chart(app, "cluster"),
    "issuer",
    metadata=ApiObjectMetadata(name="internal"),
    spec=cert_manager.ClusterIssuerSpec(
        ca=cert_manager.ClusterIssuerSpecCa(secret_name="internal-ca")
    ),
)

secret = kplus.Secret(
    chart,
    "secret",
    metadata=ApiObjectMetadata(name="keys"),
    string_data={"token": "from the environment", "api-key": "from the environment"},
)
claim = kplus.PersistentVolumeClaim(
    chart,
    "weights",
    metadata=ApiObjectMetadata(name="weights"),
    storage=Size.gibibytes(100),
    access_modes=[kplus.PersistentVolumeAccessMode.READ_WRITE_MANY],
)
account = kplus.ServiceAccount(chart, "account", metadata=ApiObjectMetadata(name="engine"))

model = ModelDeployment(
    chart,
    "qwen-7b",
    model="Qwen/Qwen2.5-7B-Instruct",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=claim,
    hf_token=HuggingFaceToken.from_secret(secret),
    api_key=ApiKey.from_secret(secret),
    service_account=account,
    image_pull_secrets=[kplus.Secret.from_secret_name(chart, "registry", "registry")],
)

kplus.HorizontalPodAutoscaler(
    chart,
    "scaler",
    metadata=ApiObjectMetadata(name="scaler"),
    target=model,
    min_replicas=2,
    max_replicas=4,
    metrics=[
        kplus.Metric.pods(
            name="vllm_num_requests_waiting", target=kplus.MetricTarget.average_value(5)
        )
    ],
)
kplus.Service(
    chart,
    "service",
    metadata=ApiObjectMetadata(name="also"),
    selector=model,
    ports=[kplus.ServicePort(port=80, target_port=8000)],
)
kplus.Ingress(
    chart,
    "ingress",
    metadata=ApiObjectMetadata(name="front"),
    rules=[
        kplus.IngressRule(
            host="chatbot.example.com",
            path="/v1",
            backend=kplus.IngressBackend.from_service(model.service),
        )
    ],
)
client = kplus.Deployment(
    chart,
    "client",
    metadata=ApiObjectMetadata(name="client"),
    containers=[kplus.ContainerProps(image="registry.example.com/client:1.0")],
)
client.connections.allow_to(model)

app.synth()
