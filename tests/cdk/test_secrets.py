from types import SimpleNamespace
from typing import Any

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import (
    chart,
    check_sample,
    container,
    manifests,
    model,
    only,
    rejected,
    variants,
)
from vllm_constructs import (
    ApiKey,
    ExternalToken,
    HuggingFaceToken,
    TokenSecret,
    VllmConstructsError,
)

SECRET = "hf_verysecret"


@pytest.mark.parametrize(("kind", "variant"), variants("ExternalToken", "TokenSecret"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


@pytest.mark.parametrize("made", ["external", "secret"])
def test_references(made: str) -> None:
    """What is made can be given to a model, as the token or as the API's key."""
    scope = chart()
    source: ExternalToken | TokenSecret
    if made == "external":
        source = ExternalToken(scope, "hf-token", store="vault", remote_key="llm", key="hf")
    else:
        source = TokenSecret(scope, "hf-token", value=SECRET, in_clear_text=True, key="hf")
    assert HuggingFaceToken("hf-token", "hf", namespace="llm") == source.token
    assert ApiKey("hf-token", "hf", namespace="llm") == source.api_key
    model(scope, hf_token=source.token, api_key=source.api_key)
    found = {
        item["name"]: item["valueFrom"]["secretKeyRef"]
        for item in container(scope)["env"]
        if "valueFrom" in item
    }
    reference = {"name": "hf-token", "key": "hf"}
    assert {"HF_TOKEN": reference, "VLLM_API_KEY": reference} == found


@pytest.mark.parametrize("option", ["hf_token", "api_key"])
@pytest.mark.parametrize("made", ["external", "secret", "value"])
def test_elsewhere(option: str, made: str) -> None:
    """A pod reads only Secrets of its own namespace, wherever the reference comes from."""
    app = App()
    other, scope = (Chart(app, id, namespace=id) for id in ("other", "llm"))
    source: Any
    if made == "external":
        source = ExternalToken(other, "keys", store="vault", remote_key="llm")
    elif made == "secret":
        source = TokenSecret(other, "keys", value=SECRET, in_clear_text=True)
    else:
        source = SimpleNamespace(
            token=HuggingFaceToken("keys", namespace="other"),
            api_key=ApiKey("keys", namespace="other"),
        )
    reference = source.token if option == "hf_token" else source.api_key
    with rejected(
        scope, f"^{option} is in namespace 'other', and this chart is in 'llm'; put both"
    ):
        model(scope, **{option: reference})
    assert [] == scope.node.children
    model(other, **{option: reference})
    assert "keys" in str(only(other, "Deployment"))


@pytest.mark.parametrize("consent", [False, None, 1, "yes"])
def test_consent(consent: object) -> None:
    """A token gets into a manifest only where that is said; the refusal does not show it."""
    scope = chart()
    with pytest.raises(VllmConstructsError, match="in_clear_text") as refusal:
        TokenSecret(scope, "x", value=SECRET, in_clear_text=consent)  # type: ignore[arg-type]  # what is tested
    assert SECRET not in str(refusal.value)
    assert [] == manifests(scope)


@pytest.mark.parametrize("value", ["", " ", f"{SECRET}\n", f"\0{SECRET}", None, 5, SECRET.encode()])
def test_value(value: object) -> None:
    """A token is a text of one line; the refusal does not show it."""
    with pytest.raises(VllmConstructsError, match=r"TokenSecret\.value") as refusal:
        TokenSecret(chart(), "x", value=value, in_clear_text=True)  # type: ignore[arg-type]  # what is tested
    assert SECRET not in str(refusal.value)


def test_hidden() -> None:
    """A token is in the manifest only: no repr shows it."""
    scope = chart()
    source = TokenSecret(scope, "x", value=SECRET, in_clear_text=True)
    assert SECRET == only(scope, "Secret")["stringData"]["token"]
    for item in (source, source.token, source.api_key, source.secret):
        assert SECRET not in repr(item)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("store", "My Store"),
        ("store_kind", "Store"),
        ("remote_key", ""),
        ("remote_property", ""),
        ("refresh", "1 hour"),
        ("name", "a_b"),
        ("key", "a b"),
    ],
)
def test_external(keyword: str, value: str) -> None:
    """What External Secrets or Kubernetes would refuse is rejected, by its name."""
    options = {"store": "vault", "remote_key": "llm", keyword: value}
    with pytest.raises(VllmConstructsError, match=f"ExternalToken.{keyword}"):
        ExternalToken(chart(), "x", **options)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("keyword", ["name", "key"])
def test_token_secret(keyword: str) -> None:
    """The Secret's name and key are legal ones."""
    with pytest.raises(VllmConstructsError, match=f"TokenSecret.{keyword}"):
        TokenSecret(chart(), "x", value=SECRET, in_clear_text=True, **{keyword: "a b"})
