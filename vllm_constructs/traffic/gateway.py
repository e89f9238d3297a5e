"""Gateway: the manifest, with the listeners through which clients reach models."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

from vllm_constructs import require
from vllm_constructs.kube import names

from .tls import Tls

HTTP, HTTPS = "http", "https"
RoutesFrom: TypeAlias = Literal["Same", "All"]


def manifest(
    *,
    name: str,
    gateway_class: str,
    host: str | None,
    tls: Tls | None,
    routes_from: RoutesFrom,
    redirects: bool,
) -> dict[str, Any]:
    """The Gateway.

    Args:
        name: Its name.
        gateway_class: Name of the GatewayClass.
        host: Its host, which may begin with `*.`; None for all hosts.
        tls: The certificate; without one, only plain HTTP is served.
        routes_from: Namespaces whose routes may attach.
        redirects: Whether there is a listener for plain HTTP beside that for HTTPS.

    Raises:
        VllmConstructsError: An invalid name or host.
    """
    namespaces = require.choice("Gateway.routes_from", routes_from, get_args(RoutesFrom))
    common: dict[str, Any] = {"allowedRoutes": {"namespaces": {"from": namespaces}}}
    if host is not None:
        common["hostname"] = names.host("Gateway.host", host, wildcard=True)
    listeners: list[dict[str, Any]] = []
    if tls is None or redirects:
        listeners.append({"name": HTTP, "port": 80, "protocol": "HTTP", **common})
    if tls is not None:
        secure = {"mode": "Terminate", "certificateRefs": [{"name": tls.secret}]}
        listeners.append({"name": HTTPS, "port": 443, "protocol": "HTTPS", **common, "tls": secure})
    metadata: dict[str, Any] = {"name": names.subdomain("Gateway.name", name)}
    if tls is not None and tls.annotations():
        metadata["annotations"] = tls.annotations()
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": metadata,
        "spec": {
            "gatewayClassName": names.subdomain("Gateway.gateway_class", gateway_class),
            "listeners": listeners,
        },
    }
