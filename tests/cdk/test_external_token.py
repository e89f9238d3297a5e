"""A token's Secret that External Secrets copies."""

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import chart, check_sample, check_token, variants
from vllm_constructs import ExternalToken, VllmConstructsError


@pytest.mark.parametrize(("kind", "variant"), variants("ExternalToken"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_references() -> None:
    """What is made can be given to a model, as the token or as the API's key."""
    scope = chart()
    source = ExternalToken(scope, "hf-token", store="vault", remote_key="llm", key="hf")
    check_token(scope, source)


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
def test_refusals(keyword: str, value: str) -> None:
    """What External Secrets or Kubernetes would refuse is rejected, by its name."""
    options = {"store": "vault", "remote_key": "llm", keyword: value}
    with pytest.raises(VllmConstructsError, match=f"ExternalToken.{keyword}"):
        ExternalToken(chart(), "x", **options)  # type: ignore[arg-type]  # what is tested
