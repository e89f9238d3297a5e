"""Ingress: one front for streamed answers, in the dialect of the controller that serves it.

Annotations are not portable: each controller has its own names, its own spelling of values and
its own defaults (buffering, 60 s timeouts, 1 MiB bodies), so each is a class of its own here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vllm_constructs import require
from vllm_constructs.errors import refuse, warn
from vllm_constructs.kube import names
from vllm_constructs.workloads import network_policy as network
from vllm_constructs.workloads.secrets import HasName, name_of

_PATH = re.compile(r"/[A-Za-z0-9._/-]*")
_ARN = re.compile(r"arn:[\w-]+:acm:[\w-]+:\d{12}:certificate/[\w-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Front:
    """What a controller has to do, whichever it is.

    Args:
        longest_answer: Seconds that the longest answer may take.
        drain: Seconds that running answers get when a pod stops.
        max_body: Size of the largest request in MiB.
        tls: How TLS is set up, if at all.
    """

    longest_answer: int
    drain: int
    max_body: int
    tls: Tls | None


@dataclass(frozen=True)
class ClusterIssuer:
    """A certificate from a cert-manager ClusterIssuer.

    Args:
        issuer_name: Name of the ClusterIssuer.
        secret: Secret that cert-manager keeps the certificate in.

    Raises:
        VllmConstructsError: An illegal name.
    """

    issuer_name: str
    secret: str = field(kw_only=True)

    def __post_init__(self) -> None:
        names.subdomain("ClusterIssuer.issuer_name", self.issuer_name)
        names.subdomain("ClusterIssuer.secret", self.secret)

    def annotations(self) -> dict[str, str]:
        """What tells cert-manager to make the certificate."""
        return {"cert-manager.io/cluster-issuer": self.issuer_name}


@dataclass(frozen=True)
class TlsSecret:
    """A certificate that is in a Secret already.

    Args:
        secret: Name of the Secret.

    Raises:
        VllmConstructsError: An illegal name.
    """

    secret: str

    def __post_init__(self) -> None:
        names.subdomain("TlsSecret.secret", self.secret)

    @classmethod
    def from_secret(cls, secret: str | HasName) -> TlsSecret:
        """Refer to a Secret by name or by a cdk8s-plus `ISecret`."""
        return cls(name_of("TlsSecret.from_secret secret", secret, "Secret"))

    def annotations(self) -> dict[str, str]:
        """None: the Secret is all there is to say."""
        return {}


Tls: TypeAlias = "ClusterIssuer | TlsSecret"


def _namespace_peers(namespace: str) -> list[dict[str, Any]]:
    return [network.from_namespace(namespace)]


@dataclass(frozen=True, kw_only=True)
class IngressNginx:
    """The community's ingress-nginx, retired since March 2026; use it only where it still runs.

    Its annotations take `on`/`off` and seconds without a unit. Snippets are refused by its
    admission webhook, so none are written.

    Args:
        class_name: IngressClass, default `nginx`.
        namespace: Namespace of the controller, default `ingress-nginx`.

    Raises:
        VllmConstructsError: An illegal class or namespace.
    """

    class_name: str = "nginx"
    namespace: str = "ingress-nginx"

    def __post_init__(self) -> None:
        _check_controller(self, self.class_name, self.namespace)
        warn(
            "IngressNginx is retired and gets no more security fixes; "
            "move to Traefik(), F5Nginx() or a ModelRoute."
        )

    def annotations(self, front: Front) -> dict[str, str]:
        """Streaming without buffers, and time for the longest answer."""
        prefix = "nginx.ingress.kubernetes.io/proxy"
        return {
            f"{prefix}-body-size": f"{front.max_body}m",
            f"{prefix}-buffering": "off",
            f"{prefix}-http-version": "1.1",
            f"{prefix}-read-timeout": str(front.longest_answer),
            f"{prefix}-request-buffering": "off",
            f"{prefix}-send-timeout": str(front.longest_answer),
        }

    def peers(self) -> list[dict[str, Any]]:
        """Where its requests come from."""
        return _namespace_peers(self.namespace)


@dataclass(frozen=True, kw_only=True)
class F5Nginx:
    """F5 NGINX Ingress Controller: it buffers answers that are not chunked, unless told not to.

    Args:
        class_name: IngressClass, default `nginx`.
        namespace: Namespace of the controller, default `nginx-ingress`.

    Raises:
        VllmConstructsError: An illegal class or namespace.
    """

    class_name: str = "nginx"
    namespace: str = "nginx-ingress"

    def __post_init__(self) -> None:
        _check_controller(self, self.class_name, self.namespace)

    def annotations(self, front: Front) -> dict[str, str]:
        """Streaming without buffers, and time for the longest answer."""
        found = {
            "nginx.org/client-max-body-size": f"{front.max_body}m",
            "nginx.org/proxy-buffering": "false",
            "nginx.org/proxy-read-timeout": f"{front.longest_answer}s",
            "nginx.org/proxy-send-timeout": f"{front.longest_answer}s",
        }
        if isinstance(front.tls, ClusterIssuer):
            # One host belongs to one Ingress here, so the challenge cannot have its own.
            found["acme.cert-manager.io/http01-edit-in-place"] = "true"
        return found

    def peers(self) -> list[dict[str, Any]]:
        """Where its requests come from."""
        return _namespace_peers(self.namespace)


@dataclass(frozen=True, kw_only=True)
class Traefik:
    """Traefik: it streams by itself and waits for answers without a limit.

    Args:
        class_name: IngressClass, default `traefik`.
        namespace: Namespace of the controller, default `traefik`.
        entry_point: Entry point for TLS, default `websecure`.

    Raises:
        VllmConstructsError: An illegal class, namespace or entry point.
    """

    class_name: str = "traefik"
    namespace: str = "traefik"
    entry_point: str = "websecure"

    def __post_init__(self) -> None:
        _check_controller(self, self.class_name, self.namespace)
        names.label("Traefik.entry_point", self.entry_point)

    def annotations(self, front: Front) -> dict[str, str]:
        """The entry point; timeouts and buffering need nothing."""
        if front.tls is None:
            return {}
        prefix = "traefik.ingress.kubernetes.io/router"
        return {f"{prefix}.entrypoints": self.entry_point, f"{prefix}.tls": "true"}

    def peers(self) -> list[dict[str, Any]]:
        """Where its requests come from."""
        return _namespace_peers(self.namespace)


@dataclass(frozen=True, kw_only=True)
class AwsAlb:
    """AWS Load Balancer Controller: an application load balancer that sends to the pods.

    Its certificates come from ACM, not from Secrets, and idle connections live 4000 seconds at
    most.

    Args:
        subnets: Address ranges of the load balancer's subnets, for the NetworkPolicy.
        certificate: ARN of an ACM certificate; default: found by the host's name.
        scheme: `"internal"` (default) or `"internet-facing"`.
        class_name: IngressClass, default `alb`.

    Raises:
        VllmConstructsError: No or malformed subnets, a malformed certificate, or an unknown scheme.
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
        if self.certificate is not None:
            require.matching(
                "AwsAlb.certificate", self.certificate, _ARN, "the ARN of a certificate"
            )

    def annotations(self, front: Front) -> dict[str, str]:
        """Pods as targets, their health, time for the longest answer and for the drain."""
        if front.tls is not None:
            refuse(
                "StreamingIngress.tls is a Secret's certificate, which an ALB cannot use; "
                "leave tls out and give AwsAlb(certificate=...) or let it find one in ACM."
            )
        if front.longest_answer > 4000:
            refuse(
                f"longest_answer is {front.longest_answer}, above the 4000 seconds that an ALB "
                "keeps an idle connection; lower it, or use another controller."
            )
        prefix = "alb.ingress.kubernetes.io"
        found = {
            f"{prefix}/healthcheck-path": "/health",
            f"{prefix}/listen-ports": '[{"HTTPS":443}]',
            f"{prefix}/load-balancer-attributes": (
                f"idle_timeout.timeout_seconds={front.longest_answer}"
            ),
            f"{prefix}/scheme": self.scheme,
            f"{prefix}/target-group-attributes": (
                f"deregistration_delay.timeout_seconds={min(front.drain, 3600)}"
            ),
            f"{prefix}/target-type": "ip",
        }
        if self.certificate is not None:
            found[f"{prefix}/certificate-arn"] = self.certificate
        return found

    def peers(self) -> list[dict[str, Any]]:
        """Where its requests come from."""
        return network.from_blocks("AwsAlb.subnets", self.subnets)


