"""Typed cdk8s constructs that put vLLM model servers on Kubernetes.

Each name is loaded when it is first used. Values (such as `EngineArgs`, `WholeGpu` and `Startup`)
need no Node.js; constructs (such as `ModelDeployment`) start it.
"""

# Type checkers take it for typing's, which takes longer to import than all else here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .accelerators.nodes import Nodes
    from .accelerators.nvidia import MigSlice, TimeSlicedGpu, VirtualGpu, WholeGpu
    from .cdk.availability import DisruptionBudget
    from .cdk.deployment import ModelDeployment
    from .cdk.external_token import ExternalToken
    from .cdk.fleet import ModelFleet
    from .cdk.gpu_operator import GpuOperator
    from .cdk.gpu_smoke_test import GpuSmokeTest
    from .cdk.hpa_scaler import HpaScaler
    from .cdk.ingress import StreamingIngress
    from .cdk.keda_operator import KedaOperator
    from .cdk.keda_scaler import KedaScaler
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
else:
    _VALUES = {
        "Affinity": "workloads.scheduling",
        "ApiKey": "workloads.secrets",
        "ArgoApplication": "platform.delivery",
        "AwsAlb": "traffic.controllers",
        "ClusterIssuerRef": "traffic.tls",
        "Container": "workloads.container",
        "CpuUtilization": "scaling.triggers",
        "CronFloor": "scaling.triggers",
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
        "GkeIngress": "traffic.controllers",
        "GpuPodSpec": "workloads.pod",
        "HuggingFaceToken": "workloads.secrets",
        "IngressNginx": "traffic.controllers",
        "KedaAuthentication": "scaling.keda_authentication",
        "Kubernetes": "kube.kubernetes",
        "KvCacheUsage": "scaling.triggers",
        "MemoryPlan": "memory.plan",
        "Metric": "metrics.metric",
        "MigSlice": "accelerators.nvidia",
        "ModelSeries": "metrics.series",
        "ModelShape": "memory.shapes",
        "NodeRequirement": "workloads.scheduling",
        "Nodes": "accelerators.nodes",
        "ObjectMetric": "scaling.triggers",
        "Objectives": "monitoring.objectives",
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
        "ScalingPace": "scaling.pace",
        "ServiceAccountToken": "workloads.service_account_token",
        "ServiceOptions": "workloads.service",
        "Startup": "workloads.availability",
        "TimeSlicedGpu": "accelerators.nvidia",
        "TimeToFirstToken": "scaling.triggers",
        "TlsSecret": "traffic.tls",
        "Toleration": "workloads.scheduling",
        "TopologySpread": "workloads.scheduling",
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
        "GpuOperator": "gpu_operator",
        "GpuSmokeTest": "gpu_smoke_test",
        "HpaScaler": "hpa_scaler",
        "KedaOperator": "keda_operator",
        "KedaScaler": "keda_scaler",
        "ModelCache": "storage",
        "ModelDeployment": "deployment",
        "ModelFleet": "fleet",
        "ModelMonitor": "monitoring",
        "ModelRoute": "route",
        "ModelStack": "stack",
        "Namespace": "namespace",
        "PrometheusAdapter": "prometheus_adapter",
        "StreamingIngress": "ingress",
        "TokenSecret": "token_secret",
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
    "ApiKey",
    "ArgoApplication",
    "AwsAlb",
    "ClusterIssuerRef",
    "Container",
    "CpuUtilization",
    "CronFloor",
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
    "GatewayRef",
    "GkeIngress",
    "GpuOperator",
    "GpuPodSpec",
    "GpuSmokeTest",
    "HpaScaler",
    "HuggingFaceToken",
    "IngressNginx",
    "KedaAuthentication",
    "KedaOperator",
    "KedaScaler",
    "Kubernetes",
    "KvCacheUsage",
    "MemoryPlan",
    "Metric",
    "MigSlice",
    "ModelCache",
    "ModelDeployment",
    "ModelFleet",
    "ModelMonitor",
    "ModelRoute",
    "ModelSeries",
    "ModelShape",
    "ModelStack",
    "Namespace",
    "NodeRequirement",
    "Nodes",
    "ObjectMetric",
    "Objectives",
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
    "Traefik",
    "VirtualGpu",
    "VllmConstructsError",
    "VllmConstructsWarning",
    "VllmRelease",
    "Volume",
    "WholeGpu",
    "parse_args",
]
