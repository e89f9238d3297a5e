"""Typed cdk8s constructs that put vLLM model servers on Kubernetes.

Values (such as `EngineArgs`, `WholeGpu` and `Startup`) need no Node. Constructs (such as
`ModelDeployment`) are loaded when they are first used, and start it. So are values that not
every app needs (such as `MemoryPlan`), without Node.
"""

from typing import TYPE_CHECKING

from .accelerators.nvidia import MigSlice, TimeSlicedGpu, VirtualGpu, WholeGpu
from .engine.engine_args import EngineArgs
from .errors import VllmConstructsError, VllmConstructsWarning
from .kube.kubernetes import Kubernetes
from .metrics.metric import Metric, Scope
from .platform.operators import ArgoApplication, FluxHelmRelease
from .releases.release import VllmRelease
from .scaling.scalers import ScalingPace
from .scaling.triggers import (
    CpuUtilization,
    CronFloor,
    KvCacheUsage,
    PrometheusQuery,
    QueueDepth,
    RunningRequests,
    TimeToFirstToken,
)
from .traffic.ingress import (
    AwsAlb,
    ClusterIssuer,
    F5Nginx,
    GkeIngress,
    IngressNginx,
    TlsSecret,
    Traefik,
)
from .traffic.route import Gateway
from .workloads.availability import Drain, Rollout, Startup
from .workloads.pod import GpuPodSpec, Toleration
from .workloads.secrets import ApiKey, HuggingFaceToken
from .workloads.storage import EphemeralCache, ExistingClaim

if TYPE_CHECKING:
    from .cdk.availability import DisruptionBudget
    from .cdk.deployment import ModelDeployment
    from .cdk.fleet import ModelFleet
    from .cdk.ingress import ModelRoute, StreamingIngress
    from .cdk.monitoring import ModelMonitor
    from .cdk.platform import GpuOperator, GpuSmokeTest, KedaOperator, Namespace, PrometheusAdapter
    from .cdk.scaling import HpaScaler, KedaScaler
    from .cdk.secrets import ExternalToken, TokenSecret
    from .cdk.stack import ModelStack
    from .cdk.storage import ModelCache
    from .engine.command_line_parser import ParsedArgs, parse_args
    from .memory.plan import MemoryPlan
    from .memory.shapes import ModelShape
    from .monitoring.objectives import Objectives
else:
    _VALUES = {
        "MemoryPlan": "memory.plan",
        "ModelShape": "memory.shapes",
        "Objectives": "monitoring.objectives",
        "ParsedArgs": "engine.command_line_parser",
        "parse_args": "engine.command_line_parser",
    }
    _CONSTRUCTS = {
        "DisruptionBudget": "availability",
        "ExternalToken": "secrets",
        "GpuOperator": "platform",
        "GpuSmokeTest": "platform",
        "HpaScaler": "scaling",
        "KedaOperator": "platform",
        "KedaScaler": "scaling",
        "ModelCache": "storage",
        "ModelDeployment": "deployment",
        "ModelFleet": "fleet",
        "ModelMonitor": "monitoring",
        "ModelRoute": "ingress",
        "ModelStack": "stack",
        "Namespace": "platform",
        "PrometheusAdapter": "platform",
        "StreamingIngress": "ingress",
        "TokenSecret": "secrets",
    }
    _LAZY = _VALUES | {name: f"cdk.{room}" for name, room in _CONSTRUCTS.items()}

    def __getattr__(name: str) -> object:
        """Load a name from its room, and with a construct cdk8s, when it is first asked for."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """Offer the names to completion before they are loaded."""
        return sorted({*globals(), *_LAZY})


__all__ = [
    "ApiKey",
    "ArgoApplication",
    "AwsAlb",
    "ClusterIssuer",
    "CpuUtilization",
    "CronFloor",
    "DisruptionBudget",
    "Drain",
    "EngineArgs",
    "EphemeralCache",
    "ExistingClaim",
    "ExternalToken",
    "F5Nginx",
    "FluxHelmRelease",
    "Gateway",
    "GkeIngress",
    "GpuOperator",
    "GpuPodSpec",
    "GpuSmokeTest",
    "HpaScaler",
    "HuggingFaceToken",
    "IngressNginx",
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
    "ModelShape",
    "ModelStack",
    "Namespace",
    "Objectives",
    "ParsedArgs",
    "PrometheusAdapter",
    "PrometheusQuery",
    "QueueDepth",
    "Rollout",
    "RunningRequests",
    "ScalingPace",
    "Scope",
    "Startup",
    "StreamingIngress",
    "TimeSlicedGpu",
    "TimeToFirstToken",
    "TlsSecret",
    "TokenSecret",
    "Toleration",
    "Traefik",
    "VirtualGpu",
    "VllmConstructsError",
    "VllmConstructsWarning",
    "VllmRelease",
    "WholeGpu",
    "parse_args",
]
