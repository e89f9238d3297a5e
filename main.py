"""The guide "Deploying vLLM on Kubernetes" as an app: two models on one platform.

The guide is the tutorial chapter that this project started from; docs/guide.md goes through it
section by section. Render the app into dist/ with `make synth` or `npx cdk8s-cli synth`.
"""

from cdk8s import ApiObjectMetadata, App, Chart

from imports.io import cert_manager
from vllm_constructs import (
    ClusterIssuerRef,
    CpuUtilization,
    CronFloor,
    DisruptionBudget,
    Drain,
    EngineArgs,
    F5Nginx,
    FluxHelmRelease,
    GpuOperator,
    GpuSmokeTest,
    HpaScaler,
    HuggingFaceToken,
    KedaOperator,
    KedaScaler,
    KvCacheUsage,
    ModelCache,
    ModelDeployment,
    ModelMonitor,
    Namespace,
    PrometheusAdapter,
    QueueDepth,
    Rollout,
    Startup,
    StreamingIngress,
    TimeSlicedGpu,
    WholeGpu,
)

PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"
A100 = WholeGpu("NVIDIA-A100-80GB-PCIe", count=1)
TOKEN = HuggingFaceToken.from_secret("hf-token", key="token")
MONITOR = {"release": "kube-prometheus-stack"}

app = App()

# The platform: what the cluster needs once.
platform = Chart(app, "platform")
Namespace(platform, "llm", pod_security="restricted")
flux = FluxHelmRelease()
GpuOperator(
    platform,
    "gpu-operator",
    delivery=flux,
    mig_strategy="mixed",
    shared_gpus={"a10-shared-by-4": TimeSlicedGpu("NVIDIA-A10", replicas=4)},
)
KedaOperator(platform, "keda", delivery=flux)
PrometheusAdapter(platform, "prometheus-adapter", delivery=flux, prometheus=PROMETHEUS)

# The library has no construct for this kind; its class comes from `cdk8s import`.
cert_manager.ClusterIssuer(
    platform,
    "letsencrypt",
    metadata=ApiObjectMetadata(name="letsencrypt-prod"),
    spec=cert_manager.ClusterIssuerSpec(
        acme=cert_manager.ClusterIssuerSpecAcme(
            server="https://acme-v02.api.letsencrypt.org/directory",
            private_key_secret_ref=cert_manager.ClusterIssuerSpecAcmePrivateKeySecretRef(
                name="letsencrypt-prod-account"
            ),
            solvers=[
                cert_manager.ClusterIssuerSpecAcmeSolvers(
                    http01=cert_manager.ClusterIssuerSpecAcmeSolversHttp01(
                        ingress=cert_manager.ClusterIssuerSpecAcmeSolversHttp01Ingress(
                            ingress_class_name="nginx"
                        )
                    )
                )
            ],
        )
    ),
)

# Model A: scaled by KEDA, behind an ingress, its engine's flags in a ConfigMap.
llm = Chart(app, "qwen-7b", namespace="llm")
GpuSmokeTest(llm, "gpu-test", gpu=A100)
cache = ModelCache(
    llm,
    "cache",
    name="model-cache-pvc",
    size="200Gi",
    storage_class="fast-ssd",
    access="ReadWriteMany",
)
qwen = ModelDeployment(
    llm,
    "server",
    name="vllm-server",
    service_name="vllm-service",
    model="Qwen/Qwen2.5-7B-Instruct",
    served_name="qwen-7b",
    image="vllm/vllm-openai:v0.33.0",
    engine=EngineArgs(
        max_model_len=4096, gpu_memory_utilization=0.9, dtype="auto", delivery="config-map"
    ),
    gpu=A100,
    cpu=("4", "8"),
    memory=("32Gi", "64Gi"),
    shared_memory="16Gi",
    cache=cache,
    hf_token=TOKEN,
    startup=Startup(minutes=15),
    drain=Drain(seconds=90),
    rollout=Rollout(spare_gpus=1),
)
KedaScaler(
    llm,
    "scaler",
    name="vllm-scaledobject",
    target=qwen,
    min_replicas=2,
    max_replicas=20,
    prometheus=PROMETHEUS,
    triggers=[
        QueueDepth(5),
        KvCacheUsage(0.85),
        CronFloor("Asia/Shanghai", "0 9 * * *", "0 22 * * *", replicas=5),
    ],
)
StreamingIngress(
    llm,
    "ingress",
    name="vllm-ingress",
    host="llm.example.com",
    target=qwen,
    controller=F5Nginx(),
    tls=ClusterIssuerRef("letsencrypt-prod", secret="llm-tls"),
)
ModelMonitor(llm, "monitor", target=qwen, interval="10s", labels=MONITOR)
DisruptionBudget(llm, "budget", name="vllm-pdb", target=qwen, min_available=1)

# Model B: scaled by an HPA.
code = Chart(app, "qwen-coder", namespace="llm")
coder = ModelDeployment(
    code,
    "server",
    name="vllm-qwen-coder",
    model="Qwen/Qwen2.5-Coder-7B-Instruct",
    served_name="qwen-coder",
    image="vllm/vllm-openai:v0.33.0",
    engine=EngineArgs(max_model_len=32768),
    gpu=A100,
    cache=cache,
    hf_token=TOKEN,
    startup=Startup(minutes=15),
    drain=Drain(seconds=90),
    rollout=Rollout(spare_gpus=1),
)
HpaScaler(
    code,
    "scaler",
    target=coder,
    min_replicas=1,
    max_replicas=10,
    triggers=[CpuUtilization(70), QueueDepth(5)],
)
StreamingIngress(
    code,
    "ingress",
    host="code.example.com",
    target=coder,
    controller=F5Nginx(),
    tls=ClusterIssuerRef("letsencrypt-prod", secret="code-tls"),
)
ModelMonitor(code, "monitor", target=coder, interval="10s", labels=MONITOR)
DisruptionBudget(code, "budget", target=coder, max_unavailable=1)

app.synth()
