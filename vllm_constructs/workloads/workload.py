"""Workload: the object that runs a model's pods, independent of its kind.

Scalers refer to it, alerts use the names of its pods and the series of its replicas, and the
reader of manifests needs the fields that lead to its pod template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vllm_constructs.dataclass import dataclass

NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
CONTAINER = "vllm"
"""Name of the engine's container."""


def selector(name: str) -> dict[str, str]:
    """The labels that select a model's pods.

    A selector is immutable, so it has neither labels of the user nor a version.
    """
    return {NAME_LABEL: "vllm", INSTANCE_LABEL: name}


@dataclass(frozen=True, kw_only=True)
class WorkloadKind:
    """A kind of object that runs pods.

    Args:
        group: API group.
        version: API version.
        kind: The `kind` of its objects.
        pod_template: Fields that lead to the pod template.
        replicas: Fields that lead to the replicas.
        replicas_series: Series of kube-state-metrics with the desired replicas.
        series_label: Label of this series that has the name of the workload.
        pod_names: Returns the pattern of the pods' names for the name of a workload.
        former_groups: Other API groups that old manifests have. Default: none.
    """

    group: str
    version: str
    kind: str
    pod_template: tuple[str, ...]
    replicas: tuple[str, ...]
    replicas_series: str
    series_label: str
    pod_names: Callable[[str], str]
    former_groups: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects."""
        return f"{self.group}/{self.version}"

    def is_kind_of(self, manifest: Mapping[str, Any]) -> bool:
        """Whether a manifest is of this kind, in any version."""
        group = str(manifest.get("apiVersion") or self.group).partition("/")[0]
        return manifest.get("kind") == self.kind and group in (self.group, *self.former_groups)


def _deployment_pods(name: str) -> str:
    """A pattern for the pods of a Deployment, but not of another whose name begins with its name.

    The name of a pod begins with that of its ReplicaSet, which is the Deployment's name and a
    hash. Kubernetes cuts it to 58 characters before it appends five more (apiserver's
    names.SimpleNameGenerator).
    """
    if len(name) >= 58:
        return f"{name[:58]}[a-z0-9]+"
    # A hash has up to ten characters; with a long name, the dash after it may be cut off.
    end = "-[a-z0-9]+" if len(name) <= 46 else "(-[a-z0-9]+)?"
    return f"{name}-[a-z0-9]+{end}"


DEPLOYMENT = WorkloadKind(
    group="apps",
    version="v1",
    kind="Deployment",
    pod_template=("spec", "template"),
    replicas=("spec", "replicas"),
    replicas_series="kube_deployment_spec_replicas",
    series_label="deployment",
    pod_names=_deployment_pods,
    former_groups=("extensions",),
)
KINDS = (DEPLOYMENT,)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One object that runs a model's pods.

    Args:
        name: Name of the object.
        kind: Kind of the object. Default: a Deployment.
    """

    name: str
    kind: WorkloadKind = DEPLOYMENT

    @property
    def selector(self) -> dict[str, str]:
        """The labels that select its pods."""
        return selector(self.name)

    @property
    def pod_names(self) -> str:
        """The pattern of the names of its pods."""
        return self.kind.pod_names(self.name)

    def reference(self) -> dict[str, str]:
        """The `scaleTargetRef` of a scaler."""
        return {"apiVersion": self.kind.api_version, "kind": self.kind.kind, "name": self.name}
