"""LmCacheServer: one LMCache server on each node, for all engines there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.accelerators.nodes import Nodes
from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.workloads import lmcache_server
from vllm_constructs.workloads.lmcache import LmCacheClient
from vllm_constructs.workloads.pod_security import PodSecurity

from .base import VllmConstruct
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from vllm_constructs.accelerators.nvidia import Gpu

_IMAGE = "lmcache/standalone:v0.5.6"


class LmCacheServer(VllmConstruct):
    """A DaemonSet of LMCache servers, each of which keeps KV cache for the engines of its node.

    A model gets it as `kv_offload=`. Server and engines pass GPU memory to each other through the
    driver (`--isolated-ipc`), so that neither shares memory or namespaces of the host. The servers
    request no GPUs, but have to see them: by the RuntimeClass `nvidia`, or by `management_cdi`.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        gib: GiB of KV cache on each node.
        gpu: The GPU of the nodes.
        nodes: How the nodes of the GPU are found. Default: by the labels of GPU feature discovery.
        image: Image of LMCache. Default: `lmcache/standalone:v0.5.6`.
        runtime_class: RuntimeClass of the pods. Default: `nvidia`; None with `management_cdi`.
        management_cdi: Whether the pods see the GPUs by an annotation of the GPU Operator with CDI,
            which has no RuntimeClass. Default: False.
        security: The user of the processes. Default: 2000, without any capability.
        metrics_from: Namespaces whose Prometheus may read the metrics. Default: none.
        name: Name of the objects. Default: the id, as a legal name.
        labels: More labels of the objects and pods. Default: none.
        annotations: More annotations of the objects and pods. Default: none.

    Attributes:
        daemon_set: The DaemonSet.
        service: The Service, which leads each engine to the server of its node.
        network_policy: The NetworkPolicy.
        client: What a model is given.

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
        )
        made = {
            "Default": daemon.daemon_set(),
            "service": daemon.service(),
            "network-policy": daemon.network_policy(readers),
        }
        template = made["Default"]["spec"]["template"]
        mark("LmCacheServer", [*made.values(), template], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, made)
        self.client = LmCacheClient(host=f"{daemon.name}.{namespace}.svc", port=lmcache_server.PORT)

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
