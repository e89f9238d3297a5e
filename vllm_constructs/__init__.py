"""Typed cdk8s constructs that put vLLM model servers on Kubernetes.

Each name is loaded when it is first used. Values (such as `EngineArgs`, `WholeGpu` and `Startup`)
need no Node.js; constructs (such as `ModelDeployment`) start it.
"""

from ._version import __version__ as __version__

# Type checkers take it for typing's, which takes longer to import than all else here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .accelerators.amd import AmdGpu
    from .accelerators.cpu import Cpu
    from .accelerators.device_claim import DeviceClaim
    from .accelerators.google import Tpu
    from .accelerators.intel import Gaudi, IntelGpu
    from .accelerators.nodes import Nodes
    from .accelerators.nvidia import MigSlice, TimeSlicedGpu, VirtualGpu, WholeGpu
    from .cdk.accept_finding import accept_finding
    from .cdk.availability import DisruptionBudget
    from .cdk.deployment import ModelDeployment
    from .cdk.external_token import ExternalToken
    from .cdk.fleet import ModelFleet
    from .cdk.gateway import Gateway
    from .cdk.gpu_operator import GpuOperator
    from .cdk.gpu_smoke_test import GpuSmokeTest
    from .cdk.hpa_scaler import HpaScaler
    from .cdk.ingress import StreamingIngress
    from .cdk.keda_operator import KedaOperator
    from .cdk.keda_scaler import KedaScaler
    from .cdk.lmcache_server import LmCacheServer
    from .cdk.model_download import ModelDownload
    from .cdk.monitoring import ModelMonitor
    from .cdk.namespace import Namespace
    from .cdk.prometheus_adapter import PrometheusAdapter
    from .cdk.route import ModelRoute
    from .cdk.stack import ModelStack
    from .cdk.storage import ModelCache
    from .cdk.token_secret import TokenSecret
    from .engine.command_line_parser import ParsedArgs, parse_args
    from .engine.engine_args import EngineArgs
    from .errors import Problem, VllmConstructsError, VllmConstructsWarning
    from .kube.egress import EgressRule
    from .kube.kubernetes import Kubernetes
    from .memory.plan import MemoryPlan
    from .memory.shapes import ModelShape
    from .metrics.metric import Metric
    from .metrics.series import ModelSeries
    from .monitoring.objectives import Objectives
    from .platform.delivery import ArgoApplication, FluxHelmRelease
    from .releases.release import VllmRelease
    from .scaling.keda_authentication import KedaAuthentication
    from .scaling.pace import ReplicaRange, ScalingPace
    from .scaling.triggers import (
        CpuUtilization,
        CronFloor,
        ExternalMetric,
        KvCacheUsage,
        ObjectMetric,
        PrometheusQuery,
        QueueDepth,
        RunningRequests,
        TimeToFirstToken,
    )
    from .traffic.controllers import AwsAlb, F5Nginx, GkeIngress, IngressNginx, Traefik
    from .traffic.route import GatewayRef
    from .traffic.tls import ClusterIssuerRef, TlsSecret
    from .workloads.availability import Drain, Rollout, Startup
    from .workloads.container import Container
    from .workloads.dns import Dns
    from .workloads.env_sources import EnvFromSource, EnvVarSource
    from .workloads.kv_offload import KvOffload
    from .workloads.lmcache import LmCache, LmCacheClient
    from .workloads.lora_adapter import LoraAdapter
    from .workloads.object_stores import AzureContainer, GcsBucket, S3Bucket
    from .workloads.offload_tiers import BucketTier, DiskTier
    from .workloads.pod import GpuPodSpec
    from .workloads.pod_options import PodOptions
    from .workloads.pod_security import PodSecurity
    from .workloads.probes import Probes
    from .workloads.scheduling import (
        Affinity,
        NodeRequirement,
        PodAffinityTerm,
        Toleration,
        TopologySpread,
    )
    from .workloads.secrets import ApiKey, HuggingFaceToken
    from .workloads.service import ServiceOptions
    from .workloads.service_account_token import ServiceAccountToken
    from .workloads.storage import EphemeralCache, ExistingClaim
    from .workloads.volumes import Volume
    from .workloads.weights import HuggingFaceMirror, ModelScope, OciImage
