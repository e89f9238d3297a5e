"""Series of the cluster: what kube-state-metrics, dcgm-exporter and Prometheus expose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vllm_constructs import require
from vllm_constructs.errors import refuse


@dataclass(frozen=True, kw_only=True)
class ClusterSeries:
    """A series that something else than vLLM exposes.

    Args:
        name: Its name.
        source: What exposes it.
        labels: The labels that it has.
    """

    name: str
    source: str
    labels: tuple[str, ...]

    def select(self, *, like: Mapping[str, str] | None = None, **equal: str) -> str:
        """A selector: labels that are equal to a text, and those that match a pattern."""
        patterns = {} if like is None else like
        for label in (*equal, *patterns):
            if label not in self.labels:
                allowed = require.one_of(self.labels)
                refuse(f"{self.name} has no label {label!r}; {self.source} gives it {allowed}.")
        parts = [f'{label}="{value}"' for label, value in equal.items()]
        parts += [f'{label}=~"{value}"' for label, value in patterns.items()]
        return f"{self.name}{{{','.join(parts)}}}"


_KUBE = "kube-state-metrics"
_HPA = ("namespace", "horizontalpodautoscaler")
UP = ClusterSeries(name="up", source="Prometheus", labels=("namespace", "job", "pod"))
RESTARTS = ClusterSeries(
    name="kube_pod_container_status_restarts_total",
    source=_KUBE,
    labels=("namespace", "pod", "container"),
)
POD_READY = ClusterSeries(
    name="kube_pod_status_ready", source=_KUBE, labels=("namespace", "pod", "condition")
)
REPLICAS_WANTED = ClusterSeries(
    name="kube_deployment_spec_replicas", source=_KUBE, labels=("namespace", "deployment")
)
SCALER_REPLICAS = ClusterSeries(
    name="kube_horizontalpodautoscaler_status_current_replicas", source=_KUBE, labels=_HPA
)
SCALER_MINIMUM = ClusterSeries(
    name="kube_horizontalpodautoscaler_spec_min_replicas", source=_KUBE, labels=_HPA
)
SCALER_TARGET = ClusterSeries(
    name="kube_horizontalpodautoscaler_info",
    source=_KUBE,
    labels=(*_HPA, "scaletargetref_kind", "scaletargetref_name"),
)
GPU_UTILIZATION = ClusterSeries(
    name="DCGM_FI_DEV_GPU_UTIL",
    source="dcgm-exporter",
    labels=("namespace", "pod", "exported_namespace", "exported_pod"),
)


def pods_like(workload: str) -> str:
    """A pattern for the pods of a Deployment, and not of another one whose name begins alike.

    A pod is called after its ReplicaSet, which adds a hash to the Deployment's name; Kubernetes
    cuts that to 58 characters before it adds five more (apiserver's names.SimpleNameGenerator).
    """
    if len(workload) >= 58:
        return f"{workload[:58]}[a-z0-9]+"
    # A hash has at most ten characters; with a long name the dash behind it may be cut off.
    end = "-[a-z0-9]+" if len(workload) <= 46 else "(-[a-z0-9]+)?"
    return f"{workload}-[a-z0-9]+{end}"
