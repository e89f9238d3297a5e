"""A token's Secret with the token in it."""

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import chart, check_sample, check_token, manifests, only, variants
from vllm_constructs import TokenSecret, VllmConstructsError

SECRET = "hf_verysecret"


@pytest.mark.parametrize(("kind", "variant"), variants("TokenSecret"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_references() -> None:
    """What is made can be given to a model, as the token or as the API's key."""
    scope = chart()
    source = TokenSecret(scope, "hf-token", value=SECRET, in_clear_text=True, key="hf")
    check_token(scope, source)


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


@pytest.mark.parametrize("keyword", ["name", "key"])
def test_names(keyword: str) -> None:
    """The Secret's name and key are legal ones."""
    options: Any = {keyword: "a b"}
    with pytest.raises(VllmConstructsError, match=f"TokenSecret.{keyword}"):
        TokenSecret(chart(), "x", value=SECRET, in_clear_text=True, **options)
