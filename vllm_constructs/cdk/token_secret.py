"""TokenSecret: a token's Secret, with the token in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from vllm_constructs.errors import refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.metadata import mark
from vllm_constructs.workloads.secrets import ApiKey, HuggingFaceToken

from .base import VllmConstruct
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class TokenSecret(VllmConstruct):
    """A Secret with the token in it, so that the token is in the rendered manifest.

    For clusters that have nothing better. The token is never shown in an error or a repr, but
    everyone who can read the rendered file can read it: do not commit that file.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope.
        value: The token.
        in_clear_text: Must be True: confirms that the token may be in the rendered manifest.
        name: Name of the Secret. Default: the id, as a legal name.
        key: Key in the Secret. Default `token`.
        labels: More labels of the Secret. Default: none.
        annotations: More annotations of the Secret. Default: none.

    Attributes:
        secret: The Secret.
        token: The reference, for `hf_token=`.
        api_key: The same reference, for `api_key=`.

    Raises:
        VllmConstructsError: `in_clear_text` is not True, or the token is empty.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        value: str,
        in_clear_text: Literal[True],
        name: str | None = None,
        key: str = "token",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        if in_clear_text is not True:
            refuse(
                "TokenSecret.in_clear_text is not True, and the token would stand in the rendered "
                "manifest; use HuggingFaceToken.from_secret or ExternalToken, or set it to True."
            )
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            refuse(
                "TokenSecret.value is not a non-empty string of one line (not shown); give the "
                "token."
            )
        secret = names.sanitized(id) if name is None else names.subdomain("TokenSecret.name", name)
        names.secret_key("TokenSecret.key", key)
        self.token = HuggingFaceToken(secret, key, namespace=context.namespace)
        self.api_key = ApiKey(secret, key, namespace=context.namespace)
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret},
            "type": "Opaque",
            "stringData": {key: value},
        }
        mark("TokenSecret", [body], labels=labels, annotations=annotations)
        super().__init__(scope, id, context, {"Default": body})

    @property
    def secret(self) -> ApiObject:
        """The Secret."""
        return self._object("Default")
