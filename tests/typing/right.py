"""An app that is right: a type checker has nothing to say about it."""

from typing import Unpack

import cdk8s_plus_27 as kplus
from cdk8s import ApiObject, App, Chart, JsonPatch
from constructs import Construct

from vllm_constructs import (
    AwsAlb,
    CronFloor,
    DisruptionBudget,
    Drain,
    EngineArgs,
    FluxHelmRelease,
    GatewayRef,
    GpuOperator,
    GpuPodSpec,
    HpaScaler,
    HuggingFaceToken,
    KedaScaler,
    Kubernetes,
    KvCacheUsage,
    MigSlice,
    ModelCache,
    ModelDeployment,
    ModelFleet,
    ModelMonitor,
    ModelRoute,
    ModelStack,
    PodOptions,
    Problem,
    QueueDepth,
    Startup,
    StreamingIngress,
    TlsSecret,
    Traefik,
    VllmConstructsError,
    WholeGpu,
)

app = App()
Kubernetes("1.34").set_on(app)
chart = Chart(app, "qwen", namespace="llm")
GpuOperator(chart, "gpus", delivery=FluxHelmRelease(), mig=MigSlice("1g.10gb"))
cache = ModelCache(chart, "cache", size="200Gi", access="ReadWriteMany")
model = ModelDeployment(
    chart,
    "qwen",
    model="Qwen/Qwen2.5-7B-Instruct",
    gpu=WholeGpu("NVIDIA-L40S", count=2),
    engine=EngineArgs(
        max_model_len=4096,
        dtype="auto",
        max_logprobs=5,
        attention_config={"backend": "FLASH_ATTN", "flash_attn_version": 3},
        compilation_config={"mode": 3, "pass_config": {"eliminate_noops": True}},
        kv_transfer_config={"kv_connector": "NixlConnector", "kv_role": "kv_both"},
        tool_call_parser="a-plugin's",
        tool_parser_plugin="/parsers/ours.py",
        extra={"swap-space": 4},
    ),
    cpu=("4", "8"),
    cache=cache,
    hf_token=HuggingFaceToken.from_secret(kplus.Secret.from_secret_name(chart, "t", "hf")),
    startup=Startup(minutes=20),
    drain=Drain(seconds=60),
    env={"VLLM_LOGGING_LEVEL": "DEBUG"},
    image_pull_secrets=["pull", kplus.Secret.from_secret_name(chart, "p", "pull-too")],
)
coder = ModelDeployment(
    chart,
    "coder",
    model="Qwen/Qwen2.5-Coder-7B-Instruct",
    gpu=WholeGpu("NVIDIA-L40S"),
    cache=kplus.PersistentVolumeClaim(chart, "own", storage_class_name="fast"),
)


def small(scope: Construct, id: str, **pod: Unpack[PodOptions]) -> ModelDeployment:
    """A function of the user's own that passes the options of a pod on."""
    return ModelDeployment(scope, id, replicas=1, labels={"size": "small"}, **pod)


small(chart, "small", model="Qwen/Qwen2.5-0.5B-Instruct", gpu=WholeGpu("NVIDIA-L4"), port=9000)
shared: PodOptions = {"model": "Qwen/Qwen2.5-7B-Instruct", "gpu": WholeGpu("NVIDIA-L4")}
spec = GpuPodSpec(**shared)
manifest: dict[str, object] = spec.manifest()
small(chart, "shared", **shared)
KedaScaler(
    chart,
    "scaler",
    target=model,
    max_replicas=4,
    prometheus="http://prometheus-operated.monitoring.svc:9090",
    triggers=[
        QueueDepth(5),
        KvCacheUsage(0.85),
        CronFloor("Asia/Shanghai", "0 9 * * *", "0 22 * * *", replicas=2),
    ],
)
HpaScaler(chart, "hpa", target=coder, max_replicas=3, triggers=[QueueDepth(5)])
StreamingIngress(
    chart,
    "front",
    target=model,
    host="llm.example.com",
    controller=AwsAlb(subnets=["10.0.0.0/16"]),
    path="/v1",
)
ModelRoute(chart, "route", target=coder, host="code.example.com", gateway=GatewayRef("edge"))
ModelFleet(
    chart,
    "fleet",
    models=[model, coder],
    domain="llm.example.com",
    controller=Traefik(),
    tls=TlsSecret("llm-tls"),
)
ModelMonitor(chart, "monitor", target=model, labels={"release": "prometheus"})
DisruptionBudget(chart, "budget", target=model, max_unavailable=1)
kplus.Service(chart, "own-service", selector=model, ports=[kplus.ServicePort(port=80)])
kplus.HorizontalPodAutoscaler(chart, "own-hpa", target=coder, max_replicas=3)
ApiObject.of(model).add_json_patch(JsonPatch.add("/metadata/labels/team", "search"))
url: str = model.service.name
try:
    stack: ModelStack = ModelStack.from_values(chart, "stack", "values.yaml")
except VllmConstructsError as error:
    sentence: str = str(error)
    problem: Problem = error.problem
    kind: str = problem.kind
