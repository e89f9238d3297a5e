"""TLS: where the certificate of a host comes from."""

from dataclasses import FrozenInstanceError

import pytest

from tests import strategies
from vllm_constructs import ClusterIssuerRef, TlsSecret

KEY = "sk-AbCdEfGhIjKlMnOp_0123456789"


class Named:
    """An object with a name and a namespace."""

    name = "my-tls"
    namespace = "llm"


def test_cert_manager() -> None:
    """A ClusterIssuer is told by an annotation, and the Secret is the one that it fills."""
    found = ClusterIssuerRef("letsencrypt", secret="tls")

    assert {"cert-manager.io/cluster-issuer": "letsencrypt"} == found.annotations()
    assert "tls" == found.secret


def test_secret() -> None:
    """A Secret needs no annotation, and its namespace is known where it is said."""
    assert {} == TlsSecret("tls").annotations()
    assert TlsSecret("tls").namespace is None
    assert "llm" == TlsSecret("tls", namespace="llm").namespace


def test_from_secret() -> None:
    """A Secret is given by its name, or as an object that has one and maybe a namespace."""
    assert TlsSecret("tls") == TlsSecret.from_secret("tls")
    assert TlsSecret("my-tls", namespace="llm") == TlsSecret.from_secret(Named())


def test_clear_text() -> None:
    """A secret in place of its reference is rejected and not repeated, not even in part."""
    sentence = strategies.refusal(lambda: TlsSecret.from_secret(KEY))

    assert "not shown" in sentence
    assert "put it into a Secret" in sentence
    assert "abcd" not in sentence.lower()


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: ClusterIssuerRef("A", secret="tls"), ("ClusterIssuerRef.issuer_name is 'A'", "'a'")),
    (lambda: ClusterIssuerRef("a", secret="T_ls"), ("ClusterIssuerRef.secret is 'T_ls'", "'t-ls'")),
    (lambda: TlsSecret("T"), ("TlsSecret.secret is 'T'", "'t'")),
    (lambda: TlsSecret("t", namespace="a.b"), ("TlsSecret.namespace is 'a.b'", "'a-b'")),
    (lambda: TlsSecret.from_secret(7), ("from_secret secret is 7", "Secret")),  # type: ignore[arg-type]  # the mistake
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """A name that no object has is rejected with one that it may have."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize("tls", [ClusterIssuerRef("a", secret="tls"), TlsSecret("tls")], ids=repr)
def test_frozen(tls: ClusterIssuerRef | TlsSecret) -> None:
    """A reference cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        tls.secret = "T"  # type: ignore[misc]  # the point
