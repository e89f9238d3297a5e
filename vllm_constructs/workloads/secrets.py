"""Secrets: references to keys of Secrets, never the values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from vllm_constructs import require
from vllm_constructs.errors import refuse
from vllm_constructs.kube import names

# Upper case or "_" behind the prefix, so that no legal name of a Secret is among them.
_TOKEN = re.compile(r"hf_[A-Za-z0-9]{8,}|sk-(?=\S*[A-Z_])\S{8,}|Bearer ")


class HasName(Protocol):
    """Anything with a name: a cdk8s-plus ISecret, IPersistentVolumeClaim and their like."""

    @property
    def name(self) -> str:
        """Name of the object."""
        ...


def name_of(where: str, value: object, kind: str) -> str:
    """The name of an object, or the text itself."""
    found = value if isinstance(value, str) else getattr(value, "name", None)
    # Objects of cdk8s-plus say their kind; other constructs may have a name, but are no objects.
    default = None if hasattr(value, "__jsii_type__") else kind
    if not isinstance(found, str) or getattr(value, "kind", default) != kind:
        require.wrong(where, value, f"the name of a {kind} or a cdk8s-plus object")
    _refuse_secret(where, found)
    return names.subdomain(where, found)


def _refuse_secret(where: str, value: object) -> None:
    """Refuse what looks like a token, without repeating it."""
    if isinstance(value, str) and _TOKEN.match(value):
        refuse(
            f"{where} looks like the secret itself ({len(value)} characters, not shown), which "
            "would be written into the manifests; put it into a Secret and refer to that."
        )


@dataclass(frozen=True)
class HuggingFaceToken:
    """The Hugging Face token, as a reference to a key of a Secret.

    The pod gets it as `HF_TOKEN`. Use `HuggingFaceToken.from_secret(...)` for a Secret that
    exists, or the `token` of an `ExternalToken` or `TokenSecret`.

    Args:
        secret_name: Name of the Secret, in the namespace of the model.
        key: Key in the Secret; default `token`.

    Raises:
        VllmConstructsError: An illegal name of a Secret, or an illegal key.
    """

    secret_name: str
    key: str = "token"

    def __post_init__(self) -> None:
        for name in ("secret_name", "key"):
            _refuse_secret(f"HuggingFaceToken.{name}", getattr(self, name))
        names.subdomain("HuggingFaceToken.secret_name", self.secret_name)
        names.secret_key("HuggingFaceToken.key", self.key)

    @classmethod
    def from_secret(cls, secret: str | HasName, *, key: str = "token") -> HuggingFaceToken:
        """Refer to a Secret by name or by a cdk8s-plus `ISecret`."""
        return cls(name_of("HuggingFaceToken.from_secret secret", secret, "Secret"), key)


@dataclass(frozen=True)
class ApiKey:
    """The key that clients of the API must send, as a reference to a key of a Secret.

    The pod gets it as `VLLM_API_KEY`, which guards `/v1` only: metrics and health stay open.

    Args:
        secret_name: Name of the Secret, in the namespace of the model.
        key: Key in the Secret; default `api-key`.

    Raises:
        VllmConstructsError: An illegal name of a Secret, or an illegal key.
    """

    secret_name: str
    key: str = "api-key"

    def __post_init__(self) -> None:
        for name in ("secret_name", "key"):
            _refuse_secret(f"ApiKey.{name}", getattr(self, name))
        names.subdomain("ApiKey.secret_name", self.secret_name)
        names.secret_key("ApiKey.key", self.key)

    @classmethod
    def from_secret(cls, secret: str | HasName, *, key: str = "api-key") -> ApiKey:
        """Refer to a Secret by name or by a cdk8s-plus `ISecret`."""
        return cls(name_of("ApiKey.from_secret secret", secret, "Secret"), key)


def environment(name: str, reference: HuggingFaceToken | ApiKey) -> dict[str, Any]:
    """The container's variable that reads the referenced key."""
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
    """The ExternalSecret that copies one key of a secret store into a Secret."""
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
