"""ExternalToken: a token's Secret, copied from a secret store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.workloads.secrets import ApiKey, HuggingFaceToken, external_secret

from .base import VllmConstruct
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class ExternalToken(VllmConstruct):
    """A Secret that External Secrets copies from a secret store.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        store: Name of the SecretStore or ClusterSecretStore.
        remote_key: Name of the secret in the store.
        remote_property: Property of that secret. Default: the whole secret.
        store_kind: Default `ClusterSecretStore`.
        refresh: How often External Secrets reads it again. Default `1h`.
        name: Name of the Secret. Default: the id, as a legal name.
        key: Key in the Secret. Default `token`.
        labels: More labels of the ExternalSecret. Default: none.
        annotations: More annotations of the ExternalSecret. Default: none.

    Attributes:
        external_secret: The ExternalSecret.
        token: The reference, for `hf_token=`.
        api_key: The same reference, for `api_key=`.

    Raises:
        VllmConstructsError: An illegal name or duration.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        store: str,
        remote_key: str,
        remote_property: str | None = None,
        store_kind: Literal["SecretStore", "ClusterSecretStore"] = "ClusterSecretStore",
        refresh: str = "1h",
        name: str | None = None,
        key: str = "token",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        secret = names.sanitized(id) if name is None else name
        body = external_secret(
            name=secret,
            key=names.secret_key("ExternalToken.key", key),
            store=store,
            store_kind=store_kind,
            remote_key=remote_key,
            remote_property=remote_property,
            refresh=refresh,
        )
        self.token = HuggingFaceToken(secret, key, namespace=context.namespace)
        self.api_key = ApiKey(secret, key, namespace=context.namespace)
        mark("ExternalToken", [body], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, {"Default": body})

    @property
    def external_secret(self) -> ApiObject:
        """The ExternalSecret."""
        return self._object("Default")
