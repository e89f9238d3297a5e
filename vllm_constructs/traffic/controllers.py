"""Ingress controllers, each with its own annotations.

Annotations are not portable: controllers differ in the keys, in the syntax of values and in the
defaults (buffering, timeouts of 60 s, bodies of 1 MiB), so each has a class of its own here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse, warn
from vllm_constructs.frozen import frozen
from vllm_constructs.kube import names, peers

from .tls import ClusterIssuerRef, Tls

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""The class of an Ingress, as it was given before `ingressClassName`."""

_ARN = re.compile(r"arn:[\w-]+:acm:[\w-]+:\d{12}:certificate/[\w-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ProxySettings:
    """The settings that the proxy of a model needs, whichever controller it belongs to.

    Args:
        response_timeout: Seconds that the longest response may take.
        drain: Seconds that running requests get when a pod stops.
        max_body: Size of the largest request in MiB.
        tls: Where the certificate comes from; None without TLS.
    """

    response_timeout: int
    drain: int
    max_body: int
    tls: Tls | None


def _namespace_peers(namespace: str) -> list[dict[str, Any]]:
    return [peers.from_namespace(namespace)]


@dataclass(frozen=True, kw_only=True)
class IngressNginx:
    """The community's ingress-nginx, retired since March 2026; use it only where it still runs.

    Its annotations take `on`/`off` and seconds without a unit. Its admission webhook rejects
    snippets, so none are rendered.

    Args:
        class_name: IngressClass, default `nginx`.
        namespace: Namespace of the controller, default `ingress-nginx`.

    Raises:
        VllmConstructsError: The class or the namespace is invalid.
    """

    class_name: str = "nginx"
    namespace: str = "ingress-nginx"

    def __post_init__(self) -> None:
        _check_controller(self, self.class_name, self.namespace)
        warn(
            Problem(
                where="IngressNginx",
                text="is retired and gets no more security fixes",
                advice="move to Traefik(), F5Nginx() or a ModelRoute",
            )
        )

    def annotations(self, settings: ProxySettings) -> dict[str, str]:
        """Annotations that turn buffering off and allow the longest response."""
        prefix = "nginx.ingress.kubernetes.io/proxy"
        return {
            f"{prefix}-body-size": f"{settings.max_body}m",
            f"{prefix}-buffering": "off",
            f"{prefix}-http-version": "1.1",
            f"{prefix}-read-timeout": str(settings.response_timeout),
            f"{prefix}-request-buffering": "off",
            f"{prefix}-send-timeout": str(settings.response_timeout),
        }

    def peers(self) -> list[dict[str, Any]]:
        """The NetworkPolicy peers that its requests come from."""
        return _namespace_peers(self.namespace)


@dataclass(frozen=True, kw_only=True)
class F5Nginx:
    """F5 NGINX Ingress Controller, which by default buffers responses that are not chunked.

    Args:
        class_name: IngressClass, default `nginx`.
        namespace: Namespace of the controller, default `nginx-ingress`.

    Raises:
        VllmConstructsError: The class or the namespace is invalid.
    """

    class_name: str = "nginx"
    namespace: str = "nginx-ingress"

    def __post_init__(self) -> None:
        _check_controller(self, self.class_name, self.namespace)

    def annotations(self, settings: ProxySettings) -> dict[str, str]:
        """Annotations that turn buffering off and allow the longest response."""
        annotations = {
            "nginx.org/client-max-body-size": f"{settings.max_body}m",
            "nginx.org/proxy-buffering": "false",
            "nginx.org/proxy-read-timeout": f"{settings.response_timeout}s",
            "nginx.org/proxy-send-timeout": f"{settings.response_timeout}s",
        }
        if isinstance(settings.tls, ClusterIssuerRef):
            # This controller serves a host from one Ingress, so the challenge cannot have its own.
            annotations["acme.cert-manager.io/http01-edit-in-place"] = "true"
        return annotations

    def peers(self) -> list[dict[str, Any]]:
        """The NetworkPolicy peers that its requests come from."""
        return _namespace_peers(self.namespace)


@dataclass(frozen=True, kw_only=True)
class Traefik:
    """Traefik, which streams by default and waits for responses without a limit.

    Args:
        class_name: IngressClass, default `traefik`.
        namespace: Namespace of the controller, default `traefik`.
        entry_point: Entry point for TLS, default `websecure`.

    Raises:
        VllmConstructsError: The class, the namespace or the entry point is invalid.
    """

    class_name: str = "traefik"
    namespace: str = "traefik"
    entry_point: str = "websecure"

    def __post_init__(self) -> None:
        _check_controller(self, self.class_name, self.namespace)
        names.label("Traefik.entry_point", self.entry_point)

    def annotations(self, settings: ProxySettings) -> dict[str, str]:
        """Annotations for TLS; streaming and long responses need none."""
        if settings.tls is None:
            return {}
        prefix = "traefik.ingress.kubernetes.io/router"
        return {f"{prefix}.entrypoints": self.entry_point, f"{prefix}.tls": "true"}

    def peers(self) -> list[dict[str, Any]]:
        """The NetworkPolicy peers that its requests come from."""
        return _namespace_peers(self.namespace)


@dataclass(frozen=True, kw_only=True)
class AwsAlb:
    """AWS Load Balancer Controller: an Application Load Balancer with the pods as targets.

    Its certificates come from ACM, not from Secrets. Its idle timeout is at most 4000 seconds.

    Args:
        subnets: Address ranges of the load balancer's subnets, for the NetworkPolicy.
        certificate: ARN of an ACM certificate. Default: the controller finds one by the host name.
        scheme: `"internal"` (default) or `"internet-facing"`.
        class_name: IngressClass, default `alb`.

    Raises:
        VllmConstructsError: The subnets are missing or malformed, the certificate is not an ARN,
            or the scheme is unknown.
    """

    subnets: Sequence[str]
    certificate: str | None = None
    scheme: Literal["internal", "internet-facing"] = "internal"
    class_name: str = "alb"

    def __post_init__(self) -> None:
        names.subdomain("AwsAlb.class_name", self.class_name)
        require.choice("AwsAlb.scheme", self.scheme, ("internal", "internet-facing"))
        if not self.peers():
            require.wrong("AwsAlb.subnets", self.subnets, "at least one address range")
        object.__setattr__(self, "subnets", frozen(self.subnets))
        if self.certificate is not None:
            require.matching(
                "AwsAlb.certificate", self.certificate, _ARN, "the ARN of an ACM certificate"
            )

    def annotations(self, settings: ProxySettings) -> dict[str, str]:
        """Annotations for pods as targets, health checks, the longest response and the drain."""
        if settings.tls is not None:
            refuse(
                Problem(
                    where="tls",
                    text="is the certificate of a Secret, which an ALB cannot use",
                    value=require.shown(settings.tls),
                    advice=(
                        "leave it out, and give {AwsAlb.certificate=...} or let the controller "
                        "find one in ACM"
                    ),
                )
            )
        if settings.response_timeout > 4000:
            refuse(
                Problem(
                    where="response_timeout",
                    text=(
                        f"is {settings.response_timeout}, above the 4000 seconds that an ALB keeps "
                        "an idle connection"
                    ),
                    value=str(settings.response_timeout),
                    advice="lower it, or use another controller",
                )
            )
        prefix = "alb.ingress.kubernetes.io"
        annotations = {
            f"{prefix}/healthcheck-path": "/health",
            f"{prefix}/listen-ports": '[{"HTTPS":443}]',
            f"{prefix}/load-balancer-attributes": (
                f"idle_timeout.timeout_seconds={settings.response_timeout}"
            ),
            f"{prefix}/scheme": self.scheme,
            f"{prefix}/target-group-attributes": (
                f"deregistration_delay.timeout_seconds={min(settings.drain, 3600)}"
            ),
            f"{prefix}/target-type": "ip",
        }
        if self.certificate is not None:
            annotations[f"{prefix}/certificate-arn"] = self.certificate
        return annotations

    def peers(self) -> list[dict[str, Any]]:
        """The NetworkPolicy peers that its requests come from."""
        return peers.from_blocks("AwsAlb.subnets", self.subnets)


@dataclass(frozen=True, kw_only=True)
class GkeIngress:
    """GKE's own Ingress controller; its timeouts are in a BackendConfig that is made too.

    Args:
        class_name: `"gce"` (default, public) or `"gce-internal"`.
        proxy_subnets: Address ranges of the proxy-only subnets, for the NetworkPolicy; required
            with `"gce-internal"`, whose requests come from there. Default: none.

    Raises:
        VllmConstructsError: The class is unknown, a range is malformed, or `"gce-internal"` has
            no ranges.
    """

    class_name: Literal["gce", "gce-internal"] = "gce"
    proxy_subnets: Sequence[str] = ()

    def __post_init__(self) -> None:
        require.choice("GkeIngress.class_name", self.class_name, ("gce", "gce-internal"))
        subnets = peers.from_blocks("GkeIngress.proxy_subnets", self.proxy_subnets)
        object.__setattr__(self, "proxy_subnets", frozen(self.proxy_subnets))
        if self.class_name == "gce-internal" and not subnets:
            refuse(
                Problem(
                    where="GkeIngress.proxy_subnets",
                    text=(
                        "is empty, and an internal load balancer sends its requests from the "
                        "proxy-only subnet"
                    ),
                    value=require.shown(self.proxy_subnets),
                    advice="give its range, such as ['10.129.0.0/23']",
                )
            )

    def annotations(self, settings: ProxySettings) -> dict[str, str]:
        """The class, which GKE reads from this annotation and not from `ingressClassName`."""
        del settings
        return {CLASS_ANNOTATION: self.class_name}

    def peers(self) -> list[dict[str, Any]]:
        """The NetworkPolicy peers that its requests and health checks come from."""
        blocks = (*peers.GOOGLE, *self.proxy_subnets)
        return peers.from_blocks("GkeIngress.proxy_subnets", blocks)

    def backend_config(self, name: str, port: int, settings: ProxySettings) -> dict[str, Any]:
        """The BackendConfig that an annotation of the Service refers to."""
        return {
            "apiVersion": "cloud.google.com/v1",
            "kind": "BackendConfig",
            "metadata": {"name": name},
            "spec": {
                "timeoutSec": settings.response_timeout,
                "connectionDraining": {"drainingTimeoutSec": min(settings.drain, 3600)},
                "healthCheck": {"type": "HTTP", "requestPath": "/health", "port": port},
            },
        }


IngressController: TypeAlias = "IngressNginx | F5Nginx | Traefik | AwsAlb | GkeIngress"
CONTROLLERS = (IngressNginx, F5Nginx, Traefik, AwsAlb, GkeIngress)


def _check_controller(controller: object, class_name: object, namespace: object) -> None:
    where = type(controller).__name__
    names.subdomain(f"{where}.class_name", class_name)
    names.label(f"{where}.namespace", namespace)
