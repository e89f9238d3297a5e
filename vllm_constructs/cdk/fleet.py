"""ModelFleet: many models behind one Ingress or Gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.traffic import ingress, route
from vllm_constructs.traffic.controllers import GkeIngress, IngressController, ProxySettings
from vllm_constructs.traffic.ingress import Backend
from vllm_constructs.traffic.route import GatewayRef
from vllm_constructs.traffic.tls import Tls

from .base import VllmConstruct, numbered
from .deployment import ModelDeployment
from .endpoints import check_endpoints, endpoints_of
from .gateway import Gateway, gateway_of
from .ingress import (
    check_controller,
    proxy_settings,
    service_annotations,
    warn_of_clear_keys,
)
from .links import links_of
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class ModelFleet(VllmConstruct):
    """One Ingress or Gateway for several models, each with its own path or its own host.

    With `host="llm.example.com"` a model served as `qwen-7b` is at
    `llm.example.com/qwen-7b/v1` (the served name as a legal name): vLLM serves that path itself
    (`--root-path`), so no controller has to rewrite paths. With `domain="llm.example.com"` it is
    at `qwen-7b.llm.example.com/v1`.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        models: The models, of one namespace, each with its own served name.
        host: One host for all models, with a path each.
        domain: One domain for all models, with a host each.
        controller: Ingress controller that serves them.
        gateway: Gateway that the routes attach to, instead of a controller.
        tls: Certificate, for a controller. Default: none.
        max_body: Size of the largest request in MiB, for a controller. Default 100.
        name: Name of the Ingress or HTTPRoute. Default: the id, as a legal name.
        labels: More labels of the Ingress or the HTTPRoutes. Default: none.
        annotations: More annotations of the Ingress or the HTTPRoutes. Default: none.

    Attributes:
        urls: Where each model is, by served name, without the scheme.
        objects: The Ingress or HTTPRoutes, and what they need beside them.

    Raises:
        VllmConstructsError: Two models of one served name, neither or both of controller and
            gateway, or models of other namespaces.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        models: Sequence[ModelDeployment],
        host: str | None = None,
        domain: str | None = None,
        controller: IngressController | None = None,
        gateway: GatewayRef | Gateway | None = None,
        tls: Tls | None = None,
        max_body: int = 100,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        allowed = "a list of at least one ModelDeployment"
        members: list[ModelDeployment] = [
            require.instance("ModelFleet.models", item, ModelDeployment, allowed)
            for item in require.items("ModelFleet.models", models, allowed)
        ]
        if not members:
            require.wrong("ModelFleet.models", models, allowed)
        all_links = [links_of("ModelFleet.models", model, context) for model in members]
        own = names.sanitized(id) if name is None else names.subdomain("ModelFleet.name", name)
        backends = _backends(members, host, domain)
        settings = proxy_settings(all_links, max_body, tls, context)
        if (controller is None) == (gateway is None):
            refuse("ModelFleet takes either controller= or gateway=; give exactly one of them.")
        entry: Any
        if gateway is None:
            entry = check_controller("ModelFleet.controller", controller)
            warn_of_clear_keys("ModelFleet", all_links, tls, entry)
            bodies = _ingress(own, entry, members, backends, settings)
        else:
            served = [backend.host for backend in backends]
            entry = gateway_of("ModelFleet", gateway, context, all_links, served)
            bodies = _routes(own, entry, backends, settings)
        root_paths = [backend.path.removesuffix("/v1") for backend in backends]
        if host is not None:
            for links, root_path in zip(all_links, root_paths, strict=True):
                links.check_root_path(root_path)
        endpoints = endpoints_of(entry, context, all_links, backends)
        check_endpoints(context, entry, endpoints)
        changes = [
            links.change(
                peers=entry.peers(),
                root_path=None if host is None else root_path,
                service_annotations=service_annotations(entry, model.service_name),
            )
            for model, links, root_path in zip(members, all_links, root_paths, strict=True)
        ]
        mark("ModelFleet", bodies, labels=labels, annotations=annotations)
        super().__init__(scope, id, context, numbered("object", bodies), changes)
        context.app.add_endpoints(endpoints)
        self.urls = {
            model.served_name: backend.host + backend.path
            for model, backend in zip(members, backends, strict=True)
        }

    @property
    def objects(self) -> list[ApiObject]:
        """The Ingress or HTTPRoutes, and what they need beside them."""
        return self._all_of("object")


def _backends(
    models: Sequence[ModelDeployment], host: str | None, domain: str | None
) -> list[Backend]:
    if (host is None) == (domain is None):
        refuse("ModelFleet takes either host= or domain=; give exactly one of them.")
    if host is not None:
        names.host("ModelFleet.host", host)
    else:
        names.host("ModelFleet.domain", domain)
    taken: dict[str, str] = {}
    backends = []
    for model in models:
        label = names.sanitized(model.served_name)
        if label in taken:
            refuse(
                f"ModelFleet has {taken[label]!r} and {model.name!r} both at {label!r}, since they "
                f"are served as {model.served_name!r} or a similar name; change the served_name= "
                "of one."
            )
        taken[label] = model.name
        backends.append(
            Backend(
                host=host or f"{label}.{domain}",
                path=f"/{label}/v1" if host else "/v1",
                service=model.service_name,
                port=model.service_port,
            )
        )
    return backends


def _ingress(
    name: str,
    controller: IngressController,
    models: Sequence[ModelDeployment],
    backends: Sequence[Backend],
    settings: ProxySettings,
) -> list[dict[str, Any]]:
    """The Ingress, and what GKE needs beside it."""
    manifests = [
        ingress.manifest(
            name=name, controller=controller, backends=backends, settings=settings, annotations={}
        )
    ]
    if isinstance(controller, GkeIngress):
        manifests += [
            controller.backend_config(model.service_name, model.service_port, settings)
            for model in models
        ]
    return manifests


def _routes(
    name: str, gateway: GatewayRef, backends: Sequence[Backend], settings: ProxySettings
) -> list[dict[str, Any]]:
    """One HTTPRoute per host, since a route's hosts share its rules."""
    if settings.tls is not None:
        refuse(
            "ModelFleet.tls is given with gateway=, whose listeners have the certificate; leave it "
            "out."
        )
    hosts: dict[str, list[Backend]] = {}
    for backend in backends:
        hosts.setdefault(backend.host, []).append(backend)
    manifests: list[dict[str, Any]] = []
    for host, items in hosts.items():
        own = name if len(hosts) == 1 else f"{name}-{host.partition('.')[0]}"
        if len(items) > 16:
            refuse(
                f"ModelFleet has {len(items)} models on {host!r}, and an HTTPRoute takes 16 rules; "
                "use domain=, or a second fleet."
            )
        services = [item.service for item in items]
        manifests.append(
            route.manifest(name=own, gateway=gateway, backends=items, settings=settings)
        )
        manifests += route.redirects(name=own, gateway=gateway, hosts=[host])
        manifests += route.policies(name=own, gateway=gateway, services=services, settings=settings)
    return manifests
