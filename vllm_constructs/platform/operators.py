"""Platform: what a cluster needs before a model runs on it.

Operators come as Helm charts, which a delivery tool of the cluster installs: Flux or Argo CD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.accelerators.nvidia import MigSlice, TimeSlicedGpu
from vllm_constructs.engine.flag_types import Json, check_json, plain
from vllm_constructs.kube import names
from vllm_constructs.releases.release import check_image
from vllm_constructs.workloads.pod import Gpu

POD_SECURITY = ("privileged", "baseline", "restricted")


@dataclass(frozen=True, kw_only=True)
class HelmChart:
    """A chart in a Helm repository."""

    name: str
    repository: str
    version: str
    namespace: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FluxHelmRelease:
    """Delivery by Flux: a HelmRepository and a HelmRelease.

    Args:
        namespace: Namespace of the two objects, default `flux-system`.
        interval: How often Flux compares, default `1h`.

    Raises:
        VllmConstructsError: An illegal namespace or interval.
    """

    namespace: str = "flux-system"
    interval: str = "1h"

    def __post_init__(self) -> None:
        names.label("FluxHelmRelease.namespace", self.namespace)
        require.duration("FluxHelmRelease.interval", self.interval)

    def manifests(self, chart: HelmChart) -> list[dict[str, Any]]:
        """The two objects. The release's own namespace is made by the install."""
        metadata = {"name": chart.name, "namespace": self.namespace}
        source = {"kind": "HelmRepository", "name": chart.name}
        spec = {"chart": chart.name, "version": chart.version, "sourceRef": source}
        return [
            {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": "HelmRepository",
                "metadata": metadata,
                "spec": {"interval": self.interval, "url": chart.repository},
            },
            {
                "apiVersion": "helm.toolkit.fluxcd.io/v2",
                "kind": "HelmRelease",
                "metadata": metadata,
                "spec": {
                    "interval": self.interval,
                    "releaseName": chart.name,
                    "targetNamespace": chart.namespace,
                    "storageNamespace": chart.namespace,
                    "chart": {"spec": spec},
                    "install": {"createNamespace": True, "crds": "CreateReplace"},
                    "upgrade": {"crds": "CreateReplace"},
                    "values": plain(chart.values),
                },
            },
        ]


@dataclass(frozen=True, kw_only=True)
class ArgoApplication:
    """Delivery by Argo CD: an Application.

    Args:
        namespace: Namespace of the Application, default `argocd`.
        project: Argo CD project, default `default`.

    Raises:
        VllmConstructsError: An illegal namespace or project.
    """

    namespace: str = "argocd"
    project: str = "default"

    def __post_init__(self) -> None:
        names.label("ArgoApplication.namespace", self.namespace)
        names.subdomain("ArgoApplication.project", self.project)

    def manifests(self, chart: HelmChart) -> list[dict[str, Any]]:
        """The Application. Server-side apply, since CRDs outgrow the annotation of the other."""
        source = {
            "repoURL": chart.repository,
            "chart": chart.name,
            "targetRevision": chart.version,
            "helm": {"releaseName": chart.name, "valuesObject": plain(chart.values)},
        }
        cluster = "https://kubernetes.default.svc"
        return [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": chart.name, "namespace": self.namespace},
                "spec": {
                    "project": self.project,
                    "source": source,
                    "destination": {"server": cluster, "namespace": chart.namespace},
                    "syncPolicy": {
                        "automated": {"prune": True, "selfHeal": True},
                        "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
                    },
                },
            }
        ]


Delivery: TypeAlias = "FluxHelmRelease | ArgoApplication"
DELIVERIES = (FluxHelmRelease, ArgoApplication)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` put over it, dicts merged key by key, as Helm does it."""
    found = dict(base)
    for key, value in over.items():
        known = found.get(key)
        nested = isinstance(value, Mapping) and isinstance(known, Mapping)
        found[key] = merged(known, value) if nested else value  # type: ignore[arg-type]
    return found


def helm_chart(
    where: str,
    *,
    name: str,
    repository: str,
    version: str,
    namespace: str,
    derived: Mapping[str, Any],
    values: Mapping[str, Json],
) -> HelmChart:
    """A checked chart with the user's values over the derived ones."""
    if not isinstance(values, Mapping):
        require.wrong(f"{where}.values", values, "a dict of Helm values")
    check_json(f"{where}.values", values)
    return HelmChart(
        name=name,
        repository=repository,
        version=require.text(f"{where}.version", version),
        namespace=names.label(f"{where}.namespace", namespace),
        values=merged(derived, values),
    )


def gpu_operator_values(
    *,
    driver: bool,
    toolkit: bool,
    dcgm: bool,
    dcgm_exporter: bool,
    mig: MigSlice | None,
    mig_strategy: str,
    shared: str | None,
) -> dict[str, Any]:
    """The values of NVIDIA's chart."""
    switches = {
        "driver": driver,
        "toolkit": toolkit,
        "dcgm": dcgm,
        "dcgmExporter": dcgm_exporter,
    }
    found: dict[str, Any] = {
        name: {"enabled": require.boolean(f"GpuOperator.{name}", value)}
        for name, value in switches.items()
    }
    found["mig"] = {"strategy": mig_strategy}
    if mig is not None:
        found["migManager"] = {"config": {"default": mig.mig_config["nvidia.com/mig.config"]}}
    if shared is not None:
        found["devicePlugin"] = {"config": {"create": False, "name": shared}}
    return found


def sharing_config_map(name: str, namespace: str, shared: Mapping[str, TimeSlicedGpu]) -> Any:
    """The device plugin's ConfigMap: a file per way of sharing, chosen by a node label."""
    import yaml

    for key, gpu in shared.items():
        names.secret_key("a key of GpuOperator.shared_gpus", key)
        where = f"GpuOperator.shared_gpus[{key!r}]"
        require.instance(where, gpu, TimeSlicedGpu, "a TimeSlicedGpu")
    data = {key: yaml.safe_dump(shared[key].device_plugin_config()) for key in sorted(shared)}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def namespace(
    *, name: str, pod_security: Literal["privileged", "baseline", "restricted"]
) -> dict[str, Any]:
    """The Namespace with its Pod Security labels."""
    level = require.choice("Namespace.pod_security", pod_security, POD_SECURITY)
    prefix = "pod-security.kubernetes.io"
    labels = {f"{prefix}/{mode}": level for mode in ("audit", "enforce", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": names.label("Namespace.name", name), "labels": labels},
    }


def smoke_test(*, name: str, gpu: Gpu, image: str, tolerations: Sequence[Any] = ()) -> Any:
    """The Job that runs `nvidia-smi` on one GPU, as an ordinary user."""
    check_image(image)
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    one = {gpu.resource: "1"}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    small = {"cpu": "100m", "memory": "128Mi"}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [taint, *(item.manifest() for item in tolerations)],
        "containers": [
            {
                "name": "nvidia-smi",
                "image": image,
                "command": ["nvidia-smi"],
                "resources": {
                    "limits": {"cpu": "1", "memory": "512Mi"} | one,
                    "requests": small | one,
                },
                "securityContext": security,
            }
        ],
    }
    if gpu.node_labels:
        pod["nodeSelector"] = gpu.node_labels
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": names.label("GpuSmokeTest.name", name)},
        "spec": {
            "backoffLimit": 2,
            "activeDeadlineSeconds": 600,
            "template": {"spec": pod},
        },
    }
