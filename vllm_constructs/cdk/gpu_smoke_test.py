"""GpuSmokeTest: whether a pod gets a GPU at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.accelerators.nodes import Nodes
from vllm_constructs.accelerators.nvidia import EXPECTED, KINDS, Gpu
from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.platform import operators
from vllm_constructs.workloads.pod_security import PodSecurity
from vllm_constructs.workloads.scheduling import Toleration

from .base import VllmConstruct
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class GpuSmokeTest(VllmConstruct):
    """A Job that runs `nvidia-smi` on one GPU.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        gpu: The kind of GPU; one of it is used.
        image: CUDA image. Default: a small one of CUDA 13.
        nodes: How the nodes of the GPU are found. Default: by the labels of GPU feature discovery.
        security: The user of the process. Default: 65534, "nobody".
        tolerations: More taints that are tolerated.
        name: Name of the Job. Default: the id, as a legal name.
        labels: More labels of the Job and its pods. Default: none.
        annotations: More annotations of the Job and its pods. Default: none.

    Attributes:
        job: The Job.

    Raises:
        VllmConstructsError: An image without tag, an illegal name, or no GPU.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        gpu: Gpu,
        image: str = "nvidia/cuda:13.0.2-base-ubuntu24.04",
        nodes: Nodes | None = None,
        security: PodSecurity | None = None,
        tolerations: Sequence[Toleration] = (),
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        require.instance("GpuSmokeTest.gpu", gpu, KINDS, EXPECTED)
        allowed = "a list of Toleration(...)"
        require.instances("GpuSmokeTest.tolerations", tolerations, Toleration, allowed)
        own = names.sanitized(id) if name is None else name
        if nodes is not None:
            require.instance("GpuSmokeTest.nodes", nodes, Nodes, "Nodes(...)")
        if security is not None:
            where = "GpuSmokeTest.security"
            require.instance(where, security, PodSecurity, "PodSecurity(...)")
        body = operators.smoke_test(
            name=own,
            gpu=gpu,
            image=image,
            nodes=nodes,
            security=security,
            tolerations=tolerations,
        )
        template = body["spec"]["template"]
        mark("GpuSmokeTest", [body, template], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, {"Default": body})

    @property
    def job(self) -> ApiObject:
        """The Job."""
        return self._object("Default")
