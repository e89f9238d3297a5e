"""HTTPRoute: hosts and paths of models through the Gateway API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any, Literal, TypeAlias, get_args

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import frozen
from vllm_constructs.kube import names, peers

from .controllers import ProxySettings
from .ingress import Backend

Implementation: TypeAlias = Literal["standard", "envoy", "gke", "nginx"]


@dataclass(frozen=True)
class GatewayRef:
    """The Gateway that a route attaches to, and what implements it.

    Args:
        gateway_name: Name of the Gateway.
        namespace: Namespace of the Gateway, which must allow routes from the route's namespace.
            Default: the route's own.
        section: Listener of the Gateway. Default: every listener that matches.
        http_section: Listener for plain HTTP, from which requests are redirected to HTTPS by a
            route of its own; `section` is the one for HTTPS then. Default: no redirect.
        implementation: `"standard"` (default; Istio, Traefik and others) has its timeouts in
            the route, as has `"envoy"` (Envoy Gateway), whose proxies are in a namespace of their
            own. `"gke"` has no timeouts there and gets a GCPBackendPolicy and a
            HealthCheckPolicy. `"nginx"` (NGINX Gateway Fabric) buffers and gets a
            ProxySettingsPolicy.
        proxy_namespace: Namespace of the proxies that send the requests, for the
            NetworkPolicy. Default: the Gateway's namespace, with `"envoy"` that of Envoy
            Gateway, `envoy-gateway-system`.
        proxy_subnets: Address ranges of proxies outside of the cluster, for the NetworkPolicy:
            with an internal Gateway of GKE its proxy-only subnets. Default: none.

    Raises:
        VllmConstructsError: A name or range is invalid, or the implementation is unknown.
    """

    gateway_name: str
    namespace: str | None = field(default=None, kw_only=True)
    section: str | None = field(default=None, kw_only=True)
    http_section: str | None = field(default=None, kw_only=True)
    implementation: Implementation = field(default="standard", kw_only=True)
    proxy_namespace: str | None = field(default=None, kw_only=True)
    proxy_subnets: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        names.subdomain("GatewayRef.gateway_name", self.gateway_name)
        for name in ("namespace", "proxy_namespace"):
            if getattr(self, name) is not None:
                names.label(f"GatewayRef.{name}", getattr(self, name))
        for name in ("section", "http_section"):
            if getattr(self, name) is not None:
                names.subdomain(f"GatewayRef.{name}", getattr(self, name))
        if self.http_section is not None and self.section in (None, self.http_section):
            refuse(
                Problem(
                    where="GatewayRef.http_section",
                    text=f"is {self.http_section!r} without another {{section}}, so that the model "
                    "would answer plain HTTP, too",
                    value=repr(self.http_section),
                    advice="give the name of the listener for HTTPS in {section}",
                )
            )
        kinds = get_args(Implementation)
        require.choice("GatewayRef.implementation", self.implementation, kinds)
        peers.from_blocks("GatewayRef.proxy_subnets", self.proxy_subnets)
        object.__setattr__(self, "proxy_subnets", frozen(self.proxy_subnets))

    def peers(self) -> list[dict[str, Any]]:
        """The NetworkPolicy peers that its requests come from; none in the model's namespace."""
        outside = peers.from_blocks("GatewayRef.proxy_subnets", self.proxy_subnets)
        if self.implementation == "gke":
            return [*peers.from_blocks("GatewayRef", peers.GOOGLE), *outside]
        default = "envoy-gateway-system" if self.implementation == "envoy" else self.namespace
        namespace = self.proxy_namespace or default
        return [*([peers.from_namespace(namespace)] if namespace else []), *outside]

    def parent(self) -> dict[str, str]:
        """The entry of `parentRefs`."""
        reference = {"name": self.gateway_name}
        if self.namespace is not None:
            reference["namespace"] = self.namespace
        if self.section is not None:
            reference["sectionName"] = self.section
        return reference


def redirect(
    *, name: str, gateway: GatewayRef, section: str, hosts: Sequence[str]
) -> dict[str, Any]:
    """The HTTPRoute that sends requests by plain HTTP to HTTPS.

    Args:
        name: Name of the model's route, or of the Gateway.
        gateway: The Gateway.
        section: Its listener for plain HTTP.
        hosts: The hosts; those of the listener if there are none.
    """
    to_https = {"scheme": "https", "statusCode": 301}
    spec: dict[str, Any] = {
        "parentRefs": [{**gateway.parent(), "sectionName": section}],
        "rules": [{"filters": [{"type": "RequestRedirect", "requestRedirect": to_https}]}],
    }
    if hosts:
        spec["hostnames"] = sorted(set(hosts))
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": names.subdomain("ModelRoute.name", f"{name}-redirect")},
        "spec": spec,
    }


def redirects(*, name: str, gateway: GatewayRef, hosts: Sequence[str]) -> list[dict[str, Any]]:
    """The redirect of a model's route; none without a listener for plain HTTP.

    Args:
        name: Name of the model's route.
        gateway: The Gateway.
        hosts: The hosts.
    """
    section = gateway.http_section
    if section is None:
        return []
    return [redirect(name=name, gateway=gateway, section=section, hosts=hosts)]


def manifest(
    *, name: str, gateway: GatewayRef, backends: Sequence[Backend], settings: ProxySettings
) -> dict[str, Any]:
    """The HTTPRoute, whose `timeouts.request` limits the whole response, streamed or not."""
    by_path: dict[str, Backend] = {item.path: item for item in backends}
    rules = []
    for path, item in by_path.items():
        rule: dict[str, Any] = {
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "backendRefs": [{"name": item.service, "port": item.port}],
        }
        if gateway.implementation != "gke":
            rule["timeouts"] = {"request": f"{settings.response_timeout}s"}
        rules.append(rule)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": names.subdomain("ModelRoute.name", name)},
        "spec": {
            "parentRefs": [gateway.parent()],
            "hostnames": sorted({item.host for item in backends}),
            "rules": rules,
        },
    }


def _nginx_time(seconds: int) -> str:
    """A duration for NGINX Gateway Fabric, whose durations have at most four digits."""
    return f"{seconds}s" if seconds < 10_000 else f"{-(-seconds // 60)}m"


def policies(
    *, name: str, gateway: GatewayRef, services: Sequence[str], settings: ProxySettings
) -> list[dict[str, Any]]:
    """The objects that some implementations need besides the route."""
    if gateway.implementation == "gke":
        health = {"type": "HTTP", "httpHealthCheck": {"requestPath": "/health"}}
        return [
            {
                "apiVersion": "networking.gke.io/v1",
                "kind": kind,
                "metadata": {"name": service},
                "spec": {
                    "default": default,
                    "targetRef": {"group": "", "kind": "Service", "name": service},
                },
            }
            for service in services
            for kind, default in (
                ("GCPBackendPolicy", {"timeoutSec": settings.response_timeout}),
                ("HealthCheckPolicy", {"config": health}),
            )
        ]
    if gateway.implementation == "nginx":
        group = "gateway.networking.k8s.io"
        timeout = _nginx_time(settings.response_timeout)
        return [
            {
                "apiVersion": "gateway.nginx.org/v1alpha1",
                "kind": "ProxySettingsPolicy",
                "metadata": {"name": name},
                "spec": {
                    "buffering": {"disable": True},
                    "timeout": {"read": timeout, "send": timeout},
                    "targetRefs": [{"group": group, "kind": "HTTPRoute", "name": name}],
                },
            }
        ]
    return []
