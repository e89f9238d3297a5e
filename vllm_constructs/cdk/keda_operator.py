"""KedaOperator: KEDA, which scales on more than an HPA can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vllm_constructs.engine.flag_types import Json
from vllm_constructs.kube.metadata import mark
from vllm_constructs.platform.delivery import Delivery, helm_chart

from .operator import Operator, delivered
from .registry import chart_context

if TYPE_CHECKING:
    from constructs import Construct


class KedaOperator(Operator):
    """KEDA, which KedaScaler needs.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        delivery: How the chart is installed: `FluxHelmRelease()` or `ArgoApplication()`.
        version: Version of the chart. Default `2.20.2`.
        namespace: Namespace that it runs in. Default `keda`.
        values: Values of the chart. Default: none.
        labels: More labels of all objects. Default: none.
        annotations: More annotations of all objects. Default: none.

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
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
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
        bodies = delivered("KedaOperator", delivery, chart)
        mark("KedaOperator", bodies.values(), labels=labels, annotations=annotations)
        super().__init__(scope, id, context, bodies)
