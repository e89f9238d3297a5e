"""Secrets: references only, and never the secret itself."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid
from vllm_constructs import ApiKey, HuggingFaceToken, TlsSecret
from vllm_constructs.workloads.secrets import external_secret, secret_variable

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
KEY = "sk-AbCdEfGhIjKlMnOp_0123456789"


class Named:
    """An object with a name and a namespace."""

    name = "my-secret"
    namespace = "llm"


@settings(max_examples=50, deadline=None)
@given(st.one_of(strategies.tokens(), strategies.api_keys()))
def test_environment(reference: Any) -> None:
    """A variable refers to the key of the Secret."""
    source = {"name": reference.secret_name, "key": reference.key}

    found = secret_variable("HF_TOKEN", reference)

    assert found == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": source}}


def test_from_secret() -> None:
    """A Secret is given by its name or as an object that has one."""
    assert HuggingFaceToken.from_secret("hf") == HuggingFaceToken("hf", "token")
    token = HuggingFaceToken("my-secret", "k", namespace="llm")
    assert HuggingFaceToken.from_secret(Named(), key="k") == token
    assert ApiKey.from_secret(Named()) == ApiKey("my-secret", "api-key", namespace="llm")
    assert ApiKey.from_secret("sk-prod-eu") == ApiKey("sk-prod-eu")


@settings(max_examples=30, deadline=None)
@given(
    name=strategies.names(),
    key=st.sampled_from(("token", "HF_TOKEN")),
    store=strategies.names(),
    kind=st.sampled_from(("SecretStore", "ClusterSecretStore")),
    remote=st.sampled_from(("prod/hf", "hf-token")),
    of=st.one_of(st.none(), st.just("token")),
    refresh=st.sampled_from(("30s", "10m", "1h")),
)
def test_external_secret(*, of: str | None, **fields: Any) -> None:
    """An ExternalSecret is valid and copies one key into a Secret of its own."""
    found = external_secret(
        name=fields["name"],
        key=fields["key"],
        store=fields["store"],
        store_kind=fields["kind"],
        remote_key=fields["remote"],
        remote_property=of,
        refresh=fields["refresh"],
    )

    assert_valid(strategies.in_namespace(found))
    assert strategies.is_plain(found)
    spec = found["spec"]
    assert spec["target"]["name"] == found["metadata"]["name"]
    remote = spec["data"][0]["remoteRef"]
    assert remote.get("property") == of


CLEAR: list[strategies.Call] = [
    lambda: HuggingFaceToken(TOKEN),
    lambda: HuggingFaceToken("hf", TOKEN),
    lambda: HuggingFaceToken.from_secret(TOKEN),
    lambda: ApiKey(KEY),
    lambda: ApiKey("key", KEY),
    lambda: ApiKey.from_secret(f"Bearer {KEY}"),
    lambda: TlsSecret.from_secret(KEY),
]


@pytest.mark.parametrize("call", CLEAR)
def test_clear_text(call: strategies.Call) -> None:
    """A secret in place of its reference is rejected and not repeated, not even in part."""
    sentence = strategies.refusal(call)

    assert "not shown" in sentence
    assert "put it into a Secret" in sentence
    assert "AbCd" not in sentence
    assert "abcd" not in sentence


def external(**fields: Any) -> strategies.Manifest:
    """Return an ExternalSecret with these fields."""
    given_fields = {
        "name": "hf",
        "key": "token",
        "store": "vault",
        "store_kind": "ClusterSecretStore",
        "remote_key": "hf",
        "remote_property": None,
        "refresh": "1h",
        **fields,
    }
    return external_secret(**given_fields)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: HuggingFaceToken("Hf_token"), ("secret_name is 'Hf_token'", "'hf-token'")),
    (
        lambda: HuggingFaceToken("hf", "a/b"),
        ("HuggingFaceToken.key is no key of a Secret", "letters"),
    ),
    (lambda: ApiKey(""), ("ApiKey.secret_name is ''", "lower-case")),
    (lambda: ApiKey("a", ""), ("ApiKey.key is ''", "letters")),
    (lambda: ApiKey.from_secret(None), ("secret is None", "a Secret or a cdk8s-plus")),  # type: ignore[arg-type]  # the mistake
    (lambda: HuggingFaceToken.from_secret(7), ("secret is 7", "the name of a Secret")),  # type: ignore[arg-type]  # the mistake
    (lambda: HuggingFaceToken("hf", namespace="A_b"), ("HuggingFaceToken.namespace is 'A_b'",)),
    (lambda: ApiKey("key", namespace=""), ("ApiKey.namespace is ''", "lower-case")),
    (lambda: external(name="A"), ("ExternalToken.name is 'A'", "'a'")),
    (lambda: external(store="A"), ("ExternalToken.store is 'A'", "'a'")),
    (lambda: external(store_kind="Store"), ("'Store'", "'SecretStore', 'ClusterSecretStore'")),
    (lambda: external(remote_key=""), ("ExternalToken.remote_key is ''", "a non-empty string")),
    (lambda: external(remote_property=""), ("ExternalToken.remote_property is ''",)),
    (lambda: external(refresh="1 h"), ("ExternalToken.refresh is '1 h'", "'1h'")),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What is no reference is rejected with what is one."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """A reference cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        ApiKey("a").key = "b"  # type: ignore[misc]  # the point
