"""The LMCache server of each node: a DaemonSet, its Service and its NetworkPolicy.

Source: LMCache 0.5.6, docs/source/mp/deployment.rst and lmcache/v1/multiprocess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vllm_constructs import require
from vllm_constructs.accelerators.nodes import Labels, Nodes
from vllm_constructs.accelerators.nvidia import KINDS, Gpu, MigSlice
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.peers import from_namespace

from .container import Container
from .pod_security import PodSecurity
from .scheduling import Affinity, NodeRequirement, Toleration
from .volumes import Volume
from .workload import NAME_LABEL

PORT = 5555
_HTTP, _METRICS = 8080, 9090
_CONTAINER = "lmcache-server"
_CDI = f"nvidia.cdi.k8s.io/container.{_CONTAINER}"
_HOME = "/home/lmcache"
_USER = 2000


@dataclass(frozen=True, kw_only=True)
class LmCacheDaemon:
    """The servers as a value; `LmCacheServer` documents the options."""

    name: str
    gib: int
    gpu: Gpu
    nodes: Nodes
    image: str
    runtime_class: str | None
    management_cdi: bool
    security: PodSecurity
    tolerations: Sequence[Toleration]

    def __post_init__(self) -> None:
        names.service("LmCacheServer.name", self.name)
        require.integer("LmCacheServer.gib", self.gib, 1, 2**16, "GiB")
        allowed = "a WholeGpu, TimeSlicedGpu or VirtualGpu"
        require.instance("LmCacheServer.gpu", self.gpu, KINDS, allowed)
        if isinstance(self.gpu, MigSlice):
            text = "is a MigSlice, and a server can see only one slice of its node"
            advice = "use {KvOffload} or {LmCache} for the models on slices"
            refuse(Problem(where="LmCacheServer.gpu", text=text, advice=advice))
        require.instance("LmCacheServer.nodes", self.nodes, Nodes, "Nodes(...)")
        require.boolean("LmCacheServer.management_cdi", self.management_cdi)
        require.instance("LmCacheServer.security", self.security, PodSecurity, "PodSecurity(...)")
        allowed = "a list of Toleration(...)"
        require.instances("LmCacheServer.tolerations", self.tolerations, Toleration, allowed)
        if self.runtime_class is not None:
            names.subdomain("LmCacheServer.runtime_class", self.runtime_class)

    def check_nodes(self, where: str, labels: Labels) -> None:
        """Reject a pod that may run on a node without a server, which it could not reach.

        Args:
            where: Name of the model, for the sentence.
            labels: Labels of the pod's nodes with their allowed values.

        Raises:
            VllmConstructsError: Such a pod.
        """
        for key, values in self.nodes.labels_for(self.gpu).items():
            if not labels.get(key) or not set(labels[key]) <= set(values):
                found = " or ".join(labels.get(key, ())) or "any"
                refuse(
                    Problem(
                        where=where,
                        text=f"runs on nodes whose {key} is {found}, and the LmCacheServer "
                        f"{self.name!r} on those where it is {' or '.join(values)}, so that a pod "
                        "may have no server on its node",
                        advice="give both the same product and {nodes}",
                    )
                )

    @property
    def selector(self) -> dict[str, str]:
        """The labels of its pods."""
        return {NAME_LABEL: "lmcache", "app.kubernetes.io/instance": self.name}

    def _container(self) -> dict[str, Any]:
        gpus = {} if self.runtime_class is None else {"NVIDIA_VISIBLE_DEVICES": "all"}
        # The process itself takes a few GiB.
        memory = f"{self.gib + math.ceil(self.gib / 10) + 5}Gi"
        container = Container(
            name=_CONTAINER,
            image=self.image,
            command=["/opt/venv/bin/lmcache", "server"],
            args=[
                "--host=0.0.0.0",
                f"--port={PORT}",
                "--http-host=0.0.0.0",
                f"--http-port={_HTTP}",
                f"--l1-size-gb={self.gib}",
                "--eviction-policy=LRU",
                "--max-workers=4",
                "--isolated-ipc",
            ],
            env={"HOME": _HOME, "USER": "lmcache"} | gpus,
            ports={"lmcache": PORT, "http": _HTTP, "metrics": _METRICS},
            volumes={_HOME: Volume.from_empty_dir(name="home")},
            cpu="4",
            memory=memory,
        ).manifest(self.security)
        probe = {"httpGet": {"path": "/healthcheck", "port": "http"}, "periodSeconds": 10}
        return container | {
            # It answers after it has pinned the cache; LMCache's operator allows 1 s for each GB.
            "startupProbe": {**probe, "failureThreshold": 30 + math.ceil(self.gib / 10)},
            "readinessProbe": probe,
            "livenessProbe": {**probe, "failureThreshold": 6},
        }

    def daemon_set(self) -> dict[str, Any]:
        """The DaemonSet."""
        user: dict[str, Any] = {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        if self.security.is_root:
            user = {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}
        elif self.security.user != "platform":
            own = _USER if self.security.user == "image" else self.security.user
            user |= {"runAsUser": own, "runAsGroup": own, "fsGroup": own}
        pod: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": user,
            "tolerations": [
                *self.nodes.tolerations(self.gpu),
                *(one.manifest() for one in self.tolerations),
            ],
            "containers": [self._container()],
            "volumes": [{"name": "home", "emptyDir": {}}],
        }
        if self.security.read_only_root:
            pod["volumes"].append({"name": "tmp", "emptyDir": {}})
        if self.runtime_class is not None:
            pod["runtimeClassName"] = self.runtime_class
        labels = self.nodes.labels_for(self.gpu)
        selector = {key: values[0] for key, values in labels.items() if len(values) == 1}
        if selector:
            pod["nodeSelector"] = dict(sorted(selector.items()))
        several = [NodeRequirement(key, one) for key, one in labels.items() if len(one) > 1]
        if several:
            pod["affinity"] = Affinity(nodes=several).manifest()
        metadata: dict[str, Any] = {"labels": self.selector}
        if self.management_cdi:
            metadata["annotations"] = {_CDI: "management.nvidia.com/gpu=all"}
        return {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": self.name},
            "spec": {
                "selector": {"matchLabels": self.selector},
                "template": {"metadata": metadata, "spec": pod},
            },
        }

    def service(self) -> dict[str, Any]:
        """The Service, which routes each pod to the server on its own node."""
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.name},
            "spec": {
                "selector": self.selector,
                "internalTrafficPolicy": "Local",
                "ports": [{"name": "lmcache", "port": PORT, "targetPort": PORT}],
            },
        }

    def network_policy(self, metrics_from: tuple[str, ...]) -> dict[str, Any]:
        """The NetworkPolicy, which admits engines of the namespace, and readers of the metrics.

        Args:
            metrics_from: Namespaces of Prometheus.
        """
        readers = [from_namespace(one) for one in metrics_from]
        engines: dict[str, Any] = {"podSelector": {"matchLabels": {NAME_LABEL: "vllm"}}}
        ingress = [{"from": [engines], "ports": [{"port": PORT, "protocol": "TCP"}]}]
        if readers:
            ingress.append({"from": readers, "ports": [{"port": _METRICS, "protocol": "TCP"}]})
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": self.name},
            "spec": {
                "podSelector": {"matchLabels": self.selector},
                "policyTypes": ["Ingress", "Egress"],
                # Without rules, nothing is let out; an empty list would not be stored.
                "ingress": ingress,
            },
        }
