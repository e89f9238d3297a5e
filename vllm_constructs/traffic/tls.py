"""TLS: where the certificate of a host comes from."""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from vllm_constructs.dataclass import dataclass
from vllm_constructs.kube import names
from vllm_constructs.kube.references import HasName, name_of, namespace_of


@dataclass(frozen=True)
class ClusterIssuerRef:
    """A certificate that a cert-manager ClusterIssuer issues.

    Args:
        issuer_name: Name of the ClusterIssuer.
        secret: Name of the Secret in which cert-manager stores the certificate.

    Raises:
        VllmConstructsError: A name is invalid.
    """

    issuer_name: str
    secret: str = field(kw_only=True)

    def __post_init__(self) -> None:
        names.subdomain("ClusterIssuerRef.issuer_name", self.issuer_name)
        names.subdomain("ClusterIssuerRef.secret", self.secret)

    def annotations(self) -> dict[str, str]:
        """The annotation on which cert-manager requests the certificate."""
        return {"cert-manager.io/cluster-issuer": self.issuer_name}


@dataclass(frozen=True)
class TlsSecret:
    """A certificate that is already in a Secret.

    Args:
        secret: Name of the Secret.
        namespace: Namespace of the Secret, so that an Ingress in another namespace is rejected.
            Default: unknown and not checked.

    Raises:
        VllmConstructsError: A name is invalid.
    """

    secret: str
    namespace: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        names.subdomain("TlsSecret.secret", self.secret)
        if self.namespace is not None:
            names.label("TlsSecret.namespace", self.namespace)

    @classmethod
    def from_secret(cls, secret: str | HasName) -> TlsSecret:
        """Refer to a Secret by name or by a cdk8s-plus `ISecret`."""
        name = name_of("TlsSecret.from_secret secret", secret, "Secret")
        return cls(name, namespace=namespace_of(secret))

    def annotations(self) -> dict[str, str]:
        """No annotations: the Ingress refers to the Secret by its name."""
        return {}


Tls: TypeAlias = ClusterIssuerRef | TlsSecret
