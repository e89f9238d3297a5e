"""Gateway: a Gateway of the Gateway API, to which routes of models attach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.traffic import gateway, route
from vllm_constructs.traffic.gateway import HTTP, HTTPS, RoutesFrom
from vllm_constructs.traffic.route import GatewayRef, Implementation
from vllm_constructs.traffic.tls import ClusterIssuerRef, Tls, TlsSecret

from .base import VllmConstruct
from .links import ModelLinks
from .registry import ChartContext, chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class Gateway(VllmConstruct):
    """A Gateway with HTTPS, and a redirect from plain HTTP.

    Most clusters have a Gateway already; refer to it with a `GatewayRef`. Each Gateway has an
    address of its own, which costs money in clouds: make one for all models of a host.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        gateway_class: Name of the GatewayClass, such as `eg`, `nginx` or
            `gke-l7-global-external-managed`.
        host: Host that it serves, which may begin with `*.`. Default: all hosts.
        tls: The certificate: `ClusterIssuerRef(...)` or `TlsSecret(...)`. Default: none, so models
            are served by plain HTTP.
        redirect: Whether plain HTTP is redirected to HTTPS. Default: True if there is a
            certificate.
        routes_from: Namespaces whose routes may attach: `"Same"` (default), only its own, or
            `"All"`.
        implementation: As in `GatewayRef`. Default: `"standard"`.
        proxy_namespace: As in `GatewayRef`.
        proxy_subnets: As in `GatewayRef`.
        name: Name of the Gateway. Default: the id, as a legal name.
        labels: More labels of the objects. Default: none.
        annotations: More annotations of the objects. Default: none.

    Attributes:
        gateway: The Gateway.
        redirect: The HTTPRoute that sends plain HTTP to HTTPS, or None.
        ref: The GatewayRef with which routes refer to it.

    Raises:
        VllmConstructsError: An invalid name or host, or a redirect without a certificate.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        gateway_class: str,
        host: str | None = None,
        tls: Tls | None = None,
        redirect: bool | None = None,
        routes_from: RoutesFrom = "Same",
        implementation: Implementation = "standard",
        proxy_namespace: str | None = None,
        proxy_subnets: Sequence[str] = (),
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        if tls is not None and not isinstance(tls, (ClusterIssuerRef, TlsSecret)):
            allowed = "a ClusterIssuerRef(...) or TlsSecret(...)"
            require.wrong("Gateway.tls", tls, allowed)
        context.check_reference("Gateway.tls", tls)
        if isinstance(tls, ClusterIssuerRef) and host is None:
            text = "is missing, and cert-manager requests no certificate for a listener without one"
            refuse(Problem(where="Gateway.host", text=text, advice="give it, or a TlsSecret"))
        redirects = tls is not None if redirect is None else redirect
        if require.boolean("Gateway.redirect", redirects) and tls is None:
            require.wrong("Gateway.redirect", redirects, "False without {tls}", "give {tls}")
        own = names.sanitized(id) if name is None else name
        body = gateway.manifest(
            name=own,
            gateway_class=gateway_class,
            host=host,
            tls=tls,
            routes_from=routes_from,
            redirects=redirects,
        )
        self._host, self._routes_from = host, routes_from
        self.ref = GatewayRef(
            own,
            namespace=context.namespace,
            section=HTTP if tls is None else HTTPS,
            implementation=implementation,
            proxy_namespace=proxy_namespace,
            proxy_subnets=proxy_subnets,
        )
        made = {"Default": body}
        if redirects:
            made["redirect"] = route.redirect(name=own, gateway=self.ref, section=HTTP, hosts=())
        mark("Gateway", made.values(), labels=labels, annotations=annotations)
        super().__init__(scope, id, context, made)

    def check(self, owner: str, context: ChartContext, hosts: Sequence[str]) -> None:
        """Reject routes that cannot attach.

        Args:
            owner: Name of the class that makes the routes.
            context: The context of their chart.
            hosts: Their hosts.

        Raises:
            VllmConstructsError: Routes in another app, or in a namespace whose routes may not
                attach, or with a host that the Gateway does not serve.
        """
        if context.app is not self._context.app:
            refuse(f"{owner}.gateway is in another app; put both into one app.")
        if self._routes_from == "Same" and context.namespace != self._context.namespace:
            refuse(
                f"{owner} is in namespace {context.namespace!r}, and Gateway "
                f"{self.ref.gateway_name!r} takes routes of {self._context.namespace!r} only; give "
                "Gateway(routes_from='All')."
            )
        for host in hosts:
            if self._host is not None and not _serves(self._host, host):
                refuse(
                    f"{owner} has the host {host!r}, and Gateway {self.ref.gateway_name!r} serves "
                    f"{self._host!r}; change one of them."
                )

    @property
    def gateway(self) -> ApiObject:
        """The Gateway."""
        return self._object("Default")

    @property
    def redirect(self) -> ApiObject | None:
        """The HTTPRoute that sends plain HTTP to HTTPS, or None."""
        return self._optional("redirect")


def _serves(served: str, host: str) -> bool:
    """Whether a listener's host matches a route's; `*.` stands for one or more labels."""
    return host.endswith(served[1:]) if served.startswith("*.") else host == served


def gateway_of(
    owner: str,
    value: object,
    context: ChartContext,
    models: Sequence[ModelLinks],
    hosts: Sequence[str],
) -> GatewayRef:
    """The reference to a Gateway to which routes can attach.

    Args:
        owner: Name of the class that makes the routes.
        value: What the user gave.
        context: The context of the routes' chart.
        models: The models behind the routes.
        hosts: The hosts of the routes.

    Raises:
        VllmConstructsError: Neither a GatewayRef nor a Gateway, or one that takes no route of this
            namespace or host.
    """
    if not isinstance(value, Gateway):
        allowed = "a GatewayRef(...) or a Gateway"
        return require.instance(f"{owner}.gateway", value, GatewayRef, allowed)
    value.check(owner, context, hosts)
    named = [one.workload.name for one in models if one.pod.api_key is not None]
    if named and value.ref.section == HTTP:
        warn(
            Problem(
                where=f"{owner}.gateway",
                text="has no certificate, so clients send the API key of "
                f"{', '.join(map(repr, named))} in clear",
                advice="give {Gateway.tls=ClusterIssuerRef(...)} or {Gateway.tls=TlsSecret(...)}",
            )
        )
    return value.ref
