"""Series of the cluster: what kube-state-metrics, dcgm-exporter and Prometheus expose."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, escaped, refuse


@dataclass(frozen=True, kw_only=True)
class ClusterSeries:
    """A series that is exposed by another program than vLLM.

    Args:
        name: Its name.
        source: The program that exposes it.
        labels: The names of its labels.
    """

    name: str
    source: str
    labels: tuple[str, ...]

    def select(self, *, like: Mapping[str, str] | None = None, **equal: str) -> str:
        """A selector of the series.

        Args:
            like: Regular expressions by label. Default: none.
            equal: Values by label.

        Raises:
            VllmConstructsError: The series does not have such a label.
        """
        patterns = {} if like is None else like
        for label in (*equal, *patterns):
            if label not in self.labels:
                refuse(
                    Problem(
                        where=self.name,
                        text=f"of {self.source} has no label {escaped(require.shown(label))}",
                        value=require.shown(label),
                        allowed=require.one_of(self.labels),
                    )
                )
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


def wanted_replicas(name: str, label: str) -> ClusterSeries:
    """The series with the desired replicas of workloads of one kind.

    Args:
        name: Name of the series.
        label: Label whose value is the workload's name.
    """
    return ClusterSeries(name=name, source=_KUBE, labels=("namespace", label))
