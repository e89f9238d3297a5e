"""PrometheusAdapter: vLLM's metrics, where an HPA can read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vllm_constructs.engine.flag_types import Json
from vllm_constructs.kube import peers
from vllm_constructs.kube.metadata import mark
from vllm_constructs.metrics import vllm_metrics
from vllm_constructs.platform.delivery import Delivery, helm_chart
from vllm_constructs.scaling.keda import check_address, scraper_of

from .operator import Operator, delivered
from .registry import chart_context

if TYPE_CHECKING:
    from constructs import Construct


class PrometheusAdapter(Operator):
    """prometheus-adapter, which HpaScaler needs to read vLLM's metrics.

    Its rules name each metric as HpaScaler does, with one value per pod.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        delivery: How the chart is installed: `FluxHelmRelease()` or `ArgoApplication()`.
        prometheus: Address of Prometheus, such as
            `http://prometheus-operated.monitoring.svc:9090`. Pods of its namespace may scrape the
            models whose metrics an HpaScaler reads.
        version: Version of the chart. Default `5.3.0`.
        namespace: Namespace that it runs in. Default `monitoring`.
        values: More values of the chart, over the derived ones.
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
        prometheus: str,
        version: str = "5.3.0",
        namespace: str = "monitoring",
        values: Mapping[str, Json] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
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
        bodies = delivered("PrometheusAdapter", delivery, chart)
        scraper = scraper_of(address)
        changes = []
        if scraper is not None:
            peer = [peers.from_namespace(scraper)]
            changes = [links.change(peers=peer) for links in context.app.adapted]
        mark("PrometheusAdapter", bodies.values(), labels=labels, annotations=annotations)
        super().__init__(scope, id, context, bodies, changes)
        context.app.prometheus = scraper
