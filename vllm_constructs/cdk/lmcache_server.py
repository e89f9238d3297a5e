"""LmCacheServer: one LMCache server on each node, for all engines there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.accelerators.nodes import Labels, Nodes
from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.workloads import lmcache_server
from vllm_constructs.workloads.lmcache import LmCacheClient
from vllm_constructs.workloads.pod_security import PodSecurity
from vllm_constructs.workloads.scheduling import Toleration

from .base import VllmConstruct
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from vllm_constructs.accelerators.nvidia import Gpu

_IMAGE = "lmcache/standalone:v0.5.6"


class LmCacheServer(VllmConstruct):
    """A DaemonSet of LMCache servers, each of which keeps KV cache for the engines of its node.

    Give it to models as `kv_offload=`. Servers and engines share GPU memory through the driver
    (`--isolated-ipc`), and use neither memory nor namespaces of the host. The servers request no
    GPUs, but need access to all of them: through the RuntimeClass `nvidia`, or with
    `management_cdi`.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        gib: GiB of KV cache on each node.
        gpu: The GPU of the nodes.
        nodes: How the nodes of the GPU are found. Default: by the labels of GPU feature discovery.
        image: Image of LMCache. Default: `lmcache/standalone:v0.5.6`.
        runtime_class: RuntimeClass of the pods. Default: `nvidia`; None with `management_cdi`.
        management_cdi: Whether an annotation gives the pods access to the GPUs, where the GPU
            Operator uses CDI without a RuntimeClass. Default: False.
        security: The user of the processes. Default: 2000, without any capability.
        tolerations: More taints that are tolerated. Default: none.
        metrics_from: Namespaces whose Prometheus may read the metrics. Default: none.
        name: Name of the objects. Default: the id, as a legal name.
        labels: More labels of the objects and pods. Default: none.
        annotations: More annotations of the objects and pods. Default: none.

    Attributes:
        daemon_set: The DaemonSet.
        service: The Service, which routes each engine to the server on its node.
        network_policy: The NetworkPolicy.
        client: The client with which models use the servers.

    Raises:
        VllmConstructsError: An invalid size or name, or a chart without a namespace.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        gib: int,
        gpu: Gpu,
        nodes: Nodes | None = None,
        image: str = _IMAGE,
        runtime_class: str | None = None,
        management_cdi: bool = False,
        security: PodSecurity | None = None,
        tolerations: Sequence[Toleration] = (),
        metrics_from: Sequence[str] = (),
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        namespace = context.need_namespace("LmCacheServer")
        readers = require.texts("LmCacheServer.metrics_from", metrics_from)
        for one in readers:
            names.label("LmCacheServer.metrics_from", one)
        is_classic = runtime_class is None and not management_cdi
        daemon = lmcache_server.LmCacheDaemon(
            name=names.sanitized(id) if name is None else name,
            gib=gib,
            gpu=gpu,
            nodes=Nodes() if nodes is None else nodes,
            image=image,
            runtime_class="nvidia" if is_classic else runtime_class,
            management_cdi=management_cdi,
            security=PodSecurity() if security is None else security,
            tolerations=tolerations,
        )
        made = {
            "Default": daemon.daemon_set(),
            "service": daemon.service(),
            "network-policy": daemon.network_policy(readers),
        }
        template = made["Default"]["spec"]["template"]
        mark("LmCacheServer", [*made.values(), template], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, made)
        self._daemon = daemon
        self.client = LmCacheClient(host=f"{daemon.name}.{namespace}.svc", port=lmcache_server.PORT)

    def check_nodes(self, where: str, labels: Labels) -> None:
        """Reject a pod that may run on a node without a server.

        Args:
            where: Name of the model, for the sentence.
            labels: Labels of the pod's nodes with their allowed values.

        Raises:
            VllmConstructsError: Such a pod.
        """
        self._daemon.check_nodes(where, labels)

    @property
    def daemon_set(self) -> ApiObject:
        """The DaemonSet."""
        return self._object("Default")

    @property
    def service(self) -> ApiObject:
        """The Service."""
        return self._object("service")

    @property
    def network_policy(self) -> ApiObject:
        """The NetworkPolicy."""
        return self._object("network-policy")
