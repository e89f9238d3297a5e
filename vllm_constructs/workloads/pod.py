"""GpuPodSpec: the pod that runs one vLLM engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from vllm_constructs import require
from vllm_constructs.accelerators.device_claim import DeviceClaim
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.kubernetes import Kubernetes

from . import engine_container, files
from .dns import Dns
from .pod_facts import CHECKSUM_ANNOTATION, MODEL_ANNOTATION, PodFacts

# The first minor release of Kubernetes that has resource.k8s.io/v1.
_DRA = 34


@dataclass(frozen=True, kw_only=True, init=False)
class GpuPodSpec(PodFacts):
    """The pod that runs one vLLM engine, as `ModelDeployment` makes it.

    Use it alone to get a pod for a workload of your own: `manifest()` returns the `spec` of the
    pod, `annotations()` the annotations of its template.

    Args:
        **options: The options of the pod, which `PodOptions` lists.

    Raises:
        VllmConstructsError: An invalid value, or values that contradict each other.
    """

    def config_files(self) -> dict[str, str | bytes]:
        """The files that a ConfigMap of the pod has, by their paths in the container.

        They are those of `files`, and with `EngineArgs(delivery="config-map")` the one that vLLM
        reads its flags from.
        """
        return dict(self._config_files)

    def config_map(self, name: str) -> dict[str, Any] | None:
        """The ConfigMap with the files of the pod, or None if there are none.

        Args:
            name: Name of the ConfigMap.

        Raises:
            VllmConstructsError: An invalid name.
        """
        names.subdomain("GpuPodSpec.config_map name", name)
        return files.config_map(name, self._config_files) if self._config_files else None

    @cached_property
    def _config_files(self) -> dict[str, str | bytes]:
        return engine_container.config_files(self)

    def manifest(
        self,
        *,
        kubernetes: Kubernetes | None = None,
        config_map: str | None = None,
        root_path: str | None = None,
        weights: int | None = None,
        workload: str | None = None,
    ) -> dict[str, Any]:
        """The `spec` of the pod.

        Args:
            kubernetes: Target release. Default: the oldest supported one.
            config_map: Name of the ConfigMap that `config_map(name)` returns. Required with
                `files` or `EngineArgs(delivery="config-map")`, and rejected otherwise.
            root_path: Path of the API behind an ingress. Default: none.
            weights: Bytes of the weights on disk, which an ephemeral cache without a size
                requests. Default: not known, so that none are requested.
            workload: Name of the workload, by which a `DeviceClaim` finds its claim. Required
                with a `DeviceClaim`.

        Raises:
            VllmConstructsError: `config_map` is missing, or given though no ConfigMap is mounted.
        """
        if kubernetes is not None:
            allowed = "Kubernetes('1.34')"
            require.instance("GpuPodSpec.manifest kubernetes", kubernetes, Kubernetes, allowed)
        if config_map is not None:
            names.subdomain("GpuPodSpec.manifest config_map", config_map)
        if config_map is None and self._config_files:
            refuse(
                Problem(
                    where="GpuPodSpec.manifest config_map",
                    text="is missing, but the pod has files",
                    advice="give the name of the ConfigMap that config_map(name) returns",
                )
            )
        if config_map is not None and not self._config_files:
            refuse(
                Problem(
                    where="GpuPodSpec.manifest config_map",
                    text=f"is {config_map!r}, but the pod has no files",
                    value=repr(config_map),
                    advice="leave it out, or give {files} or {EngineArgs.delivery='config-map'}",
                )
            )
        volumes, mounts = engine_container.volumes(self, config_map)
        target = kubernetes or Kubernetes()
        self._check_target(target)
        spec: dict[str, Any] = {
            "automountServiceAccountToken": self.automount_service_account_token,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": self.drain_time.grace_period,
            "securityContext": self._security_context(),
            "nodeSelector": self.node_labels,
            "tolerations": [
                *self.nodes.tolerations(self.gpu),
                *(item.manifest() for item in self.tolerations),
            ],
            **self._containers(target, mounts, root_path, weights),
            "volumes": volumes,
        }
        optional = {
            "affinity": self.affinity.manifest(self.node_requirements),
            "schedulerName": self.scheduler,
            "priorityClassName": self.priority_class,
            "runtimeClassName": self.runtime_class,
            "serviceAccountName": self.service_account,
            "imagePullSecrets": [{"name": name} for name in self.image_pull_secrets],
            "hostAliases": [
                {"ip": ip, "hostnames": list(hosts)} for ip, hosts in self.host_aliases.items()
            ],
        }
        spec |= {name: value for name, value in optional.items() if value}
        if self.dns != Dns():
            spec |= self.dns.manifest()
        if isinstance(self.gpu, DeviceClaim):
            spec["resourceClaims"] = [self._resource_claim(self.gpu, workload)]
        for empty in ("nodeSelector", "tolerations"):
            if not spec[empty]:
                del spec[empty]
        return spec

    def _resource_claim(self, gpu: DeviceClaim, workload: str | None) -> dict[str, str]:
        if workload is None and gpu.resource_claim is None:
            text = "is missing, but the name of the claim follows from it"
            refuse(Problem(where="GpuPodSpec.manifest workload", text=text, advice="give it"))
        return gpu.pod_claim(workload or "")

    def _security_context(self) -> dict[str, Any]:
        """The pod's `securityContext`, with the groups that own device files."""
        context = self.security.of_pod(self.release.family)
        if self.gpu.groups and not (self.security.is_root or self.security.user == "platform"):
            context["supplementalGroups"] = list(self.gpu.groups)
        return context

    def _check_target(self, target: Kubernetes) -> None:
        """Reject volumes and device claims that the target release does not have."""
        if isinstance(self.gpu, DeviceClaim) and target.minor < _DRA:
            refuse(
                Problem(
                    where="gpu",
                    text=f"is a DeviceClaim, which Kubernetes has since 1.{_DRA}, and the target "
                    f"is {target.release}",
                    advice=f"call Kubernetes('1.{_DRA}').set_on(app) directly after App(), if the "
                    "cluster is that new",
                )
            )
        for path, volume in self.volumes.items():
            volume.check_target(f"volumes[{path!r}]", target)
        for one in (*self.sidecars, *self.init_containers):
            for path, volume in one.volumes.items():
                volume.check_target(f"Container.volumes[{path!r}]", target)

    def _containers(
        self,
        target: Kubernetes,
        mounts: Sequence[dict[str, Any]],
        root_path: str | None,
        weights: int | None,
    ) -> dict[str, Any]:
        """The fields `containers` and, if there are some, `initContainers`."""
        engine = engine_container.manifest(self, target, mounts, root_path, weights)
        beside = [one.manifest(self.security) for one in self.sidecars]
        before = [one.manifest(self.security) for one in self.init_containers]
        if target.has_native_sidecars:
            # They come first, since an init container may need one, such as a proxy.
            before = [*({**one, "restartPolicy": "Always"} for one in beside), *before]
            beside = []
        fields = {"containers": [engine, *beside]}
        return {"initContainers": before, **fields} if before else fields

    def annotations(self, *, scrape_hints: bool = True) -> dict[str, str]:
        """The annotations of the pod template: the model, scrape hints and a config checksum.

        Args:
            scrape_hints: Whether to add the annotations by which Prometheus finds the pods.
                Default: True. Together with a monitor they would count every request twice.
        """
        annotations = {MODEL_ANNOTATION: self.model}
        if scrape_hints:
            annotations |= {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(self.port),
                "prometheus.io/path": "/metrics",
            }
        if self._config_files:
            annotations[CHECKSUM_ANNOTATION] = files.checksum(self._config_files)
        return annotations | dict(self.pod_annotations)
