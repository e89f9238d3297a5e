"""Two or more samples of each construct: what is required only, and everything there is to say."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cdk8s import App, Chart
from constructs import Construct

import vllm_constructs
from tests.support import assert_valid
from vllm_constructs import (
    Affinity,
    ApiKey,
    ArgoApplication,
    AwsAlb,
    ClusterIssuerRef,
    Container,
    CpuUtilization,
    CronFloor,
    DiskTier,
    Dns,
    Drain,
    EgressRule,
    EngineArgs,
    EnvFromSource,
    EnvVarSource,
    ExistingClaim,
    ExternalMetric,
    ExternalToken,
    F5Nginx,
    FluxHelmRelease,
    GatewayRef,
    GkeIngress,
    HuggingFaceMirror,
    HuggingFaceToken,
    IngressNginx,
    KedaAuthentication,
    Kubernetes,
    KvCacheUsage,
    KvOffload,
    LoraAdapter,
    MigSlice,
    ModelDeployment,
    ModelShape,
    NodeRequirement,
    Nodes,
    ObjectMetric,
    PodAffinityTerm,
    PodOptions,
    PodSecurity,
    Probes,
    PrometheusQuery,
    QueueDepth,
    Rollout,
    RunningRequests,
    ScalingPace,
    ServiceOptions,
    Startup,
    TimeSlicedGpu,
    TimeToFirstToken,
    TlsSecret,
    TokenSecret,
    Toleration,
    TopologySpread,
    Traefik,
    VllmConstructsError,
    VllmConstructsWarning,
    Volume,
    WholeGpu,
)
from vllm_constructs.importers.guide_values import Values
from vllm_constructs.monitoring.objectives import Objectives

Keywords = dict[str, Any]
Make = Callable[[Chart], Keywords]
Manifest = dict[str, Any]

GPU = WholeGpu("NVIDIA-L40S")
H100 = WholeGpu("NVIDIA-H100-80GB-HBM3")
MODEL = "Qwen/Qwen2.5-7B-Instruct"
CACHE = ExistingClaim("weights")
REVISION = "a09a35458c702b33eeacc393d103063234e8bc28"
MARKS = {"example.com/owner": "search"}
PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"
STACK = Path(__file__).parents[1] / "data" / "stack.yaml"


def chart(kubernetes: str | None = None, **options: Any) -> Chart:
    """A chart in an app of its own, in namespace `llm` unless told otherwise."""
    app = App()
    if kubernetes is not None:
        Kubernetes(kubernetes).set_on(app)
    return Chart(app, "x", **{"namespace": "llm", **options})


def model(scope: Construct, id: str = "qwen", **more: Any) -> ModelDeployment:
    """A model; what is not given is what is required."""
    return ModelDeployment(scope, id, **{"model": MODEL, "gpu": GPU, **more})


def named(scope: Construct, name: str) -> ModelDeployment:
    """A model that is served under its own name."""
    return model(scope, name, served_name=name)


def manifests(scope: Chart) -> list[Manifest]:
    """What a chart renders."""
    found: list[Manifest] = scope.to_json()
    return found


@contextmanager
def rejected(scope: Chart, sentence: str) -> Iterator[None]:
    """Where something is rejected with a sentence, and the chart stays as it was."""
    before = manifests(scope)
    with pytest.raises(VllmConstructsError, match=sentence):
        yield
    assert before == manifests(scope)


def only(scope: Chart, kind: str, name: str | None = None) -> Manifest:
    """The one object of a kind, or of a kind and name."""
    found = [
        item
        for item in manifests(scope)
        if item["kind"] == kind and name in (None, item["metadata"]["name"])
    ]
    assert len(found) == 1, f"{len(found)} objects are a {kind} {name or ''}"
    return found[0]


def pod(scope: Chart, name: str | None = None) -> Manifest:
    """The pod's spec of the chart's one Deployment, or of the one with a name."""
    found: Manifest = only(scope, "Deployment", name)["spec"]["template"]["spec"]
    return found


def container(scope: Chart, name: str | None = None) -> Manifest:
    """The container of that pod."""
    found: Manifest = pod(scope, name)["containers"][0]
    return found


def _model_deployment(_: Chart) -> Keywords:
    return {
        "model": MODEL,
        "gpu": WholeGpu("NVIDIA-A100-SXM4-80GB", count=2),
        "name": "vllm-server",
        "service_name": "vllm-service",
        "service_options": ServiceOptions(
            type="LoadBalancer",
            port=80,
            node_port=30080,
            load_balancer_class="service.k8s.aws/nlb",
            labels=MARKS,
            annotations={"service.beta.kubernetes.io/aws-load-balancer-internal": "true"},
        ),
        "served_name": "qwen-7b",
        "image": "registry.example.com/vllm/vllm-openai:v0.33.0",
        "vllm": "0.33.0",
        "engine": EngineArgs(
            max_model_len=4096,
            gpu_memory_utilization=0.9,
            enable_prefix_caching=False,
            enable_auto_tool_choice=True,
            tool_call_parser="hermes",
            compilation_config={"mode": 3},
            max_logprobs=5,
            delivery="config-map",
        ),
        "replicas": 2,
        "port": 9000,
        "cpu": ("4", "8"),
        "memory": ("32Gi", "64Gi"),
        "shared_memory": "16Gi",
        "cache": CACHE,
        "hf_token": HuggingFaceToken.from_secret("hf-token"),
        "api_key": ApiKey.from_secret("clients"),
        "startup": Startup(minutes=20, seconds=5),
        "kv_offload": KvOffload(gib=8, tiers=[DiskTier(Volume.from_claim("kv-cache"))]),
        "weights": HuggingFaceMirror("https://hf-mirror.com"),
        "lora_adapters": [LoraAdapter("sql", "org/sql-lora", rank=32)],
        "runtime_lora_loading": True,
        "drain": Drain(seconds=90, pre_stop=20),
        "rollout": Rollout(spare_gpus=2),
        "response_timeout": 600,
        "nodes": Nodes("gke"),
        "image_pull_policy": "Always",
        "command": ["/opt/venv/bin/vllm", "serve"],
        "resources": {"rdma/ib": 1, "hugepages-2Mi": "1Gi"},
        "probes": Probes(liveness_period=60),
        "env": {
            "VLLM_LOGGING_LEVEL": "DEBUG",
            "NCCL_DEBUG": "WARN",
            "POD_IP": EnvVarSource.from_field("status.podIP"),
            "AWS_SECRET_ACCESS_KEY": EnvVarSource.from_secret("s3", key="secret"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://$(POD_IP):4318",
        },
        "env_from": [EnvFromSource.from_config_map("proxy"), EnvFromSource.from_secret("s3")],
        "volumes": {
            "/etc/ssl/corp": Volume.from_config_map("corp-ca"),
            "/scratch": Volume.from_empty_dir(size_limit="10Gi"),
        },
        "files": {"/etc/vllm/chat.jinja": "{{ messages }}", "/etc/vllm/mask.bin": b"\xff"},
        "ports": {"side-channel": 5600},
        "sidecars": [
            Container(
                name="logs",
                image="fluent/fluent-bit:4.1.0",
                args=["--config=/etc/fluent-bit/conf.yaml"],
                volumes={"/etc/fluent-bit": Volume.from_config_map("logs")},
                ports={"metrics": 2020},
            )
        ],
        "init_containers": [
            Container(
                name="wait",
                image="busybox:1.37.0",
                command=["sh", "-c", "until nc -z redis.cache.svc 6379; do sleep 1; done"],
            )
        ],
        "ip_families": ["IPv6", "IPv4"],
        "affinity": Affinity(
            nodes=[NodeRequirement("topology.kubernetes.io/zone", ["a", "b"])],
            preferred_nodes=[NodeRequirement("example.com/nvme")],
            near=[PodAffinityTerm(labels={"app": "redis"})],
            apart_from=[PodAffinityTerm(labels={"app": "training"}, required=True)],
        ),
        "topology_spread": [TopologySpread("topology.kubernetes.io/zone", required=True)],
        "scheduler": "kai-scheduler",
        "dns": Dns(searches=["corp.example.com"], options={"ndots": "2"}),
        "host_aliases": {"10.0.0.5": ["models.example.com"]},
        "automount_service_account_token": True,
        "labels": {"team": "search"},
        "annotations": {"example.com/owner": "search"},
        "pod_annotations": {"example.com/scan": "no"},
        "node_selector": {"example.com/pool": "inference"},
        "tolerations": [
            Toleration(key="example.com/pool", value="inference"),
            Toleration(key="example.com/spot", effect="NoExecute"),
        ],
        "priority_class": "inference",
        "runtime_class": "nvidia",
        "service_account": "vllm",
        "image_pull_secrets": ["registry"],
        "network_policy": True,
        "allow_from": ["gateway", "evaluation"],
        "allow_to": ["redis.cache.svc:6379", EgressRule([9000], cidr="10.0.0.0/8")],
        "security": PodSecurity(capabilities=["NET_BIND_SERVICE"]),
        "shape": ModelShape.named(MODEL),
        "overlay": {"spec": {"revisionHistoryLimit": 3}},
    }


def _keda_scaler(scope: Chart) -> Keywords:
    return {
        "target": model(scope, served_name="qwen-7b", cache=CACHE),
        "min_replicas": 0,
        "max_replicas": 6,
        "prometheus": PROMETHEUS,
        "triggers": [
            QueueDepth(5),
            RunningRequests(32),
            KvCacheUsage(0.85),
            TimeToFirstToken(2.5, quantile=0.9, window="5m"),
            CpuUtilization(70),
            CronFloor("Asia/Shanghai", "0 9 * * *", "0 22 * * *", replicas=5),
            PrometheusQuery(
                name="gateway",
                query='sum(gateway_requests{model="qwen-7b"})',
                threshold=1.5,
                metric_type="AverageValue",
            ),
        ],
        "pace": ScalingPace(
            up_pods=2, up_seconds=120, up_window=0, down_pods=2, down_seconds=60, down_window=900
        ),
        "polling_interval": 30,
        "cooldown": 600,
        "fallback_replicas": 3,
        "name": "vllm-scaler",
        "authentication": KedaAuthentication.from_secret(
            "thanos", bearer_token="token", ca="service-ca.crt"
        ),
        "paused_replicas": 0,
        "labels": MARKS,
        "annotations": MARKS,
    }


def _gpu_operator(_: Chart) -> Keywords:
    return {
        "delivery": FluxHelmRelease(namespace="flux", interval="30m"),
        "version": "v26.3.0",
        "namespace": "gpus",
        "driver": False,
        "toolkit": False,
        "dcgm": False,
        "dcgm_exporter": False,
        "mig_strategy": "mixed",
        "mig": MigSlice("1g.10gb"),
        "shared_gpus": {
            "a10-by-4": TimeSlicedGpu("NVIDIA-A10", replicas=4),
            "l4-by-2": TimeSlicedGpu("NVIDIA-L4", replicas=2, sharing="mps", renamed=True),
        },
        "values": {"driver": {"version": "580.95.05"}, "gdrcopy": {"enabled": True}},
        "labels": MARKS,
        "annotations": MARKS,
    }


def _front(scope: Chart, **more: Any) -> Keywords:
    return {"target": model(scope), "host": "llm.example.com", **more}


def _fleet(scope: Chart, **more: Any) -> Keywords:
    return {"models": [named(scope, "qwen"), named(scope, "coder")], **more}


SAMPLES: dict[str, dict[str, Make]] = {
    "DisruptionBudget": {
        "minimal": lambda scope: {"target": model(scope, replicas=2, cache=CACHE)},
        "everything": lambda scope: {
            "target": model(scope, replicas=3, cache=CACHE),
            "min_available": 2,
            "name": "vllm-pdb",
            "labels": MARKS,
            "annotations": MARKS,
        },
        "everything-unavailable": lambda scope: {
            "target": model(scope, replicas=3, cache=CACHE),
            "max_unavailable": 2,
        },
    },
    "ExternalToken": {
        "minimal": lambda _: {"store": "vault", "remote_key": "llm/hugging-face"},
        "everything": lambda _: {
            "store": "vault",
            "remote_key": "llm/hugging-face",
            "remote_property": "read",
            "store_kind": "SecretStore",
            "refresh": "15m",
            "name": "hf-token",
            "key": "hf",
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
    "Gateway": {
        "minimal": lambda _: {"gateway_class": "eg"},
        "everything": lambda _: {
            "gateway_class": "eg",
            "host": "*.example.com",
            "tls": ClusterIssuerRef("letsencrypt", secret="llm-tls"),
            "redirect": True,
            "routes_from": "All",
            "implementation": "envoy",
            "proxy_namespace": "proxies",
            "proxy_subnets": ["10.0.0.0/8"],
            "name": "public",
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
    "GpuOperator": {
        "minimal": lambda _: {"delivery": FluxHelmRelease()},
        "everything": _gpu_operator,
        "everything-argo": lambda _: {
            "delivery": ArgoApplication(namespace="argo", project="platform")
        },
    },
    "GpuSmokeTest": {
        "minimal": lambda _: {"gpu": GPU},
        "everything": lambda _: {
            "gpu": MigSlice("1g.10gb", product="NVIDIA-A100-SXM4-80GB", strategy="single"),
            "image": "nvidia/cuda:12.9.1-base-ubuntu24.04",
            "nodes": Nodes("gke", spot=True),
            "security": PodSecurity(user="platform"),
            "tolerations": [Toleration(key="example.com/pool", value="inference")],
            "name": "gpu-test",
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
    "HpaScaler": {
        "minimal": lambda scope: {
            "target": model(scope),
            "max_replicas": 3,
            "triggers": [QueueDepth(5)],
        },
        "everything": lambda scope: {
            "target": model(scope, cache=CACHE),
            "min_replicas": 2,
            "max_replicas": 10,
            "triggers": [
                QueueDepth(5),
                RunningRequests(32.5),
                KvCacheUsage(0.85),
                CpuUtilization(70),
                ExternalMetric(
                    name="queue_length",
                    threshold=30,
                    metric_type="AverageValue",
                    labels={"queue": "chat"},
                ),
                ObjectMetric(
                    name="requests_per_second",
                    kind="Ingress",
                    object_name="llm",
                    api_version="networking.k8s.io/v1",
                    threshold=100,
                    metric_type="Value",
                ),
            ],
            "pace": ScalingPace(up_pods=2, up_seconds=300),
            "name": "vllm-hpa",
            "prometheus": PROMETHEUS,
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
    "LmCacheServer": {
        "minimal": lambda _: {"gib": 60, "gpu": H100},
        "everything": lambda _: {
            "gib": 200,
            "gpu": H100,
            "nodes": Nodes("eks", instance_types=["p5.48xlarge", "p5.4xlarge"]),
            "image": "registry.example.com/lmcache/standalone:v0.5.6",
            "runtime_class": "nvidia-cdi",
            "security": PodSecurity(user=1000, read_only_root=True),
            "tolerations": [Toleration(key="team", value="llm")],
            "metrics_from": ["monitoring"],
            "name": "kv-cache",
            "labels": MARKS,
            "annotations": MARKS,
        },
        "everything-cdi": lambda _: {"gib": 60, "gpu": H100, "management_cdi": True},
    },
    "KedaOperator": {
        "minimal": lambda _: {"delivery": ArgoApplication()},
        "everything": lambda _: {
            "delivery": FluxHelmRelease(namespace="flux", interval="30m"),
            "version": "2.19.0",
            "namespace": "scaling",
            "values": {"prometheus": {"operator": {"enabled": True}}},
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
    "KedaScaler": {
        "minimal": lambda scope: {
            "target": model(scope),
            "max_replicas": 3,
            "prometheus": PROMETHEUS,
            "triggers": [QueueDepth(5)],
        },
        "everything": _keda_scaler,
    },
    "ModelCache": {
        "minimal": lambda _: {"size": "200Gi"},
        "everything": lambda _: {
            "size": "200Gi",
            "storage_class": "fast-ssd",
            "access": "ReadWriteOnce",
            "volume_name": "local-weights",
            "name": "model-cache-pvc",
            "labels": MARKS,
            "annotations": MARKS,
        },
        "selector": lambda _: {"size": "200Gi", "selector": {"example.com/weights": "qwen"}},
    },
    "ModelDownload": {
        "minimal": lambda _: {"model": MODEL, "revision": REVISION, "cache": CACHE},
        "everything": lambda _: {
            "model": MODEL,
            "revision": REVISION,
            "cache": CACHE,
            "hf_token": HuggingFaceToken.from_secret("hf-token"),
            "mirror": HuggingFaceMirror("https://hf-mirror.com"),
            "include": ["*.safetensors", "*.json"],
            "exclude": ["original/*"],
            "image": "registry.example.com/vllm/vllm-openai:v0.33.0",
            "memory": ("4Gi", "16Gi"),
            "service_account": "downloads",
            "image_pull_secrets": ["registry"],
            "env": {"HTTPS_PROXY": "http://proxy.example.com:3128"},
            "allow_to": ["cas.mirrors.svc:8443"],
            "security": PodSecurity(user=1000),
            "network_policy": True,
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
    "ModelDeployment": {
        "minimal": lambda _: {"model": MODEL, "gpu": GPU},
        "everything": _model_deployment,
    },
    "ModelFleet": {
        "minimal": lambda scope: _fleet(scope, host="llm.example.com", controller=Traefik()),
        "everything": lambda scope: _fleet(
            scope,
            host="llm.example.com",
            controller=F5Nginx(),
            tls=ClusterIssuerRef("letsencrypt-prod", secret="llm-tls"),
            max_body=20,
            name="models",
            labels=MARKS,
            annotations=MARKS,
        ),
        "everything-gateway": lambda scope: _fleet(
            scope,
            domain="llm.example.com",
            gateway=GatewayRef("edge", namespace="gateways"),
            name="models",
        ),
        "everything-gke": lambda scope: _fleet(
            scope, domain="llm.example.com", controller=GkeIngress()
        ),
        "everything-nginx-gateway": lambda scope: _fleet(
            scope, host="llm.example.com", gateway=GatewayRef("edge", implementation="nginx")
        ),
    },
    "ModelMonitor": {
        "minimal": lambda scope: {"target": model(scope)},
        "everything": lambda scope: {
            "target": model(scope, served_name="qwen-7b"),
            "interval": "10s",
            "kind": "PodMonitor",
            "labels": {"release": "kube-prometheus-stack"},
            "alerts": True,
            "dashboard": True,
            "folder": "Models",
            "annotations": MARKS,
            "namespace": "observability",
            "name": "vllm-monitor",
            "objectives": Objectives(time_to_first_token=5.0, inter_token_latency=0.1),
            "runbook": "https://wiki.example.com/vllm",
        },
    },
    "ModelRoute": {
        "minimal": lambda scope: _front(scope, gateway=GatewayRef("edge")),
        "everything": lambda scope: _front(
            scope,
            gateway=GatewayRef(
                "edge",
                namespace="gateways",
                section="https",
                http_section="http",
                proxy_namespace="proxies",
            ),
            path="/",
            name="vllm-route",
            labels=MARKS,
            annotations=MARKS,
        ),
        "everything-gke": lambda scope: _front(
            scope, gateway=GatewayRef("edge", namespace="gateways", implementation="gke")
        ),
        "everything-nginx": lambda scope: _front(
            scope, gateway=GatewayRef("edge", namespace="gateways", implementation="nginx")
        ),
    },
    "ModelStack": {
        "minimal": lambda _: {
            "values": Values.from_text(f"model: {{name: {MODEL}}}\ngpu: {{type: NVIDIA-L40S}}")
        },
        "everything": lambda _: {"values": Values.from_file(STACK)},
    },
    "Namespace": {
        "minimal": lambda _: {},
        "everything": lambda _: {
            "name": "llm",
            "pod_security": "baseline",
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
    "PrometheusAdapter": {
        "minimal": lambda _: {"delivery": FluxHelmRelease(), "prometheus": PROMETHEUS},
        "everything": lambda _: {
            "delivery": ArgoApplication(),
            "prometheus": "https://prometheus.example.com",
            "version": "5.2.0",
            "namespace": "observability",
            "values": {"replicas": 2},
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
    "StreamingIngress": {
        "minimal": lambda scope: _front(scope, controller=Traefik()),
        "everything": lambda scope: _front(
            scope,
            controller=F5Nginx(class_name="public", namespace="ingress"),
            tls=ClusterIssuerRef("letsencrypt-prod", secret="llm-tls"),
            path="/",
            max_body=20,
            annotations={"example.com/owner": "search"},
            name="vllm-ingress",
            labels=MARKS,
        ),
        "everything-alb": lambda scope: _front(
            scope,
            controller=AwsAlb(
                subnets=["10.0.0.0/16", "10.1.0.0/16"],
                certificate="arn:aws:acm:eu-west-1:123456789012:certificate/aaaa-bbbb",
                scheme="internet-facing",
            ),
        ),
        "everything-gke": lambda scope: _front(
            scope,
            controller=GkeIngress(class_name="gce-internal", proxy_subnets=["10.129.0.0/23"]),
            tls=TlsSecret("llm-tls"),
        ),
        "everything-ingress-nginx": lambda scope: _front(
            scope, controller=IngressNginx(), tls=TlsSecret("llm-tls")
        ),
        "everything-traefik": lambda scope: _front(
            scope, controller=Traefik(), tls=TlsSecret("llm-tls")
        ),
    },
    "TokenSecret": {
        "minimal": lambda _: {"value": "hf_example", "in_clear_text": True},
        "everything": lambda _: {
            "value": "hf_example",
            "in_clear_text": True,
            "name": "hf-token",
            "key": "hf",
            "labels": MARKS,
            "annotations": MARKS,
        },
    },
}


def variants(*kinds: str) -> list[tuple[str, str]]:
    """Each sample of some constructs, or of all, by name."""
    return [(kind, variant) for kind in kinds or SAMPLES for variant in SAMPLES[kind]]


def options(kind: str) -> dict[str, inspect.Parameter]:
    """The keywords that a construct takes, those of `PodOptions` among them."""
    found = dict(parameters(kind))
    for name in ("scope", "id"):
        found.pop(name)
    if "pod" in found:
        assert "Unpack[PodOptions]" == found.pop("pod").annotation
        for name in PodOptions.__annotations__:
            is_required = name in PodOptions.__required_keys__
            default = inspect.Parameter.empty if is_required else None
            found[name] = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
    return found


def parameters(kind: str) -> dict[str, inspect.Parameter]:
    """All that a construct takes, as an editor shows it."""
    return dict(inspect.signature(getattr(vllm_constructs, kind)).parameters)


@contextmanager
def unwarned() -> Iterator[None]:
    """Where the library's warnings are not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VllmConstructsWarning)
        yield