@dataclass(frozen=True, kw_only=True)
class GkeIngress:
    """GKE's own Ingress. Its timeouts are in a BackendConfig, which is made beside it.

    Args:
        class_name: `"gce"` (default, public) or `"gce-internal"`.
        proxy_subnets: Address ranges of the proxy-only subnets, for the NetworkPolicy; needed
            with `"gce-internal"`, whose requests come from there. Default: none.

    Raises:
        VllmConstructsError: Another class, a malformed range, or an internal one without ranges.
    """

    class_name: Literal["gce", "gce-internal"] = "gce"
    proxy_subnets: Sequence[str] = ()

    def __post_init__(self) -> None:
        require.choice("GkeIngress.class_name", self.class_name, ("gce", "gce-internal"))
        own = network.from_blocks("GkeIngress.proxy_subnets", self.proxy_subnets)
        if self.class_name == "gce-internal" and not own:
            refuse(
                "GkeIngress.proxy_subnets is empty, and an internal load balancer sends its "
                "requests from the proxy-only subnet; give its range, such as ['10.129.0.0/23']."
            )

    def annotations(self, front: Front) -> dict[str, str]:
        """The class: GKE reads this annotation, not `ingressClassName`."""
        del front
        return {"kubernetes.io/ingress.class": self.class_name}

    def peers(self) -> list[dict[str, Any]]:
        """Where its requests and health checks come from."""
        blocks = (*network.GOOGLE, *self.proxy_subnets)
        return network.from_blocks("GkeIngress.proxy_subnets", blocks)

    def backend_config(self, name: str, port: int, front: Front) -> dict[str, Any]:
        """The BackendConfig that a Service's annotation refers to."""
        return {
            "apiVersion": "cloud.google.com/v1",
            "kind": "BackendConfig",
            "metadata": {"name": name},
            "spec": {
                "timeoutSec": front.longest_answer,
                "connectionDraining": {"drainingTimeoutSec": min(front.drain, 3600)},
                "healthCheck": {"type": "HTTP", "requestPath": "/health", "port": port},
            },
        }


