"""HTTPRoute: the same front through the Gateway API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vllm_constructs import require
from vllm_constructs.kube import names
from vllm_constructs.workloads import network_policy as network

from .ingress import Backend, Front


@dataclass(frozen=True)
class Gateway:
    """The Gateway that a route hangs on, and what implements it.

    Args:
        gateway_name: Name of the Gateway.
        namespace: Its namespace; default: the route's own. It must allow routes from there.
        section: Listener of the Gateway; default: any that fits.
        implementation: `"standard"` (default; Istio, Traefik and others) has its timeouts in
            the route, as `"envoy"` (Envoy Gateway), whose proxies are in a namespace of its own.
            `"gke"` has no timeouts there and gets a
            GCPBackendPolicy and a HealthCheckPolicy, `"nginx"` (NGINX Gateway Fabric) buffers
            and gets a ProxySettingsPolicy.
        proxy_namespace: Namespace of the proxies that send the requests, for the
            NetworkPolicy. Default: the Gateway's namespace, with `"envoy"` that of Envoy
            Gateway, `envoy-gateway-system`.
        proxy_subnets: Address ranges of proxies outside of the cluster, for the NetworkPolicy:
            with an internal Gateway of GKE its proxy-only subnets. Default: none.

    Raises:
        VllmConstructsError: An illegal name or range, or an unknown implementation.
    """

    gateway_name: str
    namespace: str | None = field(default=None, kw_only=True)
    section: str | None = field(default=None, kw_only=True)
    implementation: Literal["standard", "envoy", "gke", "nginx"] = field(
        default="standard", kw_only=True
    )
    proxy_namespace: str | None = field(default=None, kw_only=True)
    proxy_subnets: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        names.subdomain("Gateway.gateway_name", self.gateway_name)
        for name in ("namespace", "proxy_namespace"):
            if getattr(self, name) is not None:
                names.label(f"Gateway.{name}", getattr(self, name))
        if self.section is not None:
            names.subdomain("Gateway.section", self.section)
        kinds = ("standard", "envoy", "gke", "nginx")
        require.choice("Gateway.implementation", self.implementation, kinds)
        network.from_blocks("Gateway.proxy_subnets", self.proxy_subnets)

    def peers(self) -> list[dict[str, Any]]:
        """Where its requests come from; none where they come from the model's own namespace."""
        outside = network.from_blocks("Gateway.proxy_subnets", self.proxy_subnets)
        if self.implementation == "gke":
            return [*network.from_blocks("Gateway", network.GOOGLE), *outside]
        usual = "envoy-gateway-system" if self.implementation == "envoy" else self.namespace
        namespace = self.proxy_namespace or usual
        return [*([network.from_namespace(namespace)] if namespace else []), *outside]

    def parent(self) -> dict[str, str]:
        """The entry of `parentRefs`."""
        found = {"name": self.gateway_name}
        if self.namespace is not None:
            found["namespace"] = self.namespace
        if self.section is not None:
            found["sectionName"] = self.section
        return found


def manifest(
    *, name: str, gateway: Gateway, backends: Sequence[Backend], front: Front
) -> dict[str, Any]:
    """The HTTPRoute. `timeouts.request` bounds the whole answer, streamed or not."""
    by_path: dict[str, Backend] = {item.path: item for item in backends}
    rules = []
    for path, item in by_path.items():
        found: dict[str, Any] = {
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "backendRefs": [{"name": item.service, "port": item.port}],
        }
        if gateway.implementation != "gke":
            found["timeouts"] = {"request": f"{front.longest_answer}s"}
        rules.append(found)
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
    """A time for NGINX Gateway Fabric, whose durations have at most four digits."""
    return f"{seconds}s" if seconds < 10_000 else f"{-(-seconds // 60)}m"


def policies(
    *, name: str, gateway: Gateway, services: Sequence[str], front: Front
) -> list[dict[str, Any]]:
    """The objects that some implementations need beside the route."""
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
                ("GCPBackendPolicy", {"timeoutSec": front.longest_answer}),
                ("HealthCheckPolicy", {"config": health}),
            )
        ]
    if gateway.implementation == "nginx":
        group = "gateway.networking.k8s.io"
        timeout = _nginx_time(front.longest_answer)
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
