"""Endpoints: the model behind each host and path, so that no request reaches another model."""

from __future__ import annotations

from collections.abc import Sequence

from vllm_constructs.errors import refuse
from vllm_constructs.traffic.controllers import F5Nginx, IngressController
from vllm_constructs.traffic.ingress import Backend
from vllm_constructs.traffic.route import GatewayRef

from .links import ModelLinks
from .registry import ChartContext, Endpoint


def endpoints_of(
    entry: IngressController | GatewayRef,
    context: ChartContext,
    models: Sequence[ModelLinks],
    backends: Sequence[Backend],
) -> list[Endpoint]:
    """The endpoints that an Ingress or routes add."""
    if isinstance(entry, GatewayRef):
        name = f"Gateway {entry.namespace or context.namespace}/{entry.gateway_name}"
    else:
        name = f"class {entry.class_name}"
    return [
        Endpoint(
            entry=name,
            host=backend.host,
            path=backend.path,
            model=(model.context.namespace, model.workload.name),
            served_name=model.pod.name_in_metrics,
        )
        for model, backend in zip(models, backends, strict=True)
    ]


def check_endpoints(
    context: ChartContext, entry: IngressController | GatewayRef, wanted: Sequence[Endpoint]
) -> None:
    """Reject a path that is taken, and one served name for two models of one host."""
    for new in wanted:
        for old in context.app.endpoints(new.entry, new.host):
            name = old.model[1]
            if isinstance(entry, F5Nginx):
                refuse(
                    f"host {new.host!r} belongs to the Ingress of {name!r} already, and F5's "
                    "controller gives a host to one Ingress; use ModelFleet for several models of "
                    "one host, or another host."
                )
            if old.path == new.path:
                if old.served_name == new.served_name and old.model != new.model:
                    advice = "a Service of your own that selects the pods of both"
                    refuse(
                        f"{new.host + new.path!r} leads to {name!r} already, which is served as "
                        f"{new.served_name!r} too; give another host or path, or {advice}."
                    )
                refuse(
                    f"{new.host + new.path!r} leads to {name!r} already; give another host or "
                    "path, or use ModelFleet for several models of one host."
                )
            if old.served_name == new.served_name and old.model != new.model:
                refuse(
                    f"{new.host!r} serves {name!r} and {new.model[1]!r} both as "
                    f"{new.served_name!r}; change the served_name= of one, or give another host."
                )
