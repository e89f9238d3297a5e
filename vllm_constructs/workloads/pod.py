"""GpuPodSpec: the pod that runs one vLLM engine."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.kubernetes import Kubernetes

from . import container
from .pod_facts import CHECKSUM_ANNOTATION, MODEL_ANNOTATION, PodFacts


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

    def config(self) -> str | None:
        """The file that vLLM reads with `--config`, or None if the flags are arguments."""
        return self._config

    @cached_property
    def _config(self) -> str | None:
        return container.engine_config(self)

    def manifest(
        self,
        *,
        kubernetes: Kubernetes | None = None,
        config_map: str | None = None,
        root_path: str | None = None,
        weights: int | None = None,
    ) -> dict[str, Any]:
        """The `spec` of the pod.

        Args:
            kubernetes: Target release. Default: the oldest supported one.
            config_map: Name of the ConfigMap that has `config()` as `engine.yaml`. Required with
                `EngineArgs(delivery="config-map")`, and rejected otherwise.
            root_path: Path of the API behind an ingress. Default: none.
            weights: Bytes of the weights on disk, which an ephemeral cache without a size
                requests. Default: not known, so that none are requested.

        Raises:
            VllmConstructsError: `config_map` is missing, or given though no ConfigMap is mounted.
        """
        if kubernetes is not None:
            allowed = "Kubernetes('1.34')"
            require.instance("GpuPodSpec.manifest kubernetes", kubernetes, Kubernetes, allowed)
        if config_map is not None:
            names.subdomain("GpuPodSpec.manifest config_map", config_map)
        is_mounted = self.engine.delivery == "config-map"
        if config_map is None and is_mounted:
            refuse(
                Problem(
                    where="GpuPodSpec.manifest config_map",
                    text="is missing with {EngineArgs.delivery='config-map'}",
                    advice="give the name of the ConfigMap that has config() as engine.yaml",
                )
            )
        if config_map is not None and not is_mounted:
            refuse(
                Problem(
                    where="GpuPodSpec.manifest config_map",
                    text=f"is {config_map!r}, which {{EngineArgs.delivery='args'}} does not mount",
                    value=repr(config_map),
                    advice="leave it out, or give {EngineArgs.delivery='config-map'}",
                )
            )
        volumes = container.volumes(self, config_map)
        mounts = [mount for _, mount in volumes]
        target = kubernetes or Kubernetes()
        spec: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": self.drain_time.grace_period,
            "securityContext": container.pod_security(self),
            "nodeSelector": dict(sorted((self.gpu.node_labels | dict(self.node_selector)).items())),
            "tolerations": [
                *self.gpu.tolerations,
                *(item.manifest() for item in self.tolerations),
            ],
            "containers": [container.manifest(self, target, mounts, root_path, weights)],
            "volumes": [volume for volume, _ in volumes],
        }
        optional = {
            "priorityClassName": self.priority_class,
            "runtimeClassName": self.runtime_class,
            "serviceAccountName": self.service_account,
        }
        spec |= {name: value for name, value in optional.items() if value is not None}
        if self.image_pull_secrets:
            spec["imagePullSecrets"] = [{"name": name} for name in self.image_pull_secrets]
        if not spec["nodeSelector"]:
            del spec["nodeSelector"]
        return spec

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
        config = self.config()
        if config is not None:
            import hashlib

            annotations[CHECKSUM_ANNOTATION] = hashlib.sha256(config.encode()).hexdigest()
        return annotations | dict(self.pod_annotations)