IngressController: TypeAlias = "IngressNginx | F5Nginx | Traefik | AwsAlb | GkeIngress"
CONTROLLERS = (IngressNginx, F5Nginx, Traefik, AwsAlb, GkeIngress)


def _check_controller(controller: object, class_name: object, namespace: object) -> None:
    where = type(controller).__name__
    names.subdomain(f"{where}.class_name", class_name)
    names.label(f"{where}.namespace", namespace)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One host and path, and the Service behind it."""

    host: str
    path: str
    service: str
    port: int


def check_path(where: str, path: object) -> str:
    """A path that every controller takes as a prefix."""
    found = require.matching(where, path, _PATH, "a path such as '/v1' or '/'")
    if "//" in found or (found != "/" and found.endswith("/")):
        require.wrong(where, path, "a path without '//' and without '/' at the end")
    return found


# First segments of the paths that vLLM answers (facts of 0.33: openai and instrumentator routers).
_ENDPOINTS = frozenset(
    ("v1", "v2", "inference", "cohere", "invocations", "tokenize", "detokenize", "pooling")
) | frozenset(("classify", "score", "rerank", "health", "ping", "metrics", "version", "load"))


def prefix_of(where: str, path: str) -> str | None:
    """What stands before `/v1` in a path, where vLLM has to serve below a prefix.

    Refuses a path below which it serves nothing, so that clients would only get 404.
    """
    if path == "/" or path.split("/")[1] in _ENDPOINTS:
        return None
    if path.endswith("/v1"):
        return path.removesuffix("/v1")
    return refuse(
        f"{where} is {path!r}, below which vLLM serves nothing; give '/v1' for the API, "
        f"{path + '/v1'!r} for the API below a prefix, or '/' for all endpoints."
    )


def check_annotations(value: object, owned: Mapping[str, str]) -> dict[str, str]:
    """More annotations: no snippets, and none that the dialect derives."""
    found = names.annotation_map("StreamingIngress.annotations", value)
    for key in found:
        if key.endswith(("-snippet", "-snippets")):
            refuse(
                f"StreamingIngress.annotations has {key!r}, and controllers refuse snippets by "
                "default; leave it out: streaming needs none."
            )
        if key in owned:
            refuse(f"StreamingIngress.annotations has {key!r}, which is derived; leave it out.")
    return found


def manifest(
    *,
    name: str,
    controller: IngressController,
    backends: Sequence[Backend],
    front: Front,
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """The Ingress."""
    owned = controller.annotations(front) | (front.tls.annotations() if front.tls else {})
    rules: dict[str, list[dict[str, Any]]] = {}
    for item in backends:
        service = {"name": item.service, "port": {"number": item.port}}
        path = {"path": item.path, "pathType": "Prefix", "backend": {"service": service}}
        rules.setdefault(item.host, []).append(path)
    spec: dict[str, Any] = {}
    if not isinstance(controller, GkeIngress):
        spec["ingressClassName"] = controller.class_name
    if front.tls is not None:
        spec["tls"] = [{"hosts": list(rules), "secretName": front.tls.secret}]
    spec["rules"] = [{"host": host, "http": {"paths": paths}} for host, paths in rules.items()]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": names.subdomain("StreamingIngress.name", name),
            "annotations": dict(sorted((check_annotations(annotations, owned) | owned).items())),
        },
        "spec": spec,
    }