else:
    _VALUES = {
        "Affinity": "workloads.scheduling",
        "AmdGpu": "accelerators.amd",
        "ApiKey": "workloads.secrets",
        "ArgoApplication": "platform.delivery",
        "AwsAlb": "traffic.controllers",
        "AzureContainer": "workloads.object_stores",
        "BucketTier": "workloads.offload_tiers",
        "ClusterIssuerRef": "traffic.tls",
        "Container": "workloads.container",
        "Cpu": "accelerators.cpu",
        "CpuUtilization": "scaling.triggers",
        "CronFloor": "scaling.triggers",
        "DeviceClaim": "accelerators.device_claim",
        "DiskTier": "workloads.offload_tiers",
        "Dns": "workloads.dns",
        "Drain": "workloads.availability",
        "EgressRule": "kube.egress",
        "EngineArgs": "engine.engine_args",
        "EnvFromSource": "workloads.env_sources",
        "EnvVarSource": "workloads.env_sources",
        "EphemeralCache": "workloads.storage",
        "ExistingClaim": "workloads.storage",
        "ExternalMetric": "scaling.triggers",
        "F5Nginx": "traffic.controllers",
        "FluxHelmRelease": "platform.delivery",
        "GatewayRef": "traffic.route",
        "Gaudi": "accelerators.intel",
        "GcsBucket": "workloads.object_stores",
        "GkeIngress": "traffic.controllers",
        "GpuPodSpec": "workloads.pod",
        "HuggingFaceMirror": "workloads.weights",
        "HuggingFaceToken": "workloads.secrets",
        "IngressNginx": "traffic.controllers",
        "IntelGpu": "accelerators.intel",
        "KedaAuthentication": "scaling.keda_authentication",
        "Kubernetes": "kube.kubernetes",
        "KvCacheUsage": "scaling.triggers",
        "KvOffload": "workloads.kv_offload",
        "LmCache": "workloads.lmcache",
        "LmCacheClient": "workloads.lmcache",
        "LoraAdapter": "workloads.lora_adapter",
        "MemoryPlan": "memory.plan",
        "Metric": "metrics.metric",
        "MigSlice": "accelerators.nvidia",
        "ModelScope": "workloads.weights",
        "ModelSeries": "metrics.series",
        "ModelShape": "memory.shapes",
        "NodeRequirement": "workloads.scheduling",
        "Nodes": "accelerators.nodes",
        "ObjectMetric": "scaling.triggers",
        "Objectives": "monitoring.objectives",
        "OciImage": "workloads.weights",
        "ParsedArgs": "engine.command_line_parser",
        "PodAffinityTerm": "workloads.scheduling",
        "PodOptions": "workloads.pod_options",
        "PodSecurity": "workloads.pod_security",
        "Probes": "workloads.probes",
        "Problem": "errors",
        "PrometheusQuery": "scaling.triggers",
        "QueueDepth": "scaling.triggers",
        "ReplicaRange": "scaling.pace",
        "Rollout": "workloads.availability",
        "RunningRequests": "scaling.triggers",
        "S3Bucket": "workloads.object_stores",
        "ScalingPace": "scaling.pace",
        "ServiceAccountToken": "workloads.service_account_token",
        "ServiceOptions": "workloads.service",
        "Startup": "workloads.availability",
        "TimeSlicedGpu": "accelerators.nvidia",
        "TimeToFirstToken": "scaling.triggers",
        "TlsSecret": "traffic.tls",
        "Toleration": "workloads.scheduling",
        "TopologySpread": "workloads.scheduling",
        "Tpu": "accelerators.google",
        "Traefik": "traffic.controllers",
        "VirtualGpu": "accelerators.nvidia",
        "VllmConstructsError": "errors",
        "VllmConstructsWarning": "errors",
        "VllmRelease": "releases.release",
        "Volume": "workloads.volumes",
        "WholeGpu": "accelerators.nvidia",
        "parse_args": "engine.command_line_parser",
    }
    _CONSTRUCTS = {
        "DisruptionBudget": "availability",
        "ExternalToken": "external_token",
        "Gateway": "gateway",
        "GpuOperator": "gpu_operator",
        "GpuSmokeTest": "gpu_smoke_test",
        "HpaScaler": "hpa_scaler",
        "KedaOperator": "keda_operator",
        "KedaScaler": "keda_scaler",
        "LmCacheServer": "lmcache_server",
        "ModelCache": "storage",
        "ModelDeployment": "deployment",
        "ModelDownload": "model_download",
        "ModelFleet": "fleet",
        "ModelMonitor": "monitoring",
        "ModelRoute": "route",
        "ModelStack": "stack",
        "Namespace": "namespace",
        "PrometheusAdapter": "prometheus_adapter",
        "StreamingIngress": "ingress",
        "TokenSecret": "token_secret",
        "accept_finding": "accept_finding",
    }
    _MODULES = _VALUES | {name: f"cdk.{module}" for name, module in _CONSTRUCTS.items()}

    def __getattr__(name: str) -> object:
        """Load a name from its module when it is first used."""
        import sys

        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = _MODULES[name]
        if module.startswith("cdk.") and "jsii" not in sys.modules:
            # cdk8s, which these modules import, starts Node; jsii's own errors do not tell why.
            from . import node

            node.check_path()
            try:
                import_module("cdk8s")
            except Exception:
                # A Node that is too old ends with another error in each release of jsii.
                node.check()
                raise
        value = getattr(import_module(f".{module}", __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """List the names for completion before they are loaded."""
        return sorted({*globals(), *_MODULES})


__all__ = [
    "Affinity",
    "AmdGpu",
    "ApiKey",
    "ArgoApplication",
    "AwsAlb",
    "AzureContainer",
    "BucketTier",
    "ClusterIssuerRef",
    "Container",
    "Cpu",
    "CpuUtilization",
    "CronFloor",
    "DeviceClaim",
    "DiskTier",
    "DisruptionBudget",
    "Dns",
    "Drain",
    "EgressRule",
    "EngineArgs",
    "EnvFromSource",
    "EnvVarSource",
    "EphemeralCache",
    "ExistingClaim",
    "ExternalMetric",
    "ExternalToken",
    "F5Nginx",
    "FluxHelmRelease",
    "Gateway",
    "GatewayRef",
    "Gaudi",
    "GcsBucket",
    "GkeIngress",
    "GpuOperator",
    "GpuPodSpec",
    "GpuSmokeTest",
    "HpaScaler",
    "HuggingFaceMirror",
    "HuggingFaceToken",
    "IngressNginx",
    "IntelGpu",
    "KedaAuthentication",
    "KedaOperator",
    "KedaScaler",
    "Kubernetes",
    "KvCacheUsage",
    "KvOffload",
    "LmCache",
    "LmCacheClient",
    "LmCacheServer",
    "LoraAdapter",
    "MemoryPlan",
    "Metric",
    "MigSlice",
    "ModelCache",
    "ModelDeployment",
    "ModelDownload",
    "ModelFleet",
    "ModelMonitor",
    "ModelRoute",
    "ModelScope",
    "ModelSeries",
    "ModelShape",
    "ModelStack",
    "Namespace",
    "NodeRequirement",
    "Nodes",
    "ObjectMetric",
    "Objectives",
    "OciImage",
    "ParsedArgs",
    "PodAffinityTerm",
    "PodOptions",
    "PodSecurity",
    "Probes",
    "Problem",
    "PrometheusAdapter",
    "PrometheusQuery",
    "QueueDepth",
    "ReplicaRange",
    "Rollout",
    "RunningRequests",
    "S3Bucket",
    "ScalingPace",
    "ServiceAccountToken",
    "ServiceOptions",
    "Startup",
    "StreamingIngress",
    "TimeSlicedGpu",
    "TimeToFirstToken",
    "TlsSecret",
    "TokenSecret",
    "Toleration",
    "TopologySpread",
    "Tpu",
    "Traefik",
    "VirtualGpu",
    "VllmConstructsError",
    "VllmConstructsWarning",
    "VllmRelease",
    "Volume",
    "WholeGpu",
    "accept_finding",
    "parse_args",
]
