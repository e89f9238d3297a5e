"""An app that is written with a newer line of cdk8s-plus than the one that the library needs.

Its objects go into ours, which read their names, and the model goes into its own: as the target
of its autoscaler, the selector of its Service and the peer of its connections.
"""

import cdk8s_plus_34 as kplus
from cdk8s import ApiObjectMetadata, App, Chart, Size

from vllm_constructs import ApiKey, ExistingClaim, HuggingFaceToken, ModelDeployment, WholeGpu

app = App()
chart = Chart(app, "chatbot", namespace="chatbot")

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
    replicas=2,
    cache=claim,
    hf_token=HuggingFaceToken.from_secret(secret),
    api_key=ApiKey.from_secret(secret),
    service_account=account,
    image_pull_secrets=[kplus.Secret.from_secret_name(chart, "registry", "registry")],
)
ModelDeployment(
    chart,
    "qwen-1b",
    model="Qwen/Qwen2.5-1.5B-Instruct",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=ExistingClaim.from_claim(
        kplus.PersistentVolumeClaim.from_claim_name(chart, "shared", "shared-weights")
    ),
    hf_token=HuggingFaceToken.from_secret(
        kplus.Secret.from_secret_name(chart, "token", "hf-token"), key="hf"
    ),
    service_account=kplus.ServiceAccount.from_service_account_name(chart, "other", "other-engine"),
)

service = kplus.Service(
    chart,
    "service",
    metadata=ApiObjectMetadata(name="also"),
    selector=model,
    ports=[kplus.ServicePort(port=80, target_port=8000)],
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
kplus.Ingress(
    chart,
    "ingress",
    metadata=ApiObjectMetadata(name="front"),
    rules=[
        kplus.IngressRule(
            host="chatbot.example.com",
            path="/v1",
            backend=kplus.IngressBackend.from_service(service),
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
