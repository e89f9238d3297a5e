"""Secrets: references to keys of Secrets, never the values."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.kube import names
from vllm_constructs.kube.references import HasName, name_of, namespace_of, reject_secret


@dataclass(frozen=True)
class HuggingFaceToken:
    """The Hugging Face token, as a reference to a key of a Secret.

    The container has it in the variable `HF_TOKEN`. Use `HuggingFaceToken.from_secret(...)` for
    an existing Secret, or the `token` of an `ExternalToken` or `TokenSecret`.

    Args:
        secret_name: Name of the Secret, which is in the namespace of the model.
        key: Key in the Secret. Default: `token`.
        namespace: Namespace of the Secret; models in other namespaces are then rejected.
            Default: not known.

    Raises:
        VllmConstructsError: The name, the key or the namespace is invalid.
    """

    secret_name: str
    key: str = "token"
    namespace: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("secret_name", "key"):
            reject_secret(f"HuggingFaceToken.{name}", getattr(self, name))
        names.subdomain("HuggingFaceToken.secret_name", self.secret_name)
        names.secret_key("HuggingFaceToken.key", self.key)
        if self.namespace is not None:
            names.label("HuggingFaceToken.namespace", self.namespace)

    @classmethod
    def from_secret(cls, secret: str | HasName, *, key: str = "token") -> HuggingFaceToken:
        """Refer to a Secret by its name or as a cdk8s-plus `ISecret`."""
        name = name_of("HuggingFaceToken.from_secret secret", secret, "Secret")
        return cls(name, key, namespace=namespace_of(secret))


@dataclass(frozen=True)
class ApiKey:
    """The API key that clients must send, as a reference to a key of a Secret.

    The container has it in the variable `VLLM_API_KEY`. vLLM then requires the key on `/v1` only;
    metrics and health checks stay open.

    Args:
        secret_name: Name of the Secret, which is in the namespace of the model.
        key: Key in the Secret. Default: `api-key`.
        namespace: Namespace of the Secret; models in other namespaces are then rejected.
            Default: not known.

    Raises:
        VllmConstructsError: The name, the key or the namespace is invalid.
    """

    secret_name: str
    key: str = "api-key"
    namespace: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("secret_name", "key"):
            reject_secret(f"ApiKey.{name}", getattr(self, name))
        names.subdomain("ApiKey.secret_name", self.secret_name)
        names.secret_key("ApiKey.key", self.key)
        if self.namespace is not None:
            names.label("ApiKey.namespace", self.namespace)

    @classmethod
    def from_secret(cls, secret: str | HasName, *, key: str = "api-key") -> ApiKey:
        """Refer to a Secret by its name or as a cdk8s-plus `ISecret`."""
        name = name_of("ApiKey.from_secret secret", secret, "Secret")
        return cls(name, key, namespace=namespace_of(secret))


def secret_variable(name: str, reference: HuggingFaceToken | ApiKey) -> dict[str, Any]:
    """The environment variable of a container whose value is the referenced key."""
    source = {"name": reference.secret_name, "key": reference.key}
    return {"name": name, "valueFrom": {"secretKeyRef": source}}


def external_secret(
    *,
    name: str,
    key: str,
    store: str,
    store_kind: Literal["SecretStore", "ClusterSecretStore"],
    remote_key: str,
    remote_property: str | None,
    refresh: str,
) -> dict[str, Any]:
    """The ExternalSecret that copies one value of a secret store into a Secret.

    Args:
        name: Name of the ExternalSecret and of the Secret.
        key: Key in the Secret.
        store: Name of the secret store.
        store_kind: Kind of the secret store.
        remote_key: Name of the value in the store.
        remote_property: Property of the value; None for the whole value.
        refresh: Duration after which the value is read again, such as `1h`.

    Raises:
        VllmConstructsError: A name or the duration is invalid.
    """
    remote = {"key": require.text("ExternalToken.remote_key", remote_key)}
    if remote_property is not None:
        remote["property"] = require.text("ExternalToken.remote_property", remote_property)
    kinds = ("SecretStore", "ClusterSecretStore")
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": names.subdomain("ExternalToken.name", name)},
        "spec": {
            "refreshInterval": require.duration("ExternalToken.refresh", refresh),
            "secretStoreRef": {
                "name": names.subdomain("ExternalToken.store", store),
                "kind": require.choice("ExternalToken.store_kind", store_kind, kinds),
            },
            "target": {"name": name, "creationPolicy": "Owner"},
            "data": [{"secretKey": key, "remoteRef": remote}],
        },
    }
