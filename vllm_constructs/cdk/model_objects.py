"""ModelObjects: the manifests of a model, and which of them depend on other constructs."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from vllm_constructs.errors import Problem, refuse
from vllm_constructs.workloads import deployment, egress, network_policy, service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm_constructs.kube.egress import EgressRule
    from vllm_constructs.kube.kubernetes import Kubernetes
    from vllm_constructs.workloads.availability import Rollout
    from vllm_constructs.workloads.pod import GpuPodSpec
    from vllm_constructs.workloads.service import ServiceOptions
    from vllm_constructs.workloads.workload import Workload

    from .links import LinkedFacts


class ModelObjects:
    """The manifests of a model by the ids of its objects.

    Args:
        workload: What runs the pods.
        service_name: Name of the Service.
        service_options: How the Service is reached.
        pod: The pod.
        replicas: Number of pods, unless a scaler sets it.
        rollout: The resources that a rollout may use.
        labels: Labels of all objects and of the pods.
        annotations: Annotations of all objects.
        plan_annotations: Annotations of the Deployment that tell a plan what it cannot know else.
        kubernetes: The target release.
        allow_from: More peers that may reach the API; None for no NetworkPolicy.
        allow_to: More addresses that the pods may connect to.
        weights: Bytes of the weights on disk; None if they are not known.
        overlay: What the user adds to the Deployment. Default: nothing.
    """

    def __init__(
        self,
        *,
        workload: Workload,
        service_name: str,
        service_options: ServiceOptions,
        pod: GpuPodSpec,
        replicas: int,
        rollout: Rollout,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        plan_annotations: Mapping[str, str],
        kubernetes: Kubernetes,
        allow_from: Sequence[dict[str, Any]] | None,
        allow_to: Sequence[EgressRule],
        weights: int | None,
        overlay: Mapping[str, Any] | None = None,
    ) -> None:
        self._workload = workload
        self._service_name = service_name
        self._service = service_options
        self._pod = pod
        self._replicas = replicas
        self._rollout = rollout
        self._labels = labels
        self._annotations = annotations
        self._plan_annotations = plan_annotations
        self._kubernetes = kubernetes
        self._allow_from = allow_from
        self._allow_to = allow_to
        self._weights = weights
        self._overlay = overlay
        self._config_name = f"{workload.name}-engine"

    def all(self, facts: LinkedFacts) -> dict[str, dict[str, Any]]:
        """All manifests, in the order in which they are applied."""
        config = self._pod.config_map(self._config_name)
        made = {} if config is None else {"engine": self._marked(config)}
        claim = deployment.claim(self._workload, self._pod)
        if claim is not None:
            made["claim"] = self._marked(claim)
        made["Default"] = self._deployment(facts)
        made["service"] = self._marked(
            service.manifest(
                name=self._service_name,
                selector=self._workload.selector,
                port=self._pod.port,
                options=self._service,
                families=self._pod.ip_families,
            )
        )
        if self._allow_from is not None:
            made["network-policy"] = self._policy(facts, self._allow_from)
        return made

    def changed(self, facts: LinkedFacts, names: AbstractSet[str]) -> dict[str, dict[str, Any]]:
        """What is to be replaced where facts have changed.

        Args:
            facts: The facts.
            names: The names of those that have changed.
        """
        made: dict[str, dict[str, Any]] = {}
        if names & {"scaler", "job", "root_path"}:
            made["Default"] = self._deployment(facts)
        if "service_annotations" in names:
            own = {"ServiceOptions.annotations": self._service.annotations or {}}
            for where, given in {**own, "annotations": self._annotations}.items():
                for key in sorted(facts.service_annotations.keys() & given.keys()):
                    text = "is set by the ingress of the model"
                    refuse(Problem(where=f"{where}[{key!r}]", text=text, advice="leave it out"))
            made["service"] = {"metadata": {"annotations": facts.service_annotations}}
        if "peers" in names and self._allow_from is not None:
            made["network-policy"] = self._policy(facts, self._allow_from)
        return made

    def _deployment(self, facts: LinkedFacts) -> dict[str, Any]:
        return deployment.manifest(
            workload=self._workload,
            pod=self._pod,
            replicas=self._replicas if facts.scaler is None else None,
            rollout=self._rollout,
            labels=self._labels,
            annotations={**self._plan_annotations, **self._annotations},
            kubernetes=self._kubernetes,
            config_map_name=self._config_name if self._pod.config_files() else None,
            scrape_hints=facts.job is None,
            root_path=facts.root_path,
            weights=self._weights,
            overlay=self._overlay,
        )

    def _policy(self, facts: LinkedFacts, allow_from: Sequence[dict[str, Any]]) -> dict[str, Any]:
        found = network_policy.policy(
            name=self._workload.name,
            selector=self._workload.selector,
            port=self._pod.port,
            allow_from=allow_from,
            downloads=egress.needs_https(self._pod),
            more_peers=facts.peers,
            egress=(*egress.rules_of(self._pod), *self._allow_to),
            side_channel=egress.side_channel(self._pod),
            more_ports=self._pod.more_ports,
        )
        return self._marked(found)

    def _marked(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """A manifest with the labels and annotations of the model, below its own."""
        metadata = manifest["metadata"]
        for field, given in (("labels", self._labels), ("annotations", self._annotations)):
            if given:
                metadata[field] = {**given, **metadata.get(field, {})}
        return manifest
