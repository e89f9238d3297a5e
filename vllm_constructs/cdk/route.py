"""ModelRoute: how clients outside of the cluster reach a model through the Gateway API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.traffic import ingress, route
from vllm_constructs.traffic.route import GatewayRef

from .base import VllmConstruct
from .endpoints import check_endpoints, endpoints_of
from .gateway import Gateway, gateway_of
from .ingress import proxy_settings
from .links import links_of
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from .deployment import ModelDeployment


class ModelRoute(VllmConstruct):
    """An HTTPRoute of the Gateway API for one model.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        target: The model.
        host: Host name.
        gateway: The Gateway that it attaches to: a GatewayRef, or a Gateway of the app.
        path: Path prefix. Default `/v1`, the API.
        name: Name of the HTTPRoute. Default: the model's.
        labels: More labels of the HTTPRoute and its policies. Default: none.
        annotations: More annotations of the HTTPRoute and its policies. Default: none.

    Attributes:
        route: The HTTPRoute.
        redirect: The HTTPRoute that sends plain HTTP to HTTPS, or None.
        policies: What the implementation needs beside it.

    Raises:
        VllmConstructsError: An illegal host or path, or a value that is not a GatewayRef.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        target: ModelDeployment,
        host: str,
        gateway: GatewayRef | Gateway,
        path: str = "/v1",
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        links = links_of("ModelRoute.target", target, context)
        backend = ingress.Backend(
            host=names.host("ModelRoute.host", host),
            path=ingress.check_path("ModelRoute.path", path),
            service=target.service_name,
            port=target.service_port,
        )
        entry = gateway_of("ModelRoute", gateway, context, [links], [backend.host])
        own = links.workload.name if name is None else name
        settings = proxy_settings([links], 1, None, context)
        body = route.manifest(name=own, gateway=entry, backends=[backend], settings=settings)
        beside = route.policies(
            name=own, gateway=entry, services=[target.service_name], settings=settings
        )
        root_path = ingress.root_path_of("ModelRoute.path", backend.path)
        if root_path is not None:
            links.check_root_path(root_path)
        endpoints = endpoints_of(entry, context, [links], [backend])
        check_endpoints(context, entry, endpoints)
        change = links.change(peers=entry.peers(), root_path=root_path)
        moved = route.redirects(name=own, gateway=entry, hosts=[backend.host])
        mark("ModelRoute", [body, *moved, *beside], labels=labels, annotations=annotations)
        redirects = {"redirect": moved[0]} if moved else {}
        policies = {f"policy-{i}": manifest for i, manifest in enumerate(beside)}
        super().__init__(scope, id, context, {"Default": body, **redirects, **policies}, [change])
        context.app.add_endpoints(endpoints)

    @property
    def route(self) -> ApiObject:
        """The HTTPRoute."""
        return self._object("Default")

    @property
    def redirect(self) -> ApiObject | None:
        """The HTTPRoute that sends plain HTTP to HTTPS, or None."""
        return self._optional("redirect")

    @property
    def policies(self) -> list[ApiObject]:
        """The policies of the Gateway's implementation."""
        return [self._object(name) for name in self._objects if name.startswith("policy-")]
