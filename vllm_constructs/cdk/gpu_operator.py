"""GpuOperator: drivers, device plugin and metrics of NVIDIA's GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from vllm_constructs import require
from vllm_constructs.accelerators.nvidia import MigSlice, TimeSlicedGpu
from vllm_constructs.engine.flag_types import Json
from vllm_constructs.kube.metadata import mark
from vllm_constructs.platform import operators
from vllm_constructs.platform.delivery import Delivery, helm_chart

from .operator import Operator, delivered
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

_SHARING = "device-plugin-sharing"


class GpuOperator(Operator):
    """NVIDIA's GPU Operator: driver, container toolkit, device plugin, DCGM and MIG manager.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        delivery: How the chart is installed: `FluxHelmRelease()` or `ArgoApplication()`.
        version: Version of the chart. Default `v26.7.0`.
        namespace: Namespace that it runs in, made here with Pod Security's `privileged` level,
            which drivers need. Default `gpu-operator`.
        driver: Install the driver; False where the nodes' image has it. Default True.
        toolkit: Install the container toolkit. Default True.
        dcgm: Run DCGM as a service. Default True.
        dcgm_exporter: Export GPU metrics. Default True.
        mig_strategy: `"single"` or `"mixed"`. Default: the strategy of `mig`, else `single`.
        mig: Slices that GPUs with MIG are cut into by default; other nodes choose theirs with
            the label in `MigSlice.mig_config`. Default: none, MIG is left as it is.
        shared_gpus: Ways of sharing a GPU, by a name that nodes choose with the label
            `nvidia.com/device-plugin.config`. Default: none.
        values: More values of the chart, over the derived ones.
        labels: More labels of all objects. Default: none.
        annotations: More annotations of all objects. Default: none.

    Attributes:
        objects: What delivers the chart.
        namespace: The operator's Namespace.
        sharing: The device plugin's ConfigMap, or None.

    Raises:
        VllmConstructsError: A value that the chart or Kubernetes would reject.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        delivery: Delivery,
        version: str = "v26.7.0",
        namespace: str = "gpu-operator",
        driver: bool = True,
        toolkit: bool = True,
        dcgm: bool = True,
        dcgm_exporter: bool = True,
        mig_strategy: Literal["single", "mixed"] | None = None,
        mig: MigSlice | None = None,
        shared_gpus: Mapping[str, TimeSlicedGpu] | None = None,
        values: Mapping[str, Json] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        if mig is not None:
            require.instance("GpuOperator.mig", mig, MigSlice, "a MigSlice(...)")
        strategy = mig_strategy
        if strategy is None:
            strategy = "single" if mig is None else mig.strategy
        require.choice("GpuOperator.mig_strategy", strategy, ("single", "mixed"))
        if mig is not None and mig.strategy != strategy:
            require.wrong(
                "GpuOperator.mig_strategy", strategy, f"{mig.strategy!r}, the strategy of mig"
            )
        if shared_gpus is not None and not isinstance(shared_gpus, Mapping):
            require.wrong("GpuOperator.shared_gpus", shared_gpus, "a dict of TimeSlicedGpu")
        chart = helm_chart(
            "GpuOperator",
            name="gpu-operator",
            repository="https://helm.ngc.nvidia.com/nvidia",
            version=version,
            namespace=namespace,
            derived=operators.gpu_operator_values(
                driver=driver,
                toolkit=toolkit,
                dcgm=dcgm,
                dcgm_exporter=dcgm_exporter,
                mig=mig,
                mig_strategy=strategy,
                shared=_SHARING if shared_gpus else None,
            ),
            values={} if values is None else values,
        )
        bodies = delivered("GpuOperator", delivery, chart)
        home = operators.namespace(name=namespace, pod_security="privileged")
        sharing = (
            operators.sharing_config_map(_SHARING, namespace, shared_gpus) if shared_gpus else None
        )
        # In this order, so that the file can be applied from its beginning to its end.
        beside = {"namespace": home} | ({"sharing": sharing} if sharing else {})
        made = beside | bodies
        mark("GpuOperator", made.values(), labels=labels, annotations=annotations)
        super().__init__(scope, id, context, made)

    @property
    def namespace(self) -> ApiObject:
        """The operator's Namespace."""
        return self._object("namespace")

    @property
    def sharing(self) -> ApiObject | None:
        """The device plugin's ConfigMap, or None."""
        return self._optional("sharing")
