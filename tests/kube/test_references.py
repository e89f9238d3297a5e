"""References: objects by name or as they are, and never the secret itself."""

import pytest
from hypothesis import given, settings

from tests import strategies
from vllm_constructs.kube.references import name_of, namespace_of, reject_secret

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
KEY = "sk-AbCdEfGhIjKlMnOp_0123456789"


class Named:
    """An object with a name and a namespace."""

    name = "my-secret"
    namespace = "llm"


class Metadata:
    """Metadata of an object of cdk8s-plus."""

    def __init__(self, namespace: str | None) -> None:
        self.namespace = namespace


class PlusObject:
    """An object as cdk8s-plus has them, which says its kind."""

    __jsii_type__ = "cdk8s-plus-27.Resource"
    # Not where cdk8s-plus keeps it.
    namespace = "of-something-else"

    def __init__(self, kind: str, namespace: str | None = None) -> None:
        self.kind = kind
        self.name = "my-object"
        self.metadata = Metadata(namespace)


class OtherConstruct:
    """A construct that has a name but is no object."""

    __jsii_type__ = "constructs.Construct"
    name = "my-construct"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hf", "hf"),
        ("a.b", "a.b"),
        ("sk-prod-eu", "sk-prod-eu"),
        (Named(), "my-secret"),
        (PlusObject("Secret"), "my-object"),
    ],
)
def test_name_of(value: object, expected: str) -> None:
    """A Secret is given by its name, or as an object that has one."""
    assert expected == name_of("x", value, "Secret")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hf", None),
        (Named(), "llm"),
        (PlusObject("Secret", "llm"), "llm"),
        (PlusObject("Secret"), None),
        (OtherConstruct(), None),
        (None, None),
        (7, None),
    ],
)
def test_namespace_of(value: object, expected: str | None) -> None:
    """The namespace of an object is that of its metadata, and unknown for a name."""
    assert expected == namespace_of(value)


def test_namespace_that_is_no_string() -> None:
    """A namespace that is no string counts as unknown."""
    named = Named()
    named.namespace = 7  # type: ignore[assignment]  # the mistake

    assert namespace_of(named) is None


@pytest.mark.parametrize("value", [TOKEN, KEY, f"Bearer {KEY}", "Bearer x", "sk-prod_eu1"])
def test_secrets(value: str) -> None:
    """A secret in place of its reference is rejected and not repeated, not even in part."""
    for call in (
        lambda: reject_secret("ApiKey.key", value),
        lambda: name_of("ApiKey.key", value, "Secret"),
    ):
        sentence = strategies.refusal(call)

        assert sentence.startswith("ApiKey.key looks like the secret itself (")
        assert f"{len(value)} characters, not shown" in sentence
        assert "put it into a Secret" in sentence
        assert value[3:] not in sentence
        assert "abcd" not in sentence.lower()


@settings(max_examples=100, deadline=None)
@given(strategies.names())
def test_legal_names(name: str) -> None:
    """No legal name is taken for a secret, whatever it begins with."""
    for legal in (name, f"sk-{name}", f"hf-{name}", f"bearer-{name}"):
        reject_secret("x", legal)


def test_other_values() -> None:
    """What is neither a string nor bytes is not a secret; other checks reject it."""
    reject_secret("x", None)
    reject_secret("x", 7)


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: name_of("cache", 7, "claim"), ("cache is 7", "the name of a claim")),
    (lambda: name_of("x", None, "Secret"), ("x is None", "a Secret or a cdk8s-plus object")),
    (lambda: name_of("x", "Hf_token", "Secret"), ("x is 'Hf_token'", "'hf-token'")),
    (lambda: name_of("x", "", "Secret"), ("x is ''", "lower-case")),
    (lambda: name_of("x", PlusObject("ConfigMap"), "Secret"), ("the name of a Secret",)),
    (lambda: name_of("x", OtherConstruct(), "Secret"), ("the name of a Secret",)),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What is no reference is rejected with what is one."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
