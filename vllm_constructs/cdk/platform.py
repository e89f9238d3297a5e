"""Namespace, operators and the GPU smoke test: what models need on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from vllm_constructs import require
from vllm_constructs.accelerators.nvidia import EXPECTED, KINDS, Gpu, MigSlice, TimeSlicedGpu
from vllm_constructs.engine.flag_types import Json
from vllm_constructs.kube import names
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.platform import operators
from vllm_constructs.platform.delivery import DELIVERIES, Delivery, HelmChart, helm_chart
from vllm_constructs.scaling.keda import check_address
from vllm_constructs.workloads.pod_options import Toleration

from .base import VllmConstruct
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class Namespace(VllmConstruct):
    """A Namespace with Pod Security labels.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        name: Name of the Namespace. Default: the id, as a legal name.
        pod_security: Level that is enforced, warned about and audited. Default `restricted`,
            which every pod of this library passes unless it runs as root.

    Attributes:
        namespace: The Namespace.

    Raises:
        VllmConstructsError: An illegal name or level.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str | None = None,
        pod_security: Literal["privileged", "baseline", "restricted"] = "restricted",
    ) -> None:
        context = chart_context(scope, id)
        own = names.sanitized(id) if name is None else name
        body = operators.namespace(name=own, pod_security=pod_security)
        context.check_free(body)
        super().__init__(scope, id, context)
        self.namespace: ApiObject = self._add("Default", body)


class _Operator(VllmConstruct):
    """A Helm chart that Flux or Argo CD installs."""

    def _deliver(self, bodies: Sequence[dict[str, Any]]) -> None:
        self.objects: list[ApiObject] = [
            self._add("Default" if i == 0 else f"object-{i}", body) for i, body in enumerate(bodies)
        ]


def _delivered(where: str, delivery: Any, chart: HelmChart) -> list[dict[str, Any]]:
    allowed = "FluxHelmRelease(...) or ArgoApplication(...)"
    tool: Any = require.instance(f"{where}.delivery", delivery, DELIVERIES, allowed)
    # The release first: it is what ApiObject.of finds.
    bodies: list[dict[str, Any]] = tool.manifests(chart)
    return bodies[::-1]


class GpuOperator(_Operator):
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
        bodies = _delivered("GpuOperator", delivery, chart)
        home = operators.namespace(name=namespace, pod_security="privileged")
        sharing = (
            operators.sharing_config_map(_SHARING, namespace, shared_gpus) if shared_gpus else None
        )
        context.check_free(home, *bodies, *([sharing] if sharing else []))
        super().__init__(scope, id, context)
        # In this order, so that the file can be applied from its beginning to its end.
        self.namespace: ApiObject = self._add("namespace", home)
        self.sharing: ApiObject | None = None if sharing is None else self._add("sharing", sharing)
        self._deliver(bodies)


_SHARING = "device-plugin-sharing"


class KedaOperator(_Operator):
    """KEDA, which KedaScaler needs.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        delivery: How the chart is installed: `FluxHelmRelease()` or `ArgoApplication()`.
        version: Version of the chart. Default `2.20.2`.
        namespace: Namespace that it runs in. Default `keda`.
        values: Values of the chart. Default: none.

    Attributes:
        objects: What delivers the chart.

    Raises:
        VllmConstructsError: A value that the chart or Kubernetes would reject.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        delivery: Delivery,
        version: str = "2.20.2",
        namespace: str = "keda",
        values: Mapping[str, Json] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        chart = helm_chart(
            "KedaOperator",
            name="keda",
            repository="https://kedacore.github.io/charts",
            version=version,
            namespace=namespace,
            derived={},
            values={} if values is None else values,
        )
        bodies = _delivered("KedaOperator", delivery, chart)
        context.check_free(*bodies)
        super().__init__(scope, id, context)
        self._deliver(bodies)


class PrometheusAdapter(_Operator):
    """prometheus-adapter, which HpaScaler needs to read vLLM's metrics.

    Its rules name each metric as HpaScaler does, with one value per pod.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        delivery: How the chart is installed: `FluxHelmRelease()` or `ArgoApplication()`.
        prometheus: Address of Prometheus, such as
            `http://prometheus-operated.monitoring.svc:9090`.
        version: Version of the chart. Default `5.3.0`.
        namespace: Namespace that it runs in. Default `monitoring`.
        values: More values of the chart, over the derived ones.

    Attributes:
        objects: What delivers the chart.

    Raises:
        VllmConstructsError: A value that the chart or Kubernetes would reject.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        delivery: Delivery,
        prometheus: str,
        version: str = "5.3.0",
        namespace: str = "monitoring",
        values: Mapping[str, Json] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        address = check_address("PrometheusAdapter.prometheus", prometheus)
        url, _, port = address.rstrip("/").rpartition(":")
        if not port.isdigit():
            url, port = address.rstrip("/"), "443" if address.startswith("https") else "80"
        chart = helm_chart(
            "PrometheusAdapter",
            name="prometheus-adapter",
            repository="https://prometheus-community.github.io/helm-charts",
            version=version,
            namespace=namespace,
            derived={
                "prometheus": {"url": url, "port": int(port)},
                "rules": {"default": False, "custom": vllm_metrics.adapter_rules()},
            },
            values={} if values is None else values,
        )
        bodies = _delivered("PrometheusAdapter", delivery, chart)
        context.check_free(*bodies)
        super().__init__(scope, id, context)
        self._deliver(bodies)


class GpuSmokeTest(VllmConstruct):
    """A Job that runs `nvidia-smi` on one GPU.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        gpu: The kind of GPU; one of it is used.
        image: CUDA image. Default: a small one of CUDA 13.
        tolerations: More taints that are tolerated.
        name: Name of the Job. Default: the id, as a legal name.

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
        tolerations: Sequence[Toleration] = (),
        name: str | None = None,
    ) -> None:
        context = chart_context(scope, id)
        require.instance("GpuSmokeTest.gpu", gpu, KINDS, EXPECTED)
        allowed = "a list of Toleration(...)"
        for item in require.items("GpuSmokeTest.tolerations", tolerations, allowed):
            require.instance("GpuSmokeTest.tolerations", item, Toleration, allowed)
        own = names.sanitized(id) if name is None else name
        body = operators.smoke_test(name=own, gpu=gpu, image=image, tolerations=tolerations)
        context.check_free(body)
        super().__init__(scope, id, context)
        self.job: ApiObject = self._add("Default", body)
