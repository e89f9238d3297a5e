"""Delivery: how Flux or Argo CD installs a Helm chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.engine.flag_types import Json, check_json, plain
from vllm_constructs.frozen import frozen
from vllm_constructs.kube import names


@dataclass(frozen=True, kw_only=True)
class HelmChart:
    """A chart in a Helm repository, and the values to install it with."""

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
        interval: How often Flux reconciles the objects, default `1h`.

    Raises:
        VllmConstructsError: The namespace or the interval is invalid.
    """

    namespace: str = "flux-system"
    interval: str = "1h"

    def __post_init__(self) -> None:
        names.label("FluxHelmRelease.namespace", self.namespace)
        require.duration("FluxHelmRelease.interval", self.interval)

    def manifests(self, chart: HelmChart) -> list[dict[str, Any]]:
        """The two objects; the installation creates the namespace of the release."""
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
        VllmConstructsError: The namespace or the project is invalid.
    """

    namespace: str = "argocd"
    project: str = "default"

    def __post_init__(self) -> None:
        names.label("ArgoApplication.namespace", self.namespace)
        names.subdomain("ArgoApplication.project", self.project)

    def manifests(self, chart: HelmChart) -> list[dict[str, Any]]:
        """The Application, with server-side apply.

        CRDs are too large for the annotation that client-side apply sets.
        """
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
    """`base` with the values of `over` on top; dicts are merged key by key, as Helm does it."""
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        nested = isinstance(value, Mapping) and isinstance(known, Mapping)
        result[key] = merged(known, value) if nested else value  # type: ignore[arg-type]
    return result


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
    """A checked chart, with the user's values on top of the derived ones."""
    if not isinstance(values, Mapping):
        require.wrong(f"{where}.values", values, "a dict of Helm values")
    check_json(f"{where}.values", values)
    return HelmChart(
        name=name,
        repository=repository,
        version=require.text(f"{where}.version", version),
        namespace=names.label(f"{where}.namespace", namespace),
        values=frozen(merged(derived, values)),
    )