def build(scope: Chart, kind: str, variant: str, id: str = "sample") -> Any:
    """Put a sample into a chart, deaf to warnings."""
    with unwarned():
        return getattr(vllm_constructs, kind)(scope, id, **SAMPLES[kind][variant](scope))


def check_sample(kind: str, variant: str, snapshot: object) -> None:
    """Compare what a sample renders with its snapshot, then with the schemas."""
    scope = chart(labels={"example.com/app": "llm"})
    build(scope, kind, variant)
    found = manifests(scope)
    assert snapshot == yaml.safe_dump_all(found, sort_keys=False, width=100)
    assert_valid(*found)


def check_token(scope: Chart, source: ExternalToken | TokenSecret) -> None:
    """Give the key `hf` of the Secret `hf-token` to a model, as the token and as the API's key."""
    assert HuggingFaceToken("hf-token", "hf", namespace="llm") == source.token
    assert ApiKey("hf-token", "hf", namespace="llm") == source.api_key
    model(scope, hf_token=source.token, api_key=source.api_key)
    found = {
        item["name"]: item["valueFrom"]["secretKeyRef"]
        for item in container(scope)["env"]
        if "valueFrom" in item
    }
    reference = {"name": "hf-token", "key": "hf"}
    assert {"HF_TOKEN": reference, "VLLM_API_KEY": reference} == found
